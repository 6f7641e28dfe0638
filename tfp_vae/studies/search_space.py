"""What a search over flags may try, as it is typed: flags, and the values that each may have.

    learning_rate=log:1e-4:1e-2,latent_dim=2|8|32,hidden=200|400,400

Values stand with | between; `linear:LOW:HIGH` and `log:LOW:HIGH` are ranges of a flag that is a
number, with `:STEP` behind for every so many (a factor for log). A comma ends the values of a flag
only where the name of the next one and = follow, so lists stay whole: hidden is 200, or 400,400.
Nothing here imports TensorFlow.
"""

import abc
import dataclasses
import re
from typing import Any

from tfp_vae.arguments import check_choice, is_number

SCALES = ("linear", "log")
FORM = "NAME=VALUE|VALUE, NAME=linear:LOW:HIGH or NAME=log:LOW:HIGH, with commas between"
_TYPES = {"int": int, "float": float}  # by absl's word for the type of a flag


@dataclasses.dataclass(frozen=True)
class Searched(abc.ABC):
    """A flag that is searched over.

    Attributes:
        name: of the flag.
    """

    name: str

    @property
    @abc.abstractmethod
    def texts(self) -> "tuple[str, ...]":
        """Values that the flag must be able to have."""

    @property
    def axis(self) -> "str | None":
        """One of `SCALES` for a range, None for values that stand beside each other."""
        return None

    @abc.abstractmethod
    def check(self, kind: str) -> None:
        """Raises `ValueError` unless a flag of a kind ("int", "float", others) can be searched."""

    @abc.abstractmethod
    def declare(self, space: Any, kind: str) -> None:
        """Adds the flag to a space of KerasTuner (`HyperParameters`)."""


@dataclasses.dataclass(frozen=True)
class Values(Searched):
    """A flag with some values.

    Attributes:
        values: as they are typed.
    """

    values: "tuple[str, ...]"

    @property
    def texts(self) -> "tuple[str, ...]":
        """All values."""
        return self.values

    def check(self, kind: str) -> None:
        """Accepts every kind."""

    def declare(self, space: Any, kind: str) -> None:
        """Adds a choice, of numbers if the flag is one: then some are nearer than others."""
        space.Choice(self.name, [_TYPES.get(kind, str)(value) for value in self.values])


@dataclasses.dataclass(frozen=True)
class Range(Searched):
    """A flag that is a number in a range.

    Attributes:
        scale: one of `SCALES`.
        low, high: the ends, as they are typed; they belong to it.
        step: between values, or their ratio; None for all numbers.
    """

    scale: str
    low: str
    high: str
    step: "str | None" = None

    @property
    def texts(self) -> "tuple[str, ...]":
        """The ends."""
        return self.low, self.high

    @property
    def axis(self) -> str:
        """Its scale."""
        return self.scale

    def check(self, kind: str) -> None:
        """Raises `ValueError` for a flag that is no number."""
        if kind not in _TYPES:
            raise ValueError(
                f"--{self.name} has no range to search. Expected values with | between. Received "
                f"{self.scale}:{self.low}:{self.high}."
            )

    def declare(self, space: Any, kind: str) -> None:
        """Adds a number."""
        number = _TYPES[kind]
        low, high = number(self.low), number(self.high)
        step = None if self.step is None else float(self.step)
        if kind == "int":
            step = int(step) if step else (None if self.scale == "log" else 1)
            space.Int(self.name, low, high, step=step, sampling=self.scale)
        else:
            space.Float(self.name, low, high, step=step, sampling=self.scale)


def parse(text: str) -> "tuple[Searched, ...]":
    """Returns the flags of a search.

    Args:
        text: as above.

    Raises:
        ValueError: if it is not written so, or names a flag twice.
    """
    found: dict[str, Searched] = {}
    for piece in re.split(r",(?=\s*\w+\s*=)", text):
        name, equals, values = (part.strip() for part in piece.partition("="))
        name = name.removeprefix("--")
        if not re.fullmatch(r"\w+", name) or not equals or not values:
            raise ValueError(f"--search does not fit. Expected {FORM}. Received {piece!r}.")
        if name in found:
            raise ValueError(f"--search has a flag twice. Expected it once. Received {name!r}.")
        found[name] = _range(name, values) or _values(name, values)
    return tuple(found.values())


def _values(name: str, text: str) -> Values:
    values = tuple(part.strip() for part in text.split("|"))
    if len(values) < 2 or len(set(values)) < len(values):
        raise ValueError(
            f"--search gives --{name} nothing to choose from. Expected two different values or more"
            f" with | between. Received {text!r}."
        )
    return Values(name, values)


def _range(name: str, text: str) -> "Range | None":
    found = re.fullmatch(r"([A-Za-z]\w*):([^:|]+):([^:|]+)(?::([^:|]+))?", text)
    if not found:
        return None
    scale, low, high, step = found.groups()
    check_choice(f"range of --{name}", scale, SCALES)
    ends = [_number(part) for part in (low, high)]
    least = 0.0 if scale == "log" else float("-inf")
    fits = all(is_number(end, above=least) for end in ends) and ends[0] < ends[1]
    if not fits or (step and not is_number(_number(step), above=1.0 if scale == "log" else 0.0)):
        positive = " above 0" * (scale == "log")
        steps = "a STEP above 1, a factor" if scale == "log" else "a STEP above 0"
        raise ValueError(
            f"--search gives --{name} no range. Expected {scale}:LOW:HIGH with two numbers"
            f"{positive}, the smaller first, and perhaps {steps}. Received {text!r}."
        )
    return Range(name, scale, low.strip(), high.strip(), step)


def _number(text: str) -> "float | str":
    try:
        return float(text)
    except ValueError:
        return text
