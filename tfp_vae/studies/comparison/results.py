"""From the values of all parts to the report: means and intervals over seeds."""

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfp_vae import report
from tfp_vae.studies.comparison.entrants import ENTRANTS
from tfp_vae.studies.comparison.plan import Comparison

_TITLES = {
    "digits": "Digits of scikit-learn",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
}
# What a metric can be; an interval from few seeds would say more.
_RANGES = {
    **dict.fromkeys("accuracy ece ece_scaled ece_adaptive aurc auroc aupr fpr95".split(), (0, 1)),
    "brier": (0, 2),
    **dict.fromkeys("nll nll_scaled milliseconds memory".split(), (0, np.inf)),
}
_ABOUT_TRAINING = ("parameters", "width", "epochs")


def interval(values) -> "tuple[float, float, float]":
    """Returns mean, lower and upper of the 95 % interval of Student's t over seeds.

    One value has no interval: both ends are the value. The interval says what another seed would
    give (weights, order, noise), not what other test examples would.
    """
    from scipy import stats

    values = np.asarray(values, np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return mean, mean, mean
    half = float(stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half


def summarise(comparison: Comparison, command: str, figures: list) -> dict:
    """Returns the report of what is done, see `report.comparison`.

    Args:
        comparison: with at least one part done.
        command: that makes it again.
        figures: entries of "figures".
    """
    data, settings = comparison.data, comparison.settings
    groups: dict[tuple, list[float]] = {}
    trained: dict[str, list[dict]] = {}
    choice: dict[str, dict[str, list[float]]] = {}
    seconds = 0.0
    for part in comparison.parts():
        found = comparison.found(part)
        if found is None:
            continue
        seconds += found["seconds"]
        main = part.stage == "main" or ENTRANTS[part.model].only_labels
        if main:
            trained.setdefault(part.model, []).append(found)
        for entry in found["values"]:
            if entry["task"] == "ood_validation":
                scores = choice.setdefault(part.model, {})
                scores.setdefault(entry["condition"], []).append(entry["value"])
                continue
            key = (entry["task"], entry["condition"], entry["level"], part.model, entry["metric"])
            groups.setdefault(key, []).append(entry["value"])
    models = {}
    for name, runs in trained.items():
        models[name] = {
            "family": ENTRANTS[name].family,
            **{each: runs[0][each] for each in _ABOUT_TRAINING},
            "train_seconds": float(np.mean([run["train_seconds"] for run in runs])),
            "learning_rate": runs[0]["learning_rate"],
            "training": _ends(runs),
        }
        if name in choice:
            scores = {score: np.mean(values) for score, values in choice[name].items()}
            models[name]["ood_score"] = max(scores, key=scores.get)
    for failure in comparison.failures:  # a model of which nothing is known is named all the same
        nothing = {"parameters": None, "train_seconds": None}
        family = ENTRANTS[failure["model"]].family
        models.setdefault(failure["model"], {"family": family, **nothing})
    plan = settings.plan()
    return {
        "dataset": {
            "name": data.name,
            "title": _TITLES.get(data.name, data.name),
            "num_train": len(data.train),
            "num_validation": len(data.validation),
            "num_test": len(data.test),
            "shape": list(data.shape),
            "num_classes": data.num_classes,
            "class_names": data.class_names and list(data.class_names),
            "digest": f"sha256:{data.digests['test']}",
        },
        "settings": {
            "budget": settings.budget,
            "seeds": comparison.seeds,
            "match": settings.match,
            **{name: value for name, value in plan.items() if isinstance(value, int | float | str)},
        },
        "command": command,
        "versions": report.versions(),
        "machine": machine(),
        "seconds": seconds,
        "models": {name: models[name] for name in ENTRANTS if name in models},
        "failures": comparison.failures,
        "results": [_result(key, values) for key, values in sorted(groups.items(), key=_place)],
        "figures": figures,
    }


def _ends(runs: "list[dict]") -> dict:
    """Returns how the trainings of a model ended: means over seeds, as `training.convergence`."""
    ends = [run["training"] for run in runs]
    found: dict = {}
    for key, first in ends[0].items():
        values = [end[key] for end in ends]
        if isinstance(first, bool):  # one seed that did not converge, or collapsed, counts
            found[key] = all(values) if key == "converged" else any(values)
        else:
            found[key] = None if first is None else float(np.mean(values))
    return found


def _place(item: "tuple[tuple, list]") -> tuple:
    task, condition, level, model, metric = item[0]
    order = [*ENTRANTS].index(model)
    return report.TASKS.index(task), condition, -1.0 if level is None else level, metric, order


def _result(key: tuple, values: "list[float]") -> dict:
    mean, lower, upper = interval(values)
    least, most = _RANGES.get(key[-1], (-np.inf, np.inf))
    lower, upper = max(lower, float(least)), min(upper, float(most))
    names = ("task", "condition", "level", "model", "metric")
    entry = dict(zip(names, key, strict=True))
    return {**entry, "mean": mean, "lower": lower, "upper": upper, "n": len(values)}


def machine() -> str:
    """Returns what this machine computes with, in words."""
    devices = [device.device_type for device in tf.config.list_logical_devices()]
    others = [kind for kind in devices if kind != "CPU"]
    return f"{os.cpu_count()} cores, {', '.join(others) if others else 'no accelerator'}"


def estimates(values: Mapping, **wanted) -> "dict[str, dict[float | None, tuple]]":
    """Returns {model: {level: (mean, lower, upper)}} of the results with these entries."""
    found: dict[str, dict] = {}
    for result in values["results"]:
        if all(result[name] == value for name, value in wanted.items()):
            ends = result["mean"], result["lower"], result["upper"]
            found.setdefault(result["model"], {})[result["level"]] = ends
    return found
