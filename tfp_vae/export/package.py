"""What an export consists of: signatures, the examples that prove them, files and their digests.

    export/
      export.json     signatures, artefacts with size and digest, what answers are compared to
      examples.npz    inputs of real test data, and the answers of the Keras model
      keras/  savedmodel/  onnx/  litert/  web/
      card.md  card.json  verify.json

`export.json` and `examples.npz` are all that `runtimes.py` reads, which knows nothing of the
package.
"""

import dataclasses
import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from tfp_vae.arguments import is_count
from tfp_vae.data import Split
from tfp_vae.export.signatures.base import NOISE, Signature
from tfp_vae.export.signatures.latent import latent_signatures
from tfp_vae.export.signatures.predictors import predictor_signatures
from tfp_vae.models import VAE, Predictor
from tfp_vae.models.variational import VariationalModel

# Batch sizes that every artefact is run with: the two that are timed and an odd one. With the noise
# of a portable signature S changes as well.
BATCHES = {1: 4, 3: 5, 128: 8}
PORTABLE, SEEDED = "portable", "seeded"
EXPECTED_MODEL = (
    "Expected a VAE, a ConditionalVAE, an M2, a BayesianNetwork, an Ensemble or a WeightPosterior"
)


@dataclasses.dataclass(frozen=True)
class Artefact:
    """A file, or a folder, that a runtime loads.

    Attributes:
        format: name in `formats.FORMATS`, or a variant of one.
        path: relative to the folder of the export.
        signatures: names of those that it answers.
        exact: whether its answers have to agree with Keras within float32.
    """

    format: str
    path: str
    signatures: "tuple[str, ...]"
    exact: bool = True


@dataclasses.dataclass(frozen=True)
class Package:
    """A model on its way out.

    Attributes:
        model: what is saved as .keras.
        predictor: what the signatures are of: the model, or a posterior over its weights.
        signatures: what it answers.
        examples: {form/signature/batch/(in or out)/name: array}.
        split: the test data.
        name: by which servers know the model.
    """

    model: VariationalModel
    predictor: "VariationalModel | Predictor"
    signatures: "tuple[Signature, ...]"
    examples: "dict[str, np.ndarray]"
    split: Split
    name: str

    @property
    def portable(self) -> "list[Signature]":
        """The signatures for formats without random operations."""
        return [signature for signature in self.signatures if signature.portable]


def signatures_of(predictor, num_samples: int) -> "tuple[Signature, ...]":
    """Returns the signatures of a trained model.

    Args:
        predictor: a model or a posterior over the weights of one.
        num_samples: S of what draws.

    Raises:
        ValueError: for anything else, an S below 1, or a model that no signature fits.
    """
    if not is_count(num_samples):
        raise ValueError(
            f"num_samples must be positive. Expected an integer >= 1. Received {num_samples}."
        )
    if isinstance(predictor, VAE):
        return tuple(latent_signatures(predictor, int(num_samples)))
    if isinstance(predictor, Predictor) and isinstance(predictor.trained_model(), VariationalModel):
        model = predictor.trained_model()
        if not model.built:
            raise ValueError(
                f"This {type(model).__name__} has no weights. Expected a trained model. Received "
                "one that was never built."
            )
        return tuple(predictor_signatures(predictor, int(num_samples)))
    raise ValueError(
        f"There are no signatures of this. {EXPECTED_MODEL}. Received {type(predictor).__name__}."
    )


def record_examples(predictor, signatures, split: Split, seed: int) -> "dict[str, np.ndarray]":
    """Returns inputs from real data, and what the Keras model answers to them.

    Args:
        predictor: what the signatures are of.
        signatures: the signatures.
        split: the data; repeated where there are fewer than the largest batch.
        seed: of the noise, and what seeded signatures are asked with.
    """
    model = predictor.trained_model() if isinstance(predictor, Predictor) else predictor
    found, split = {}, split.frozen()
    rng = np.random.default_rng(seed)
    for signature in signatures:
        for batch, samples in BATCHES.items():
            sizes = {"B": batch, "S": samples}
            data = _real_inputs(model, signatures, signature, split, batch)
            noise = {
                value.name: rng.standard_normal(
                    [sizes.get(axis, axis) for axis in value.shape], np.float32
                )
                for value in signature.inputs
                if value.role == NOISE
            }
            forms = {SEEDED: (signature.seeded, signature.seeded_inputs)}
            if signature.portable:
                forms[PORTABLE] = (signature.answer, signature.inputs)
            extra = {"count": np.int32(batch), "seed": np.array([seed, batch], np.int32)}
            for form, (function, values) in forms.items():
                inputs = {value.name: {**data, **noise, **extra}[value.name] for value in values}
                outputs = function(**{name: tf.constant(array) for name, array in inputs.items()})
                key = f"{form}/{signature.name}/{batch}"
                found |= {f"{key}/in/{name}": array for name, array in inputs.items()}
                found |= {f"{key}/out/{name}": out.numpy() for name, out in outputs.items()}
    return found


def _real_inputs(model, signatures, signature: Signature, split: Split, batch: int) -> dict:
    index = np.arange(batch) % len(split)
    known = {"x": split.values(index).astype(np.float32)}
    if getattr(model, "num_classes", None) is not None:
        known["label"] = np.maximum(split.labels[index], 0).astype(np.int32)  # -1 is no class
    elif getattr(model, "conditional", False):
        known["condition"] = model.given_of(split)[index].astype(np.float32)
    names = [value.name for value in signature.data]
    if "z" in names:
        encode = next(s for s in signatures if s.name == "encode")
        given = {value.name: tf.constant(known[value.name]) for value in encode.data}
        known["z"] = encode.function(**given)["loc"].numpy()
    return {name: known[name] for name in names}


def files_of(path: pathlib.Path) -> "list[pathlib.Path]":
    """Returns the file, or all files below the folder, in a fixed order."""
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def digest(path: pathlib.Path) -> str:
    """Returns the SHA-256 of a file, or of names and contents of all files below a folder."""
    found = hashlib.sha256()
    for file in files_of(path):
        if path.is_dir():
            found.update(file.relative_to(path).as_posix().encode() + b"\0")
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def size(path: pathlib.Path) -> int:
    """Returns the bytes of a file, or of all files below a folder."""
    return sum(file.stat().st_size for file in files_of(path))
