"""What a figure of a member is: computed once from its code, painted in each language."""

from collections.abc import Callable
from typing import NamedTuple

from tfp_vae.plots.figure import Figure

INK, ACCENT, OTHER, PALE = "#1b2a41", "#1f77b4", "#d1495b", "#b8c1cc"
THREE = (ACCENT, OTHER, "#3a7d44")


class Picture(NamedTuple):
    """A figure before it has a language.

    Attributes:
        paint: a function of a figure and of `say`, which returns the first of (English, Chinese)
            or the second.
        alt: what is seen, in words and figures, (English, Chinese).
        size: inches.
    """

    paint: Callable[[Figure, Callable[[str, str], str]], None]
    alt: "tuple[str, str]"
    size: "tuple[float, float]" = (7.2, 3.0)
