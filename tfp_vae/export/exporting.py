"""Exporting: a trained model in, a folder out that other runtimes and servers take as it is."""

import datetime
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np

from tfp_vae import keras_private
from tfp_vae.arguments import check_choice, check_path
from tfp_vae.data import Data, Split
from tfp_vae.evaluation import Detector
from tfp_vae.export import card
from tfp_vae.export.formats import base
from tfp_vae.export.package import Package, digest, record_examples, size
from tfp_vae.export.proof.reload import state_of
from tfp_vae.export.signatures.answers import answers_of, subject_of
from tfp_vae.export.signatures.base import DEFAULT_SAMPLES
from tfp_vae.models import Predictor
from tfp_vae.models.variational import VariationalModel
from tfp_vae.report import LANGUAGES
from tfp_vae.version import __version__


def export(
    predictor: "VariationalModel | Predictor | Detector",
    data: "Data | Split",
    folder: "str | pathlib.Path",
    formats: Sequence[str] = ("keras", "savedmodel"),
    *,
    num_samples: int = DEFAULT_SAMPLES,
    name: str = "tfp_vae",
    facts: Mapping | None = None,
    licence: str | None = None,
    language: str = "en",
) -> pathlib.Path:
    """Writes a trained model in the formats that people run, with a card and what servers want.

    The folder appears whole or not at all; an earlier export in its place is replaced. It proves
    nothing yet: `verify` does. A signature that the model or a format cannot have is left out, with
    the reason in export.json, in the card and in one printed line.

    Args:
        predictor: a model; or, without the format keras, a posterior over its weights, or a
            `Detector` around it.
        data: whose test examples the answers are recorded for, or such a split itself.
        folder: of the export.
        formats: names in `FORMATS`.
        num_samples: S of the signatures that draw: latents of a bound, weights of a prediction.
        name: by which servers know the model: letters, digits and underscores.
        facts: what is known of the run, as in its metrics.json, for the card.
        licence: of the weights, for the card.
        language: one of `report.LANGUAGES`, of the page of the format web.

    Returns:
        The folder.

    Raises:
        ValueError: for what cannot be exported, before anything is written; if no format holds
            any signature.
        ImportError: if a format needs what is not installed; says what to install.
        FileExistsError: if the folder holds something else than an export.

    Example:
        >>> tv.export.export(vae, data, "runs/vae/export", ["savedmodel", "onnx"])
        >>> print(tv.export.verify("runs/vae/export").table())
    """
    chosen = base.get(formats)
    check_choice("language", language, LANGUAGES)
    folder = pathlib.Path(check_path("folder", folder))
    if not isinstance(data, Data | Split):
        raise ValueError(
            "These are no test data. Expected a Data, as data.load gives it, or a Split. Received "
            f"{type(data).__name__}."
        )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is no folder. Expected a new one. Received a file.")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(
            f"Unusable name. Expected letters, digits and underscores. Received {name!r}."
        )
    if folder.exists() and any(folder.iterdir()) and not (folder / "export.json").exists():
        raise FileExistsError(
            f"{folder} is not empty and no export. Expected a new folder or an earlier export. "
            f"Received a folder with {len(list(folder.iterdir()))} entries."
        )
    outer = isinstance(predictor, Predictor | Detector)
    model = predictor.trained_model() if outer else predictor
    subject = subject_of(predictor, num_samples)
    _check_precision(model, chosen)
    test = data.test if isinstance(data, Data) else data
    model.check_inputs(test)
    signatures, refused = answers_of(subject)
    for each in chosen:
        each.check(predictor, {signature.name for signature in signatures})
    examples, unanswered = record_examples(subject, signatures, test, model.seed)
    signatures = tuple(each for each in signatures if each.name not in unanswered)
    refused |= unanswered
    package = Package(model, predictor, signatures, examples, test, name, language)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".exporting-") as temporary:
        written = pathlib.Path(temporary) / "export"
        written.mkdir(mode=0o755)
        found = {each.name: each.write(package, written) for each in chosen}
        artefacts = [artefact for each in found.values() for artefact in each.artefacts]
        by_format = {each: found[each].refused for each in found if found[each].refused}
        said = _said(refused, by_format)
        if not artefacts:
            raise ValueError(
                f"Nothing of this model can be exported. Expected one signature in one of "
                f"{', '.join(found)}. Received {said}."
            )
        np.savez_compressed(written / "examples.npz", **examples)
        manifest = {
            "tfp_vae": __version__,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "name": name,
            "num_samples": int(num_samples),
            "table": package.table(),
            "state": state_of(model),
            "examples_sha256": digest(written / "examples.npz"),
            "signatures": [signature.to_json() for signature in signatures],
            "refused": refused,
            "refused_by_format": by_format,
            "artefacts": [
                {
                    "format": artefact.format,
                    "path": artefact.path,
                    "signatures": list(artefact.signatures),
                    "exact": artefact.exact,
                    "size": size(written / artefact.path),
                    "sha256": digest(written / artefact.path),
                }
                for artefact in artefacts
            ],
        }
        (written / "export.json").write_text(f"{json.dumps(manifest, indent=2)}\n", "utf-8")
        card.write(package, manifest, written, facts or {}, licence)
        if folder.exists():
            os.replace(folder, pathlib.Path(temporary) / "earlier")
        try:
            os.replace(written, folder)
        except OSError:
            shutil.move(pathlib.Path(temporary) / "earlier", folder)
            raise
    if said:
        print(f"not exported: {said}", flush=True)
    return folder


def _said(refused: Mapping, by_format: Mapping) -> str:
    """Returns what was refused and why, in one line; "" for nothing."""
    parts = [f"{name} ({reason})" for name, reason in refused.items()]
    for name, reasons in by_format.items():
        parts += [f"{name} {signature} ({reason})" for signature, reason in reasons.items()]
    return "; ".join(parts)


def _check_precision(model, chosen) -> None:
    """Raises `ValueError` if a portable format would have to compute with 16 bits."""
    portable = [each.name for each in chosen if each.only_float32]
    dtypes = {layer.compute_dtype for layer in keras_private.all_sublayers(model)}
    other = sorted(dtype for dtype in dtypes if dtype not in (None, "float32"))
    if portable and other:
        raise ValueError(
            f"{' and '.join(portable)} compute in float32. Expected a model of float32 layers. "
            f"Received layers of {', '.join(other)}; savedmodel and keras keep those."
        )
