"""Words and numbers of a report in one language; the words are `texts/LANGUAGE.json`."""

import functools
import importlib.resources
import json
import math

from tfp_vae.report.marks import Estimate

LANGUAGES = ("en", "zh")
_PERCENT = ("accuracy", "fpr95")  # shares, shown in percent
_UNITS = {"error": "%", "log_likelihood": " nats", "elbo": " nats", "nll": " nats"}
_DECIMALS = 6


class Texts:
    """The texts of one language.

    Args:
        language: one of `LANGUAGES`.

    Raises:
        ValueError: if there are no texts in the language.
    """

    def __init__(self, language: str = "en"):
        if language not in LANGUAGES:
            raise ValueError(
                f"No texts in this language. Expected one of {LANGUAGES}. Received {language!r}."
            )
        self.language = language
        self.words = _words(language)

    def say(self, group: str, key: str, **values) -> str:
        """Returns a text with the values filled in."""
        return self.words[group][key].format(**values)

    def title(self, kind: str, name: str) -> str:
        """Returns the title of a model, task, metric or family, which is its name if it has none."""
        return self.words[kind].get(name, {}).get("title", name)

    def name(self, kind: str, name: str) -> str:
        """Returns what it is called inside a sentence."""
        return self.words[kind].get(name, {}).get("name", name)

    def condition(self, condition: str) -> str:
        """Returns the title of a condition; for foreign inputs with that of their score."""
        inputs, slash, score = condition.rpartition("/")
        if not slash:
            return self.words["conditions"].get(condition, condition)
        known = self.words["conditions"].get(inputs, inputs)
        return f"{known} / {self.score(score)}"

    def score(self, score: str) -> str:
        """Returns the title of a score for foreign inputs."""
        return self.words["scores"].get(score, score)

    def level(self, task: str, level: "float | None") -> str:
        """Returns a level in the unit of its task."""
        if level is None:
            return ""
        return f"{100 * level:g}%" if task == "missing" else f"{level:g}"

    def list(self, items: "list[str]", last: str = "and") -> str:
        """Returns "a, b and c"."""
        comma, final = self.words["lists"]["comma"], self.words["lists"][last]
        return comma.join(items[:-1]) + final + items[-1] if len(items) > 1 else "".join(items)

    def join(self, sentences: "list[str]") -> str:
        """Returns sentences as one text."""
        return self.words["lists"]["space"].join(sentences)

    def estimate(self, metric: str, estimate: Estimate, gap: bool = False) -> str:
        """Returns mean and interval for a sentence; as percentage points if `gap`."""
        mean, lower, upper = numbers(metric, estimate)
        points = gap and metric in (*_PERCENT, "error")
        unit = "" if points else unit_of(metric)
        text = mean + unit
        if lower:
            text = self.say("numbers", "interval", mean=text, lower=lower, upper=upper)
        return self.say("numbers", "points", value=text) if points else text

    def mean(self, metric: str, estimate: Estimate) -> str:
        """Returns the mean alone, with its unit."""
        return numbers(metric, estimate)[0] + unit_of(metric)

    def interval(self, metric: str, estimate: Estimate) -> str:
        """Returns the interval alone, empty if it has no width."""
        _, lower, upper = numbers(metric, estimate)
        return self.say("numbers", "range", lower=lower, upper=upper) if lower else ""


def unit_of(metric: str) -> str:
    """Returns what is written behind a number: a percent sign, a unit after a space, or nothing."""
    return "%" if metric in _PERCENT else _UNITS.get(metric, "")


def numbers(metric: str, estimate: Estimate) -> "tuple[str, str, str]":
    """Returns mean, lower and upper with the digits that the interval leaves them.

    Two digits of the half-width; without one three digits of the mean, and whole numbers whole.
    The ends are empty if there is no width.
    """
    scale = 100 if metric in _PERCENT else 1
    mean, lower, upper = (scale * v for v in (estimate.mean, estimate.lower, estimate.upper))
    half = (upper - lower) / 2
    if half > 0:
        digits = _digits(half, 2)
        return tuple(f"{value:z,.{digits}f}" for value in (mean, lower, upper))
    return f"{mean:z,.{0 if float(mean).is_integer() else _digits(mean, 3)}f}", "", ""


def duration(seconds: float) -> str:
    """Returns a time as 812 s, 13.5 min or 2.3 h."""
    for size, unit in ((3600, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / (60 if unit == 'min' else 3600):.1f} {unit}"
    return f"{seconds:.3g} s"


def _digits(value: float, significant: int) -> int:
    if value == 0:
        return 0
    return min(max(significant - 1 - math.floor(math.log10(abs(value))), 0), _DECIMALS)


@functools.cache
def _words(language: str) -> dict:
    file = importlib.resources.files("tfp_vae.report") / "texts" / f"{language}.json"
    return json.loads(file.read_text(encoding="utf-8"))
