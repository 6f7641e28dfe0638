"""A stack of bits, by the library `constriction`, and what is pushed and popped here.

Nothing of an entropy coder is written here. What is, is which integers it is told: probabilities
become whole numbers of 2^-20, means and deviations whole numbers of 2^-6 and 2^-5 cells, so that
last bits of floating point, which differ between machines, are gone before anything is coded.
"""

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfp_vae import extras

_COUNTS = 2.0**20  # a probability is so many shares
_MEANS, _DEVIATIONS = 2.0**6, 2.0**5  # parts of a cell
_MOST_DEVIATION = 2.0**24  # cells
_AT_ONCE = 2**22  # numbers of tables that are made at a time: 32 MB
_LOG_2_PI = float(np.log(2 * np.pi))


class Cells(NamedTuple):
    """The cells of one latent: a value is a whole number k of them, at most `radius` from 0.

    Attributes:
        exponents: [D], e of the width 2^-e of a cell.
        radius: the largest k.
        around: how many cells a draw of q(z|x) is off its middle, at most; 0 for `radius`. The
            coder gives every cell 2^-24 at least, which of thousands of them is enough to draw one
            far from all that q(z|x) knows, at a price of thousands of bits.
    """

    exponents: np.ndarray
    radius: int
    around: int = 0

    @property
    def width(self) -> np.ndarray:
        """The widths, [D]; powers of two, so that nothing is rounded."""
        return np.ldexp(1.0, -self.exponents)

    def nearest(self, value: np.ndarray) -> np.ndarray:
        """Returns the cells of values, [n, D] -> int32 [n, D]."""
        inside = np.clip(np.rint(value / self.width), -self.radius, self.radius)
        return inside.astype(np.int32)

    def value(self, cell: np.ndarray) -> np.ndarray:
        """Returns the middles of cells, int32 [n, D] -> [n, D]."""
        return cell * self.width


class Normals(NamedTuple):
    """Mixtures of normals with independent dimensions; see `distributions.draws.Components`.

    Attributes:
        log_weights: float64 [n, K], nats.
        loc: float64 [n, K, D].
        scale: float64 [n, K, D].
    """

    log_weights: np.ndarray
    loc: np.ndarray
    scale: np.ndarray

    def first(self, count: int) -> "Normals":
        """Returns those of the first examples."""
        return Normals(*(each[:count] for each in self))

    def centre(self) -> np.ndarray:
        """Returns the middle of the component with the largest weight, [n, D]."""
        best = np.argmax(self.log_weights, axis=1)
        return self.loc[np.arange(len(best)), best]

    def bits(self, cells: Cells) -> np.ndarray:
        """Returns about how many bits a draw takes from the stack, [n]: at most the true number."""
        deviation = np.maximum(self.scale / cells.width, 1.0)
        each = np.log2(deviation * np.sqrt(2 * np.pi * np.e)).sum(axis=2).max(axis=1)
        return each + np.log2(self.loc.shape[1])

    def component_counts(self, z: np.ndarray) -> np.ndarray:
        """Returns the shares of components given values [n, D], whole numbers [n, K]."""
        standard = (z[:, np.newaxis] - self.loc) / self.scale
        each = -0.5 * (np.square(standard) + _LOG_2_PI) - np.log(self.scale)
        return counts_of(self.log_weights + each.sum(axis=2))

    def component(self, index: np.ndarray) -> "tuple[np.ndarray, np.ndarray]":
        """Returns centre and scale of one component of each, [n, D] both."""
        rows = np.arange(len(index))
        return self.loc[rows, index], self.scale[rows, index]


def counts_of(log_weights: np.ndarray) -> np.ndarray:
    """Returns probabilities as whole numbers of shares, nats [n, K] -> float64 [n, K]."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return shares(weights / weights.sum(axis=1, keepdims=True))


def shares(probabilities: np.ndarray) -> np.ndarray:
    """Returns whole numbers of 2^-20, none of them in all rows zero."""
    return np.rint(probabilities * _COUNTS)


class Stack:
    """What was pushed last is popped first; a pop with the same numbers undoes a push.

    Args:
        words: uint32, what `words` returned; None for an empty stack.

    Raises:
        ValueError: if no stack has these words.
        ImportError: if the library is not installed.
    """

    def __init__(self, words: "np.ndarray | None" = None):
        extras.need("codec", "Codecs")
        self._stream: Any = importlib.import_module("constriction").stream
        given = () if words is None or not len(words) else (np.array(words, np.uint32),)
        self._coder = self._stream.stack.AnsCoder(*given)

    @property
    def bits(self) -> int:
        """How many bits there are."""
        return self._coder.num_valid_bits()

    @property
    def is_empty(self) -> bool:
        """Whether all that was pushed was popped."""
        return self._coder.is_empty()

    def words(self) -> np.ndarray:
        """Returns all of it, uint32."""
        return self._coder.get_compressed()

    # Values of tables.

    def push_values(self, values: np.ndarray, counts: "Tables") -> None:
        """Pushes whole numbers below K, int32 [m].

        Args:
            values: the numbers.
            counts: their shares.
        """
        family = self._stream.model.Categorical(perfect=False)
        for part in reversed(counts.parts()):
            self._coder.encode_reverse(values[part], family, counts[part])

    def pop_values(self, counts: "Tables") -> np.ndarray:
        """Returns what `push_values` pushed with these shares."""
        family = self._stream.model.Categorical(perfect=False)
        found = [self._coder.decode(family, counts[part]) for part in counts.parts()]
        return np.concatenate(found) if found else np.empty(0, np.int32)

    # Latents.

    def push_latents(
        self, cell: np.ndarray, normals: Normals, cells: Cells, is_posterior: bool = False
    ) -> None:
        """Pushes cells [n, D]; of a mixture at its own density, by bits back over components.

        Args:
            cell: whole numbers of widths, int32.
            normals: their distributions.
            cells: of the latent.
            is_posterior: whether it is of q(z|x), which knows no cell far from its middle.
        """
        mixed = normals.loc.shape[1] > 1
        index = np.zeros(len(cell), np.int32)
        if mixed:
            index = self.pop_values(Tables(normals.component_counts(cells.value(cell))))
        middle, family, *parameters = self._normal(normals.component(index), cells, is_posterior)
        self._coder.encode_reverse((cell - middle).ravel(), family, *parameters)
        if mixed:
            self.push_values(index, Tables(counts_of(normals.log_weights)))

    def pop_latents(self, normals: Normals, cells: Cells, is_posterior: bool = False) -> np.ndarray:
        """Returns what `push_latents` pushed, or a draw if it was something else: int32 [n, D]."""
        mixed = normals.loc.shape[1] > 1
        index = np.zeros(len(normals.loc), np.int32)
        if mixed:
            index = self.pop_values(Tables(counts_of(normals.log_weights)))
        middle, family, *parameters = self._normal(normals.component(index), cells, is_posterior)
        cell = self._coder.decode(family, *parameters).reshape(middle.shape) + middle
        if mixed:
            self.push_values(index, Tables(normals.component_counts(cells.value(cell))))
        return cell

    def _normal(self, normal, cells, is_posterior):
        loc, scale = (each / cells.width for each in normal)
        most = min(cells.around or cells.radius, cells.radius) if is_posterior else cells.radius
        mean = np.clip(np.rint(loc * _MEANS) / _MEANS, -cells.radius, cells.radius)
        spare = cells.radius - most  # so that no draw leaves the cells of the prior
        middle = np.clip(np.rint(mean), -spare, spare).astype(np.int32)
        mean = np.clip(mean - middle, -most, most)
        deviation = np.clip(np.rint(scale * _DEVIATIONS) / _DEVIATIONS, None, _MOST_DEVIATION)
        deviation = np.maximum(deviation, 1 / _DEVIATIONS)
        family = self._stream.model.QuantizedGaussian(-most, most)
        return middle, family, mean.ravel(), deviation.ravel()


class Tables:
    """Shares of values, float64 [m, K], cut into parts that fit the memory.

    A subclass makes a part when it is asked for.
    """

    def __init__(self, counts: np.ndarray):
        self._counts = counts
        self.shape: Sequence[int] = counts.shape

    def __getitem__(self, part: slice) -> np.ndarray:
        return np.ascontiguousarray(self._counts[part])

    def parts(self) -> "list[slice]":
        """Returns the parts in order."""
        count, size = self.shape
        step = max(1, _AT_ONCE // size)
        return [slice(start, min(start + step, count)) for start in range(0, count, step)]
