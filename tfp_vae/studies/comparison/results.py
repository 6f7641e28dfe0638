"""From the values of all parts to the report: means, intervals, and models pair by pair.

Where a part kept what its metrics are made of, intervals and pairs have both errors, of seeds and
of test examples (`evaluation.paired`). Times and memory, which have no examples, have Student's
interval over seeds and no pairs; the interval of what is the same for all seeds has no width.
"""

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfp_vae import report
from tfp_vae.evaluation import paired
from tfp_vae.evaluation.paired import Sample
from tfp_vae.report.marks import interval
from tfp_vae.studies.comparison.entrants import entrant_of, in_order
from tfp_vae.studies.comparison.plan import Comparison

# What a metric can be; an interval from few seeds would say more.
_RANGES = {
    **dict.fromkeys("accuracy ece ece_scaled ece_adaptive aurc auroc aupr fpr95".split(), (0, 1)),
    "brier": (0, 2),
    **dict.fromkeys("nll nll_scaled milliseconds memory".split(), (0, np.inf)),
}
_WORST = dict.fromkeys(("rhat_max", "energy_error", "divergences"), max)
_WORST |= {"effective_sample_size_min": min, "chains_diverged": sum}
_ABOUT_TRAINING = ("parameters", "width", "epochs")


def summarise(comparison: Comparison, command: str, figures: list) -> dict:
    """Returns the report of what is done, see `report.comparison`.

    Args:
        comparison: with at least one part done.
        command: that makes it again.
        figures: entries of "figures".
    """
    data, settings = comparison.data, comparison.settings
    groups: dict[tuple, dict[int, float]] = {}
    examples: dict[tuple, dict[str, dict[int, dict]]] = {}
    trained: dict[str, list[dict]] = {}
    choice: dict[str, dict[str, list[float]]] = {}
    collapsed: dict[str, set[int]] = {}
    seconds, jobs = 0.0, 1
    for part in comparison.parts():
        found = comparison.found(part)
        if found is None:
            continue
        seconds += found["seconds"] / found["jobs"]
        jobs = max(jobs, found["jobs"])
        if comparison.stands_for(part):
            trained.setdefault(part.model, []).append(found)
        learned_nothing = any(found["training"].get(key) for key in ("collapsed", "below_guess"))
        if part.stage.startswith("labels") and learned_nothing:
            collapsed.setdefault(part.model, set()).add(int(part.stage.partition("_")[2]))
        for entry in found["values"]:
            if entry["task"] == "ood_validation":
                scores = choice.setdefault(part.model, {})
                scores.setdefault(entry["condition"], []).append(entry["value"])
                continue
            key = (entry["task"], entry["condition"], entry["level"], part.model, entry["metric"])
            groups.setdefault(key, {})[part.seed] = entry["value"]
        for cell in comparison.cells(part):
            for metric in cell["metrics"]:
                key = (cell["task"], metric, cell["condition"], cell["level"])
                by_seed = examples.setdefault(key, {}).setdefault(part.model, {})
                by_seed[part.seed] = cell["parts"]
    samples: dict[tuple, dict[str, Sample]] = {key: {} for key in examples}
    # Metrics of the same examples one after the other: they share what is made of those.
    together = sorted(
        ((key, model) for key, found in examples.items() for model in found),
        key=lambda one: (str(one[0][2:]), one[0][0], one[1]),
    )
    for key, model in together:
        samples[key][model] = paired.sample(key[1], examples[key][model])
    models = {}
    for name, runs in trained.items():
        models[name] = {
            "family": entrant_of(name).family,
            **{each: runs[0][each] for each in _ABOUT_TRAINING},
            "train_seconds": float(np.mean([run["train_seconds"] for run in runs])),
            "learning_rate": runs[0]["learning_rate"],
            "rate_at_end": runs[0]["rate_at_end"],
            "training": _ends(runs),
        }
        if name in collapsed:
            models[name]["collapsed_labels"] = sorted(collapsed[name])
        if name in choice:
            scores = {score: np.mean(values) for score, values in choice[name].items()}
            models[name]["ood_score"] = max(scores, key=scores.get)
    for failure in comparison.failures:  # a model of which nothing is known is named all the same
        nothing = {"parameters": None, "train_seconds": None}
        family = entrant_of(failure["model"]).family
        models.setdefault(failure["model"], {"family": family, **nothing})
    plan = settings.plan() | {"learning_rate": ", ".join(f"{rate:g}" for rate in settings.rates)}
    del plan["seconds" if settings.match == "parameters" else "epochs"]  # which is not read
    order = in_order({key[3] for key in groups})
    return {
        "dataset": {
            "name": data.name,
            "title": data.name,
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
        "machine": machine(jobs),
        "seconds": seconds,
        "models": {name: models[name] for name in in_order(models)},
        "failures": comparison.failures,
        "results": [
            _result(key, values, samples)
            for key, values in sorted(groups.items(), key=lambda item: _place(item[0], order))
        ],
        "pairs": _pairs(samples, {name: each.get("ood_score") for name, each in models.items()}),
        "figures": figures,
    }


def _ends(runs: "list[dict]") -> dict:
    """Returns how the trainings of a model ended: means over seeds, as `training.convergence`."""
    ends = [run["training"] for run in runs]
    found: dict = {}
    for key, first in ends[0].items():
        values = [end[key] for end in ends]
        if key in _WORST:  # of the worst seed; None is a chain that stands still
            found[key] = None if None in values else _WORST[key](values)
        elif isinstance(first, bool):  # one seed that did not converge, or collapsed, counts
            all_of_them = key in ("converged", "chains_agree")
            found[key] = all(values) if all_of_them else any(values)
        else:
            found[key] = None if first is None else float(np.mean(values))
    return found


def _place(key: tuple, order: "list[str]") -> tuple:
    task, condition, level, model, metric = key
    place = order.index(model)
    return report.TASKS.index(task), condition, -1.0 if level is None else level, metric, place


def _result(key: tuple, by_seed: "dict[int, float]", samples: Mapping) -> dict:
    task, condition, level, model, metric = key
    known = samples.get((task, metric, condition, level), {}).get(model)
    if known is None:
        mean, lower, upper = interval([*by_seed.values()])
    else:
        found = paired.interval(known)
        mean, lower, upper = found.mean, found.lower, found.upper
    least, most = _RANGES.get(metric, (-np.inf, np.inf))
    lower, upper = max(lower, float(least)), min(upper, float(most))
    names = ("task", "condition", "level", "model", "metric")
    entry = dict(zip(names, key, strict=True))
    return {**entry, "mean": mean, "lower": lower, "upper": upper, "n": len(by_seed)}


def _pairs(samples: "Mapping[tuple, dict[str, Sample]]", scores: Mapping) -> "list[dict]":
    """Returns the entries of "pairs": of every result, and of what a task says in one number."""
    found = []
    for key, by_model in {**samples, **_averages(samples, scores)}.items():
        direction = report.DIRECTIONS.get(key[1], 0)
        if not direction or len(by_model) < 2:
            continue
        ordered = {name: by_model[name] for name in in_order(by_model)}
        names = dict(zip(("task", "metric", "condition", "level"), key, strict=True))
        for pair in paired.pairs(ordered, direction):
            size = report.size_of(key[1], ordered[pair.a].mean, ordered[pair.b].mean)
            numbers = ("difference", "lower", "upper", "probability", "adjusted")
            rounded = {name: float(f"{getattr(pair, name):.6g}") for name in numbers}
            found.append({**names, "a": pair.a, "b": pair.b, **rounded, "size": size})
    return found


def _averages(samples: "Mapping[tuple, dict[str, Sample]]", scores: Mapping) -> dict:
    """Returns samples of means over the conditions and levels of a task, condition "".

    Of corruptions and missing pixels over what was changed; of corruptions the metric "drop" too,
    by how much it is worse; of OOD inputs with the score that each model stands with.
    """
    found: dict[tuple, dict[str, Sample]] = {}
    for task in ("corruptions", "missing"):
        for metric in dict.fromkeys(key[1] for key in samples if key[0] == task):
            keys = [key for key in samples if key[:2] == (task, metric)]
            changed = [key for key in keys if key[3] != 0]
            after = _mean_of(samples, [(key, None) for key in changed])
            found[task, metric, "", None] = after
            unchanged = [key for key in keys if key[3] == 0] or [
                ("classification", metric, "", None)
            ]
            if task == "corruptions" and metric == "accuracy" and set(unchanged) <= set(samples):
                before = _mean_of(samples, [(key, None) for key in unchanged])
                found[task, "drop", "", None] = {
                    model: before[model].minus(after[model]) for model in after if model in before
                }
    for metric in ("auroc", "aupr", "fpr95"):
        inputs = {key[2].rpartition("/")[0] for key in samples if key[:2] == ("ood", metric)}
        keys = [(("ood", metric, name, None), scores) for name in sorted(inputs)]
        if keys:
            found["ood", metric, "", None] = _mean_of(samples, keys)
    return found


def _mean_of(samples: Mapping, keys: "list[tuple]") -> "dict[str, Sample]":
    """Returns {model: mean over the keys} of the models that have them all.

    Args:
        samples: by key and model.
        keys: with {model: score} to be put behind the condition, or None.
    """
    models = dict.fromkeys(model for by_model in samples.values() for model in by_model)
    found = {}
    for model in models:
        each = []
        for (task, metric, condition, level), scores in keys:
            behind = f"{condition}/{scores.get(model)}" if scores is not None else condition
            each.append(samples.get((task, metric, behind, level), {}).get(model))
        if each and all(one is not None for one in each):
            found[model] = paired.average(each)
    return found


def machine(jobs: int = 1) -> str:
    """Returns what this machine computes with, in words, and how many parts ran at once."""
    devices = [device.device_type for device in tf.config.list_logical_devices()]
    others = [kind for kind in devices if kind != "CPU"]
    text = f"{os.cpu_count()} cores, {', '.join(others) if others else 'no accelerator'}"
    return text + f", {jobs} parts at the same time, each on its share of the cores" * (jobs > 1)


def estimates(values: Mapping, **wanted) -> "dict[str, dict[float | None, tuple]]":
    """Returns {model: {level: (mean, lower, upper)}} of the results with these entries."""
    found: dict[str, dict] = {}
    for result in values["results"]:
        if all(result[name] == value for name, value in wanted.items()):
            ends = result["mean"], result["lower"], result["upper"]
            found.setdefault(result["model"], {})[result["level"]] = ends
    return found
