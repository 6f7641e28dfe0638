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

from tfp_vae.data import Split
from tfp_vae.export.signatures.answers import Subject
from tfp_vae.export.signatures.base import NOISE, Signature
from tfp_vae.models import Predictor
from tfp_vae.models.variational import VariationalModel

# Batch sizes that every artefact is run with: the two that are timed and an odd one. With the noise
# of a portable signature S changes as well.
BATCHES = {1: 4, 3: 5, 128: 8}
PORTABLE, SEEDED = "portable", "seeded"


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
        language: of pages.
    """

    model: VariationalModel
    predictor: "VariationalModel | Predictor"
    signatures: "tuple[Signature, ...]"
    examples: "dict[str, np.ndarray]"
    split: Split
    name: str
    language: str = "en"

    def table(self) -> "dict | None":
        """Returns what the columns of an example are, JSON-ready; None where it is no table.

        "columns" has of each its name and, of a schema, kind, levels, dtype and exposure, with
        "likelihood" and "units", the numbers that this takes from the training data; "class_names"
        what the classes of the target are called, and "missing" why cells are missing.
        """
        model, shape = self.model, self.split.shape
        schema = model.schema_of_examples()
        names = model.columns or self.split.columns
        if len(shape) != 1 or (schema is None and names is None):
            return None
        if schema is None:
            columns: list[dict] = [{"name": name} for name in names]
            missing = None
        else:
            columns, missing = schema.get_config(), model.decoder.missing
            for column, head in zip(columns, model.decoder.heads, strict=True):
                column["likelihood"] = type(head).__name__
                column["units"] = {
                    variable.name: float(variable.numpy())
                    for variable in head.non_trainable_variables
                    if len(variable.shape) == 0
                }
        known = model.class_names or self.split.class_names
        return {
            "columns": columns,
            "class_names": None if known is None else list(known),
            "missing": missing,
        }


def record_examples(
    subject: Subject, signatures: "tuple[Signature, ...]", split: Split, seed: int
) -> "tuple[dict[str, np.ndarray], dict[str, str]]":
    """Returns inputs from real data with what Keras answers, and why it does not answer some.

    Args:
        subject: what the signatures are of.
        signatures: the signatures.
        split: the data; repeated where there are fewer than the largest batch.
        seed: of the noise, and what seeded signatures are asked with.

    Returns:
        ({form/signature/batch/(in or out)/name: array}, {signature: reason}).
    """
    found, refused, split = {}, {}, split.frozen()
    real = {batch: subject.recorded(split, np.arange(batch) % len(split)) for batch in BATCHES}
    rng = np.random.default_rng(seed)
    for signature in signatures:
        recorded = {}
        try:
            forms = _forms(signature)
            for batch, samples in BATCHES.items():
                sizes = {"B": batch, "S": samples}
                noise = {
                    value.name: _standard(value, [sizes.get(a, a) for a in value.shape], rng)
                    for value in signature.inputs
                    if value.role == NOISE
                }
                extra = {"count": np.int32(batch), "seed": np.array([seed, batch], np.int32)}
                recorded |= _recorded(signature, forms, batch, {**real[batch], **noise, **extra})
        except Exception as error:  # a user's own distribution may raise anything
            refused[signature.name] = " ".join(str(error).split())[:300]
        else:
            found |= recorded
    return found, refused


def _forms(signature):
    """Returns {form: (function, inputs)} of a signature.

    What draws does so in loops, which take seconds eagerly; they are traced here, for this alone.
    """
    seeded = signature.seeded
    if signature.draws is not None:
        seeded = tf.function(seeded, autograph=False).get_concrete_function(
            **{value.name: value.spec() for value in signature.seeded_inputs}
        )
    forms = {SEEDED: (seeded, signature.seeded_inputs)}
    if signature.portable:
        forms[PORTABLE] = (signature.answer, signature.inputs)
    return forms


def _recorded(signature, forms, batch, known) -> "dict[str, np.ndarray]":
    found = {}
    for form, (function, values) in forms.items():
        inputs = {value.name: known[value.name] for value in values}
        outputs = function(**{name: tf.constant(array) for name, array in inputs.items()})
        key = f"{form}/{signature.name}/{batch}"
        found |= {f"{key}/in/{name}": array for name, array in inputs.items()}
        found |= {f"{key}/out/{name}": out.numpy() for name, out in outputs.items()}
    return found


def _standard(value, shape, rng) -> np.ndarray:
    """Returns numbers for a noise input."""
    if value.kind == "uniform":
        return (rng.integers(0, 2**24, shape) / 2**24).astype(np.float32)
    return rng.standard_normal(shape, np.float32)


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
