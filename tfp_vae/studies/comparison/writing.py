"""Draws the pictures of a comparison and writes its report."""

import functools
import pathlib

import numpy as np

from tfp_vae import report
from tfp_vae.plots import comparison as plots
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
        language: one of `report.LANGUAGES`; also of the pictures' model names.

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


class _Album:
    """Pictures and what a report says of them."""

    def __init__(self, texts: Texts):
        self.texts, self.files, self.entries = texts, {}, []

    def add(self, task: str, name: str, draw, **words) -> None:
        self.files |= plots.both(name, draw)
        alt = self.texts.say("figures", name, **words)
        entry = {"task": task, "name": name, "file": f"{name}.png", "alt": alt, "caption": alt}
        self.entries.append(entry)


def _figures(comparison: Comparison, values: dict, language: str):
    # Pictures have English words but for the models: their fonts have no Chinese everywhere.
    english, texts = Texts("en"), Texts(language)
    families = {name: model["family"] for name, model in values["models"].items()}
    style = plots.Style({name: english.title("models", name) for name in families}, families)
    album = _Album(texts)
    arrays = _arrays(comparison)
    probabilities = {
        model: tuple(
            np.concatenate([run[part] for run in runs]) for part in ("log_probs", "labels")
        )
        for model, runs in arrays.items()
        if "log_probs" in runs[0]
    }
    if probabilities:
        album.add("classification", "reliability", lambda: plots.reliability(probabilities, style))
        album.add(
            "classification", "risk_coverage", lambda: plots.risk_coverage(probabilities, style)
        )
    title = functools.partial(english.name, "metrics")
    panels = {
        (name, title(metric)): _levels(values, "corruptions", name, metric)
        for metric in ("accuracy", "brier", "ece")
        for name in comparison.settings.corruptions
    }
    if any(panels.values()):
        album.add("corruptions", "corruptions", lambda: plots.curves(panels, style, "severity"))
    areas, columns = _areas(values, english)
    if areas:
        album.add("ood", "detection", lambda: plots.detection(areas, columns))
    lines = _levels(values, "labels", "", "accuracy")
    if lines:
        album.add("labels", "labels", lambda: plots.against_labels(lines, style))
    missing = {
        (english.condition(name), title(metric)): _levels(values, "missing", name, metric)
        for metric in ("accuracy", "nll")
        for name in comparison.settings.missing
    }
    if any(missing.values()):
        words = "share of pixels missing"
        album.add("missing", "missing", lambda: plots.curves(missing, style, words, share=True))
    drawn = {
        model: runs[0]["generated"] for model, runs in arrays.items() if "generated" in runs[0]
    }
    if drawn:
        classes = comparison.data.num_classes
        width = {m: classes if m == "conditional_vae" else 8 for m in drawn}
        album.add("generation", "generated", lambda: plots.generated(drawn, style, width))
    pruned = {
        model: dict(
            zip(
                runs[0]["pruned_share"].tolist(),
                _bands([run["pruned_accuracy"] for run in runs]),
                strict=True,
            )
        )
        for model, runs in arrays.items()
        if "pruned_share" in runs[0]
    }
    if pruned:
        album.add("cost", "pruned", lambda: plots.pruned(pruned, style))
    return album.files, album.entries


def _arrays(comparison: Comparison) -> "dict[str, list[dict]]":
    found: dict[str, list[dict]] = {}
    for part in comparison.parts():
        if part.stage == "main" and comparison.found(part):
            found.setdefault(part.model, []).append(comparison.arrays(part))
    return found


def _bands(values: list) -> list:
    from tfp_vae.studies.comparison.results import interval

    return [interval(each) for each in np.stack(values, axis=1)]


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
