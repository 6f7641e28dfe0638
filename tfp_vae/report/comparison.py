"""The report of a comparison of models as a plain dict, ready for JSON, and its check.

    {
        "dataset": {"name": "digits", "title": "Digits of scikit-learn", "num_train": 1078,
                    "num_validation": 359, "num_test": 360, "shape": [8, 8, 1],
                    "num_classes": 10, "digest": "sha256:..."},
        "settings": {"budget": "quick" or "full", "seeds": 3,
                     "match": "parameters" or "seconds", and what else there is to say},
        "command": "python -m experiments.compare ...",
        "versions": {"python": "3.12.1", ...},
        "machine": "2 cores, no accelerator",
        "seconds": 812.5,
        "models": {NAME: {"family": "vae" or "network", "parameters": 51210,
                          "train_seconds": 12.3, ...}, ...},
                   # may have "ood_score", the score for OOD inputs chosen without test data,
                   # "learning_rate", and "training", how it ended (`training.convergence` and
                   # `training.of_posterior`), and "collapsed_labels", the numbers of labels with
                   # which its posterior is its prior or its bound below guessing
        "failures": [{"model": NAME, "seed": 0, "stage": "training", "error": "..."}, ...],
        "results": [{"task": TASK, "condition": "noise", "level": 2, "model": NAME,
                     "metric": "accuracy", "mean": 0.95, "lower": 0.93, "upper": 0.96, "n": 3},
                    ...],
        "pairs": [{"task": TASK, "condition": "noise", "level": 2, "metric": "accuracy",
                   "a": NAME, "b": NAME, "difference": 0.02, "lower": 0.01, "upper": 0.03,
                   "probability": 0.998, "adjusted": 0.01, "size": one of `marks.SIZES`}, ...],
        "figures": [{"task": TASK, "name": "reliability", "file": "reliability.png",
                     "alt": "what there is to see"}, ...],
    }

`level` is a number or None, `condition` may be empty, `n` is how many values a mean is over. What
they are is different for each task:

| task | condition | level |
| --- | --- | --- |
| classification | "" | None |
| corruptions | what is done to the inputs | how strongly; 0 is not at all |
| ood | OOD inputs, or INPUTS/SCORE, such as "letters/entropy" | None |
| labels | "" | labels to learn from |
| missing | which pixels are missing | share of them, 0 to 1 |
| generation, cost | what is measured, or "" | None |

A pair is the difference a - b of two models on the same seeds and test examples, with an interval
of both errors; `probability` is that of a being the better one, `adjusted` a p-value that holds for
all pairs of models at once (`evaluation.paired`). Pairs with condition "" and no level are of means
over all conditions and levels of their task but level 0, of OOD inputs with each model's
`ood_score`; their metric "drop" is by how much accuracy is worse than at level 0.

Metrics that `marks` does not know are shown, but marked nowhere. A mean may lie outside of its
interval: the percentile bootstrap of a calibration error gives such intervals.
"""

import math
import re
from collections.abc import Mapping, Sequence

TASKS = ("classification", "corruptions", "ood", "labels", "missing", "generation", "cost")
FAMILIES = ("vae", "network")

_NUMBER = "a finite number"
_COUNT = "an integer >= 0"
_TEXT = "text"
_FIELDS = {
    "dataset": {
        "name": _TEXT,
        "title": _TEXT,
        "num_train": _COUNT,
        "num_validation": _COUNT,
        "num_test": _COUNT,
        "shape": "a list",
        "num_classes": "an integer >= 0 or None",
        "digest": _TEXT,
    },
    "settings": {
        "budget": ("quick", "full"),
        "seeds": _COUNT,
        "match": ("parameters", "seconds"),
    },
    "model": {
        "family": FAMILIES,
        "parameters": "an integer >= 0 or None",
        "train_seconds": "a finite number or None",
    },
    "failure": {"model": _TEXT, "seed": "an integer >= 0 or None", "stage": _TEXT, "error": _TEXT},
    "result": {
        "task": TASKS,
        "condition": _TEXT,
        "level": "a finite number or None",
        "model": _TEXT,
        "metric": _TEXT,
        "mean": _NUMBER,
        "lower": _NUMBER,
        "upper": _NUMBER,
        "n": "an integer >= 1",
    },
    "pair": {
        "task": TASKS,
        "condition": _TEXT,
        "level": "a finite number or None",
        "metric": _TEXT,
        "a": _TEXT,
        "b": _TEXT,
        "difference": _NUMBER,
        "lower": _NUMBER,
        "upper": _NUMBER,
        "probability": _NUMBER,
        "adjusted": _NUMBER,
        "size": ("negligible", "small", "medium", "large"),
    },
    "figure": {"task": TASKS, "name": _TEXT, "file": _TEXT, "alt": _TEXT},
    "report": {
        "dataset": "a dict",
        "settings": "a dict",
        "command": _TEXT,
        "versions": "a dict",
        "machine": _TEXT,
        "seconds": _NUMBER,
        "models": "a dict",
        "failures": "a list",
        "results": "a list",
        "pairs": "a list",
        "figures": "a list",
    },
}


def validate(report: Mapping) -> None:
    """Checks that a report has the form that this module describes.

    Raises:
        ValueError: naming the first place that does not.
    """
    _check_plain(report, "report")
    _check(report, "report", "report")
    _check(report["dataset"], "dataset", "report['dataset']")
    _check(report["settings"], "settings", "report['settings']")
    for name, model in report["models"].items():
        _check(model, "model", f"report['models'][{name!r}]")
    for kind, named in (("failure", "model"), ("result", "model"), ("pair", "ab"), ("figure", "")):
        for index, entry in enumerate(report[f"{kind}s"]):
            where = f"report['{kind}s'][{index}]"
            _check(entry, kind, where)
            for name in (named,) if named == "model" else named:
                if entry[name] not in report["models"]:
                    known = f"one of {list(report['models'])}"
                    _refuse(f"{where}[{name!r}]", known, entry[name])
    for index, pair in enumerate(report["pairs"]):
        _check_interval(pair, f"report['pairs'][{index}]")
    _check_results(report["results"])
    _check_figures(report["figures"])


def key_of(result: Mapping) -> tuple:
    """Returns (task, metric, condition, level): what results of models are compared within."""
    return tuple(result[part] for part in ("task", "metric", "condition", "level"))


def _refuse(where: str, expected: str, received) -> None:
    shown = repr(received)
    shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
    raise ValueError(f"{where} is wrong. Expected {expected}. Received {shown}.")


def _check_plain(value, where: str) -> None:
    # First of all, so that later checks and JSON meet nothing but plain finite values.
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                _refuse(f"A key of {where}", "text", key)
            _check_plain(inner, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _check_plain(inner, f"{where}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        _refuse(where, _NUMBER, value)
    elif not isinstance(value, str | int | float | None):
        _refuse(where, "a plain value that JSON has", value)


def _check(entry, kind: str, where: str) -> None:
    if not isinstance(entry, Mapping):
        _refuse(where, "a dict", entry)
    for name, expected in _FIELDS[kind].items():
        if name not in entry:
            _refuse(where, f"the key {name!r}", list(entry))
        if isinstance(expected, tuple):
            if entry[name] not in expected:
                _refuse(f"{where}[{name!r}]", f"one of {list(expected)}", entry[name])
        elif not _is(entry[name], expected):
            _refuse(f"{where}[{name!r}]", expected, entry[name])


def _is(value, expected: str) -> bool:
    if expected.endswith(" or None"):
        return value is None or _is(value, expected.removesuffix(" or None"))
    number = not isinstance(value, bool) and isinstance(value, int | float)
    return {
        _TEXT: isinstance(value, str),
        _NUMBER: number,
        _COUNT: number and isinstance(value, int) and value >= 0,
        "an integer >= 1": number and isinstance(value, int) and value >= 1,
        "a list": isinstance(value, list | tuple),
        "a dict": isinstance(value, Mapping),
    }[expected]


def _check_results(results: Sequence[Mapping]) -> None:
    seen = set()
    for index, result in enumerate(results):
        where = f"report['results'][{index}]"
        _check_interval(result, where)
        identity = (*key_of(result), result["model"])
        if identity in seen:
            _refuse(where, "one result per task, metric, condition, level and model", identity)
        seen.add(identity)


def _check_interval(entry: Mapping, where: str) -> None:
    if entry["lower"] > entry["upper"]:
        interval = (entry["lower"], entry["upper"])
        _refuse(f"The interval of {where}", "lower <= upper", interval)


def _check_figures(figures: Sequence[Mapping]) -> None:
    files = [figure["file"] for figure in figures]
    for index, figure in enumerate(figures):
        where = f"report['figures'][{index}]"
        # The name becomes that of a file in the folder of the report, and of nothing outside.
        if not re.fullmatch(r"\w[\w.-]*\.png", figure["file"]) or files.count(figure["file"]) > 1:
            _refuse(f"{where}['file']", "another file name such as x.png", figure["file"])
        if not figure["alt"].strip():
            _refuse(f"{where}['alt']", "what there is to see, for those who cannot", figure["alt"])
