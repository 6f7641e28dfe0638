"""Words and numbers of a report in one language; the words are `texts/LANGUAGE.json`."""

import math
import re

from tfp_vae.report import sealed
from tfp_vae.report.marks import Estimate

_PERCENT = ("accuracy", "fpr95")  # shares, shown in percent
_NATS = ("log_likelihood", "elbo", "nll", "nll_scaled")
_DECIMALS = 6


class Texts:
    """The texts of one language.

    Args:
        language: one of `sealed.LANGUAGES`.

    Raises:
        ValueError: if there are no texts in the language.
    """

    def __init__(self, language: str = "en"):
        self.language = language
        self.words = sealed.words_of(__package__, language)

    def say(self, group: str, key: str, **values) -> str:
        """Returns a text with the values filled in."""
        text = self.words[group][key].format(**values)
        return _spaced(text) if self.language == "zh" else text

    def word(self, key: str) -> str:
        """Returns a word of the page."""
        return self.words["page"][key]

    def title(self, kind: str, name: str) -> str:
        """Returns the title of a model, task, metric or family; the name itself if it has none."""
        return self.words[kind].get(name, {}).get("title", name)

    def name(self, kind: str, name: str) -> str:
        """Returns what it is called inside a sentence."""
        return self.words[kind].get(name, {}).get("name", name)

    def condition(self, condition: str) -> str:
        """Returns the title of a condition; for OOD inputs with that of their score."""
        inputs, slash, score = condition.rpartition("/")
        if not slash:
            return self.words["conditions"].get(condition, condition)
        known = self.words["conditions"].get(inputs, inputs)
        return f"{known} / {self.score(score)}"

    def score(self, score: str) -> str:
        """Returns the title of a score for OOD inputs."""
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
        unit = "" if points else self.unit(metric)
        text = mean + unit
        if lower:
            text = self.say("numbers", "interval", mean=text, lower=lower, upper=upper)
        return self.say("numbers", "points", value=text) if points else text

    def mean(self, metric: str, estimate: Estimate) -> str:
        """Returns the mean alone, with its unit."""
        return numbers(metric, estimate)[0] + self.unit(metric)

    def share(self, probability: float) -> str:
        """Returns a probability in percent, never as certain as 100%."""
        if probability >= 0.9995:
            return "> 99.9%"
        return "< 0.1%" if probability < 0.0005 else f"{100 * probability:.3g}%"

    def unit(self, metric: str) -> str:
        """Returns what is written behind a number: a percent sign, a unit, or nothing."""
        if metric in (*_PERCENT, "error"):
            return "%"
        return self.words["numbers"]["nats"] if metric in _NATS else ""

    def interval(self, metric: str, estimate: Estimate) -> str:
        """Returns the interval alone, empty if it has no width."""
        _, lower, upper = numbers(metric, estimate)
        return self.say("numbers", "range", lower=lower, upper=upper) if lower else ""


def numbers(metric: str, estimate: Estimate) -> "tuple[str, str, str]":
    """Returns mean, lower and upper with the digits that the interval leaves them.

    Two digits of the half-width if they are at most 35, else one (as the Particle Data Group
    rounds). Without a width three digits of the mean, whole numbers whole, and the ends are empty.
    """
    scale = 100 if metric in _PERCENT else 1
    mean, lower, upper = (scale * v for v in (estimate.mean, estimate.lower, estimate.upper))
    half = (upper - lower) / 2
    if half > 0:
        leading = half / 10 ** math.floor(math.log10(half))
        digits = _digits(half, 2 if leading <= 3.5 else 1)
        return tuple(f"{value:z,.{digits}f}" for value in (mean, lower, upper))
    return f"{mean:z,.{0 if float(mean).is_integer() else _digits(mean, 3)}f}", "", ""


def plain(value: float) -> str:
    """Returns a number with three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


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


def _spaced(text: str) -> str:
    # Chinese beside Latin letters or digits has a space between, and none after its own brackets.
    text = re.sub(r"(?<=[一-鿿])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9%])(?=[一-鿿])", " ", text)
    return re.sub(r"(?<=[，、。；：（）]) +| +(?=[，、。；：（）])", "", text)
