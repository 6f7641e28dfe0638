"""Draws the pictures of a comparison and writes its report."""

import functools
import pathlib

import numpy as np

from tfp_vae import report
from tfp_vae.plots import comparison as plots
from tfp_vae.report.page import picture_of
from tfp_vae.report.texts import Texts
from tfp_vae.studies.comparison.plan import Comparison
from tfp_vae.studies.comparison.results import estimates, summarise


def write(
    comparison: Comparison, command: str, language: str = "en"
) -> "tuple[pathlib.Path, report.Verdict]":
    """Writes `report/` in the folder of a comparison; returns the page and the verdict.

    Args:
        comparison: with at least one part done.
        command: that makes it again.
        language: one of `report.LANGUAGES`: of the verdict and the page that are returned, and of
            pictures besides the English ones, where a font has its letters.

    Raises:
        RuntimeError: if no part is done.
    """
    if not any(comparison.found(part) for part in comparison.parts()):
        reasons = "; ".join(failure["error"] for failure in comparison.failures)
        raise RuntimeError(
            f"There is nothing to report. Expected at least one part that is done. Received none: "
            f"{reasons or 'nothing ran'}."
        )
    values = summarise(comparison, command, [])
    files, figures = _figures(comparison, values, language)
    values["figures"] = figures
    page = report.write_report(comparison.run_folder, values, files, language)
    return page, report.state_verdict(values, language)


_PRUNED = "pruned_"  # before the percentage of weights, in conditions of the task "cost"
_CORRUPTED, _MISSING = ("accuracy", "brier", "ece"), ("accuracy", "nll")


class _Album:
    """Pictures in some languages, and what a report says of them, which it says in English."""

    def __init__(self, styles: "dict[str, plots.Style]"):
        self.styles, self.files, self.entries = styles, {}, []

    def add(self, task: str, name: str, draw) -> None:
        """Draws a picture; `draw` is called with the texts and the style of each language."""
        for language, style in self.styles.items():
            stem = picture_of(f"{name}.png", language).removesuffix(".png")
            texts = Texts(language)
            self.files |= plots.both(stem, functools.partial(draw, texts, style), language)
        alt = Texts("en").say("figures", name)
        entry = {"task": task, "name": name, "file": f"{name}.png", "alt": alt, "caption": alt}
        self.entries.append(entry)


def _figures(comparison: Comparison, values: dict, language: str):
    """Returns (files, entries) of pictures in English and, where a font has it, in the language."""
    families = {name: model["family"] for name, model in values["models"].items()}
    languages = [each for each in dict.fromkeys(("en", language)) if plots.can_be_in(each)]
    album = _Album({each: plots.Style(Texts(each), families) for each in languages})
    arrays = _arrays(comparison)
    probabilities = {
        model: tuple(
            np.concatenate([run[part] for run in runs]) for part in ("log_probs", "labels")
        )
        for model, runs in arrays.items()
        if "log_probs" in runs[0]
    }
    if probabilities:
        album.add(
            "classification",
            "reliability",
            lambda texts, style: plots.reliability(probabilities, style, _errors(values, texts)),
        )
        album.add(
            "classification",
            "risk_coverage",
            lambda texts, style: plots.risk_coverage(probabilities, style),
        )
    settings = comparison.settings
    corrupted = [(name, metric) for metric in _CORRUPTED for name in settings.corruptions]
    _add_curves(album, values, "corruptions", corrupted)
    if _areas(values, Texts("en"))[0]:
        album.add("ood", "detection", lambda texts, style: plots.detection(*_areas(values, texts)))
    lines = _levels(values, "labels", "", "accuracy")
    if lines:
        album.add("labels", "labels", lambda texts, style: plots.against_labels(lines, style))
    lacking = [(name, metric) for metric in _MISSING for name in settings.missing]
    _add_curves(album, values, "missing", lacking, share=True)
    drawn = {
        model: runs[0]["generated"] for model, runs in arrays.items() if "generated" in runs[0]
    }
    if drawn:
        classes = comparison.data.num_classes
        width = {m: classes if m == "conditional_vae" else 8 for m in drawn}
        album.add(
            "generation", "generated", lambda texts, style: plots.generated(drawn, style, width)
        )
    pruned = _pruned(values)
    points = _costs(values)
    if points:
        album.add("cost", "cost_nll", lambda texts, style: plots.cost_against(points, style))
    if pruned:
        album.add("cost", "pruned", lambda texts, style: plots.pruned(pruned, style))
    return album.files, album.entries


def _add_curves(album: _Album, values: dict, task: str, panels: list, share: bool = False) -> None:
    """Adds the curves of a task: panels are pairs of a condition and a metric."""
    found = {panel: _levels(values, task, *panel) for panel in panels}
    rows = {metric for (_, metric), lines in found.items() if lines}
    columns = {name for (name, _), lines in found.items() if lines}
    found = {key: lines for key, lines in found.items() if key[0] in columns and key[1] in rows}
    if found:
        word = "missing" if share else "severity"
        album.add(
            task,
            task,
            lambda texts, style: plots.curves(
                {
                    (texts.condition(name), texts.name("metrics", metric)): lines
                    for (name, metric), lines in found.items()
                },
                style,
                style.words[word],
                share,
            ),
        )


def _errors(values: dict, texts: Texts) -> "dict[str, str]":
    """Returns {model: calibration error} as the tables of the report have it."""
    results = [r for r in values["results"] if r["task"] == "classification"]
    marked = report.mark(results, values["pairs"])
    return {
        one.model: texts.mean("ece", one.estimate)
        for key, found in marked.items()
        if key[1] == "ece"
        for one in found
    }


def _arrays(comparison: Comparison) -> "dict[str, list[dict]]":
    found: dict[str, list[dict]] = {}
    for part in comparison.parts():
        if part.stage == "main" and comparison.found(part):
            found.setdefault(part.model, []).append(comparison.arrays(part))
    return found


def _costs(values: dict) -> "dict[str, tuple]":
    """Returns {model: (milliseconds per prediction, (NLL, lower, upper))} of what has both."""
    costs = _levels(values, "cost", "prediction", "milliseconds")
    likelihoods = _levels(values, "classification", "", "nll")
    return {
        model: (costs[model][None][0], found[None])
        for model, found in likelihoods.items()
        if model in costs
    }


def _pruned(values: dict) -> "dict[str, dict[float, tuple]]":
    """Returns {model: {share removed: (accuracy, lower, upper)}}, 0 with all weights."""
    whole, found = _levels(values, "classification", "", "accuracy"), {}
    for result in values["results"]:
        if result["task"] == "cost" and result["condition"].startswith(_PRUNED):
            model, share = result["model"], float(result["condition"].removeprefix(_PRUNED)) / 100
            line = found.setdefault(model, {0.0: whole[model][None]} if model in whole else {})
            line[share] = result["mean"], result["lower"], result["upper"]
    return {model: dict(sorted(line.items())) for model, line in found.items()}


def _levels(values: dict, task: str, condition: str, metric: str) -> dict:
    return estimates(values, task=task, condition=condition, metric=metric)


def _areas(values: dict, texts: Texts) -> "tuple[dict, dict]":
    """Returns AUROC of every model with its score and of log p(x), and the OOD inputs."""
    rows: dict[str, dict] = {}
    columns: dict[str, str] = {}
    for result in values["results"]:
        if result["task"] == "ood" and result["metric"] == "auroc":
            inputs, _, score = result["condition"].rpartition("/")
            chosen = values["models"][result["model"]].get("ood_score")
            if score in (chosen, "log_px"):
                row = f"{texts.title('models', result['model'])}: {texts.score(score)}"
                rows.setdefault(row, {})[inputs] = result["mean"]
                columns[inputs] = texts.condition(inputs)
    order = {model: place for place, model in enumerate(values["models"])}
    by_model = {texts.title("models", model): order[model] for model in order}
    ordered = sorted(rows, key=lambda row: by_model[row.partition(":")[0]])
    return {row: rows[row] for row in ordered}, columns
