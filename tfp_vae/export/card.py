"""The model card: what a model is, what it was measured to be, and what it is not for.

After Mitchell et al., "Model cards for model reporting", 2019. `card.json` holds everything,
`card.md` is the same for people. Nothing in it is typed by hand but the licence: what is not known
says so.
"""

import json
import math
import pathlib
from collections.abc import Mapping

import keras

from tfp_vae import keras_private, report
from tfp_vae.export.formats import base
from tfp_vae.export.package import Package
from tfp_vae.layers import WeightLayer
from tfp_vae.models import VAE
from tfp_vae.report.escaping import code, code_block, escape
from tfp_vae.report.escaping import table as markdown_table

_SOURCE = ("dataset", "kind", "digests", "target", "task", "quadrants", "num_train", "num_labels")
_TRAINING = ("method", "model", "epochs", "train_seconds", "num_parameters")
_UNKNOWN = "not stated"
# Of a layer's configuration, what says how it computes.
_OPTIONS = ("units", "filters", "kernel_size", "strides", "padding", "activation", "rate", "prior")


def write(package: Package, manifest: Mapping, folder: pathlib.Path, facts, licence) -> None:
    """Writes `card.json` and `card.md`.

    Args:
        package: what was exported.
        manifest: the content of `export.json`.
        folder: of the export.
        facts: what is known of the run.
        licence: of the weights, or None.
    """
    values = contents(package, manifest, facts, licence)
    (folder / "card.json").write_text(f"{json.dumps(values, indent=2, default=str)}\n", "utf-8")
    (folder / "card.md").write_text(render(values), "utf-8")


def contents(package: Package, manifest: Mapping, facts: Mapping, licence: str | None) -> dict:
    """Returns the card, JSON-ready."""
    model, split = package.model, package.split
    data = {key: facts[key] for key in _SOURCE if facts.get(key) is not None}
    data.setdefault("kind", str(split.kind))
    data["example_shape"] = list(split.shape)
    data["test_examples"] = len(split)
    data["test_digest"] = split.digest
    if split.class_names is not None:
        data["class_names"] = list(split.class_names)
    objective = keras.saving.serialize_keras_object(model.objective)
    written = {artefact["format"] for artefact in manifest["artefacts"]}
    kinds = [kind for name, kind in base.FORMATS.items() if name in written]
    known = {*_SOURCE, *_TRAINING, "seed", "versions", "data_dir", "uci_split"}
    return {
        "name": package.name,
        "model": type(model).__name__,
        "predictor": type(package.predictor).__name__,
        "created": manifest["created"],
        "data": data,
        "training": {key: facts[key] for key in _TRAINING if facts.get(key) is not None},
        "architecture": architecture(model),
        "parameters": model.count_params(),
        "objective": {"class": objective["class_name"], **_plain(objective["config"])},
        "seed": model.seed,
        "metrics": {
            key: value
            for key, value in facts.items()
            if key not in known and isinstance(value, int | float) and not isinstance(value, bool)
        },
        "versions": {"export": report.versions(), "training": facts.get("versions", _UNKNOWN)},
        "licence": {"tfp_vae": "Apache-2.0", "weights": licence or _UNKNOWN},
        "num_samples": manifest["num_samples"],
        "table": manifest["table"],
        "signatures": manifest["signatures"],
        "artefacts": manifest["artefacts"],
        "refused": manifest["refused"],
        "refused_by_format": manifest["refused_by_format"],
        "commands": dict(command for kind in kinds for command in kind().commands(package.name)),
        "intended_use": _intended_use(model),
        "limits": [*_limits(package, facts), *(kind.limits for kind in kinds if kind.limits)],
    }


def architecture(model: keras.Model) -> "list[dict]":
    """Returns the layers that have weights or act on values, part by part of the model."""
    found = []
    for part, owner in model.layer_parts():
        for layer, parameters in _counted(owner):
            config = layer.get_config()
            options = {key: config[key] for key in _OPTIONS if config.get(key) is not None}
            found.append(
                {
                    "part": part,
                    "layer": type(layer).__name__,
                    "parameters": parameters,
                    **_plain(options),
                }
            )
    return found


def _counted(layer: keras.Layer) -> "list[tuple[keras.Layer, int]]":
    """Returns the layers inside a layer and what each has of parameters, first to last."""
    if isinstance(layer, keras.layers.InputLayer):
        return []
    if isinstance(layer, WeightLayer) or not keras_private.sublayers(layer):
        return [(layer, layer.count_params())]
    inside = [each for inner in keras_private.sublayers(layer) for each in _counted(inner)]
    own = sum(math.prod(variable.shape) for variable in keras_private.own_variables(layer))
    return [*inside, *([(layer, own)] if own else [])]


def _plain(value):
    """Returns a serialised Keras object in short, as {class: arguments}."""
    if isinstance(value, dict) and "class_name" in value:
        inside = {k: v for k, v in value.get("config", {}).items() if k not in ("name", "dtype")}
        return {value["class_name"]: _plain(inside)}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _intended_use(model) -> str:
    if isinstance(model, VAE):
        return (
            "Research and teaching: encoding, generating and scoring examples of the kind and the "
            "source that the model was trained on."
        )
    return (
        "Research and teaching: predictions with their uncertainty, for examples from the source "
        "that the model was trained on."
    )


def _limits(package: Package, facts: Mapping) -> "list[str]":
    split = package.split
    limits = [
        f"Examples have shape {split.shape} and values of kind {split.kind}; the file does not "
        "scale or binarise what it is given.",
        "Nothing is known of its answers to examples from another source. A high log-likelihood or "
        "a low entropy does not mean that an example is a familiar one.",
    ]
    if isinstance(package.model, VAE):
        size = facts.get("effective_sample_size_median")
        measured = "" if size is None else f" (median effective sample size of the run: {size:.3g})"
        limits += [
            "elbo and log_evidence are lower bounds of log p(x) in expectation, in nats, "
            f"comparable only for data of the same kind and binarisation{measured}.",
            "Means of p(x|z) are smoother than examples are: they are not draws of x.",
        ]
    else:
        samples = next((s.num_samples for s in package.signatures if s.num_samples), None)
        if samples:
            limits.append(
                f"Predictions are averages over {samples} draws of the weights, and have the error "
                "of so few; in ONNX and LiteRT the draws were made at export and are the same for "
                "every request."
            )
        limits.append(
            "Uncertainty is that of this model and its posterior approximation. See ece and "
            "the log-likelihood among the metrics for how far it was right on test data."
        )
    return limits


def render(card: Mapping) -> str:
    """Returns the card as Markdown."""
    data, training = card["data"], card["training"]
    lines = [
        f"# {escape(card['name'])}: {escape(card['model'])} on "
        f"{escape(data.get('dataset', 'data that are not stated'))}",
        "",
        f"Exported {card['created']} by tfp_vae {card['versions']['export']['tfp_vae']}, seed "
        f"{card['seed']}, {card['parameters']:,} parameters.",
        "",
        "## Intended use and limits",
        "",
        escape(card["intended_use"]),
        "",
        *[f"- {escape(limit)}" for limit in card["limits"]],
        "",
        "## Data and training",
        "",
        *_table(("", ""), list({**data, **training}.items())),
        "",
        f"Objective: {escape(_words(card['objective']))}.",
        "",
        *_columns(card["table"]),
        "## Metrics",
        "",
        *(_metrics(card["metrics"]) or ["None were given with the model."]),
        "",
        "Nats per example unless a name says otherwise; +- is a standard error.",
        "",
        "## Architecture",
        "",
        *_table(
            ("part", "layer", "parameters", "options"),
            [
                (
                    row["part"],
                    row["layer"],
                    row["parameters"],
                    _words({k: v for k, v in row.items() if k not in _ROW}),
                )
                for row in card["architecture"]
            ],
        ),
        "",
        "## Signatures",
        "",
        "B examples, S samples, both free. SavedModel: what is random takes a `seed`, int32 [2]; "
        "the same seed gives the same answer. ONNX and LiteRT: the noise is an input, standard "
        "normal numbers, or uniform ones in [0, 1) where it says so. Of SavedModel S = "
        f"{card['num_samples']}. log_evidence of more samples than fit a request is the log of the "
        "mean of the exponentials of several answers.",
        "",
    ]
    for signature in card["signatures"]:
        lines += [f"### {escape(signature['name'])}", "", f"{escape(signature['meaning'])}.", ""]
        both = {value["name"]: value for value in signature["seeded_inputs"]}
        both |= {value["name"]: value for value in signature["inputs"]}
        rows = [_value("in", value) for value in both.values()]
        rows += [_value("out", value) for value in signature["outputs"]]
        lines += [*_table(("", "name", "shape", "type", "meaning"), rows, names=1), ""]
    lines += _refusals(card)
    lines += ["## Files", ""]
    meanings = base.meanings()
    sizes = [
        (
            a["path"],
            meanings.get(a["format"], a["format"]),
            f"{a['size']:,}",
            a["sha256"][:12],
        )
        for a in card["artefacts"]
    ]
    lines += [*_table(("file", "for", "bytes", "SHA-256"), sizes), ""]
    if card["commands"]:
        lines += [
            "## Serving",
            "",
            "In the folder of this card. The exporter runs no server: `verify.json` and "
            "`serve.json`, if they are here, say what the runtimes inside of them answered.",
            "",
        ]
        for what, command in card["commands"].items():
            lines += [f"{what}:", "", f"    {command}", ""]
    versions = card["versions"]
    lines += [
        "## Versions and licence",
        "",
        f"- exported with {escape(_words(versions['export']))}",
        f"- trained with {escape(_words(versions['training']))}",
        f"- code: {card['licence']['tfp_vae']}; weights: {escape(card['licence']['weights'])}",
        "",
    ]
    return "\n".join(lines)


def _columns(found: "Mapping | None") -> "list[str]":
    """Returns the lines on the columns of a table and the classes of its target."""
    if found is None:
        return []
    rows = []
    for place, column in enumerate(found["columns"]):
        kind, exposure = column.get("kind", ""), column.get("exposure")
        kind += f" per unit of {exposure}" if exposure else ""
        levels = ", ".join(f"{i} {level}" for i, level in enumerate(column.get("levels", ())))
        rows.append(
            (place, column["name"], kind, levels, column.get("likelihood", ""),
             column.get("units", {}))
        )  # fmt: skip
    lines = ["## Columns", "", "In this order; a class is the number of its level.", ""]
    lines += _table(("", "name", "kind", "levels", "likelihood", "units"), rows, names=1)
    if found["missing"]:
        lines += ["", f"Missing cells are NaN, and missing {escape(found['missing'])}."]
    if found["class_names"]:
        named = ", ".join(f"{i} {name}" for i, name in enumerate(found["class_names"]))
        lines += ["", f"Classes of the target: {escape(named)}."]
    return [*lines, ""]


def _refusals(card: Mapping) -> "list[str]":
    """Returns the lines on what is not here and why."""
    lines = [f"- {escape(name)}: {escape(reason)}" for name, reason in card["refused"].items()]
    for form, reasons in card["refused_by_format"].items():
        lines += [
            f"- {escape(name)} in {escape(form)}: {escape(reason)}"
            for name, reason in reasons.items()
        ]
    return ["### Not here", "", *lines, ""] if lines else []


_ROW = ("part", "layer", "parameters")


def _value(way: str, value: Mapping) -> "tuple[str, ...]":
    shape = f"[{', '.join(map(str, value['shape']))}]"
    return way, value["name"], shape, value["dtype"], value["meaning"]


def _metrics(metrics: Mapping) -> "list[str]":
    one_line = {" ".join(str(name).split()): value for name, value in metrics.items()}
    return [code_block(report.summary(one_line))] if metrics else []


def _table(heads, rows, names: "int | None" = None) -> "list[str]":
    """Returns the lines of a table with all text escaped, and column `names` as code."""
    cells = [["" if c is None else escape(_words(c)) for c in row] for row in [heads, *rows]]
    if names is not None:
        for line, row in zip(cells[1:], rows, strict=True):
            line[names] = code(row[names])
    return markdown_table(cells).split("\n")


def _words(value) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return " x ".join(_words(inner) for inner in value)
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return str(value)
