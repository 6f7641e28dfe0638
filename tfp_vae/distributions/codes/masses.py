"""Distributions of codes: independent ones with logits, relaxed ones, and a point mass.

Events are the numbers of the codes of a `Codebook`, [T E], and log_prob is the log of a
probability, so that KLs and bounds are those of discrete latents.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.codes.books import Codebook
from tfp_vae.distributions.draws import UNIFORM, Family, Noise
from tfp_vae.distributions.own import Own, OwnVectors


class Codes(Own):
    """T independent codes.

    Args:
        book: what numbers they are.
        logits: [*batch, T, K].
    """

    def __init__(self, book: Codebook, logits: tf.Tensor, name: str = "Codes", kind: Any = None):
        self.book, self.logits = book, logits
        parameters = {"book": book, "logits": logits}
        super().__init__(parameters, name, kind or tfd.NOT_REPARAMETERIZED)

    @property
    def log_masses(self) -> tf.Tensor:
        """The log of the probability of every code, [*batch, T, K], nats."""
        return tf.nn.log_softmax(self.logits)

    def _batch_shape(self):
        return self.logits.shape[:-2]

    def _batch_shape_tensor(self, **_):
        return tf.shape(self.logits)[:-2]

    def _event_shape(self):
        return tf.TensorShape([self.book.size])

    def _event_shape_tensor(self):
        return tf.constant([self.book.size], tf.int32)

    def _mean(self):
        every = self.book.numbers(tf.range(self.book.count))
        shares = tf.nn.softmax(self.logits)
        return self.book.joined(tf.tensordot(shares, every, 1))


@draws.family(Codes)
class CodesDraws(Family):
    """A uniform number for each code, by the inverse of the distribution function."""

    def noise(self, distribution: Codes) -> "tuple[Noise, ...]":
        """One uniform number per place."""
        return (Noise(UNIFORM, (distribution.book.places,)),)

    def transform(self, distribution: Codes, noise: tf.Tensor) -> "tuple[tf.Tensor, Any]":
        """Returns codes."""
        index = inverse(distribution.logits, noise)
        value = distribution.book.codes(index)
        return value, lambda: mass_at(distribution.log_masses, index)

    def log_prob(self, distribution: Codes, value: tf.Tensor) -> tf.Tensor:
        """Returns the log of the probability of the codes that numbers stand for, nats."""
        return mass_at(distribution.log_masses, distribution.book.index(value))

    def centre(self, distribution: Codes) -> tf.Tensor:
        """Returns the likeliest codes: between codes there is none."""
        index = tf.argmax(distribution.logits, -1, output_type=tf.int32)
        return distribution.book.codes(index)


def inverse(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Returns codes below which lies a share `uniform`, [..., K] and [...] -> int32 [...]."""
    below = tf.cumsum(tf.nn.softmax(logits), axis=-1)[..., :-1]
    return tf.reduce_sum(tf.cast(uniform[..., tf.newaxis] >= below, tf.int32), axis=-1)


def mass_at(log_masses: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Returns the sum of the log masses of codes, [*, T, K] and [..., T] -> [...]."""
    chosen = tf.one_hot(index, log_masses.shape[-1])
    return tf.reduce_sum(chosen * log_masses, axis=[-2, -1])


class Relaxed(Codes):
    """One-hot codes whose draws have slopes (Jang et al., 2017; Maddison et al., 2017).

    A draw is softmax((logits + g) / temperature) with Gumbel noise g; `is_hard` makes it the code
    that this is nearest to, with the slope of the relaxed one (straight through). The mass, and so
    the KL, is that of codes: a relaxed draw is no code, and a loss of it is no bound.

    Args:
        book: one-hot codes.
        logits: [*batch, T, K].
        temperature: above 0.
        is_hard: whether draws are codes.
    """

    def __init__(self, book: Codebook, logits: tf.Tensor, temperature: Any, is_hard: bool):
        super().__init__(book, logits, "Relaxed", tfd.FULLY_REPARAMETERIZED)
        self.temperature, self.is_hard = temperature, is_hard

    def hardened(self, value: tf.Tensor) -> "tf.Tensor | None":
        """Returns the codes nearest to draws, or None where draws are codes already."""
        return None if self.is_hard else self.book.codes(self.book.index(value))


@draws.family(Relaxed)
class RelaxedDraws(CodesDraws):
    """A Gumbel number for each logit."""

    def noise(self, distribution: Relaxed) -> "tuple[Noise, ...]":
        """One uniform number per place and code."""
        return (Noise(UNIFORM, (distribution.book.places, distribution.book.count)),)

    def transform(self, distribution: Relaxed, noise: tf.Tensor) -> "tuple[tf.Tensor, Any]":
        """Returns relaxed codes, or codes with their slope."""
        gumbel = -tf.math.log(-tf.math.log(draws.inside(noise)))
        soft = tf.nn.softmax((distribution.log_masses + gumbel) / distribution.temperature)
        book = distribution.book
        index = book.nearest(soft)
        if distribution.is_hard:
            soft = soft + tf.stop_gradient(book.numbers(index) - soft)
        return book.joined(soft), lambda: mass_at(distribution.log_masses, index)


@tfd.RegisterKL(Codes, Codes)
def _kl(q: Codes, p: Codes, name: "str | None" = None) -> tf.Tensor:
    """Returns KL(q || p), nats."""
    ratio = q.log_masses - p.log_masses
    return tf.reduce_sum(tf.nn.softmax(q.logits) * ratio, axis=[-2, -1])


class Point(OwnVectors):
    """All mass at one value: a posterior that is a function of the example.

    Args:
        value: [*batch, D].
        index: of the codes that the value is of, int32 [*batch, T], where a codebook moves on.
        penalty: what is added to the loss of the training that it is of, a scalar, or None.
    """

    def __init__(
        self,
        value: tf.Tensor,
        name: str = "Point",
        index: "tf.Tensor | None" = None,
        penalty: "tf.Tensor | None" = None,
    ):
        self.value, self.index, self.penalty = value, index, penalty
        super().__init__(value, {"value": value}, name)

    def _mean(self):
        return self.value


@draws.family(Point)
class PointDraws(Family):
    """Every draw is the value, and log q is 0 there."""

    def noise(self, distribution: Point) -> "tuple[Noise, ...]":
        """One number, which says how many draws there are and is not used."""
        return (Noise(UNIFORM, ()),)

    def transform(self, distribution: Point, noise: tf.Tensor) -> "tuple[tf.Tensor, Any]":
        """Returns the value, once per draw."""
        value = distribution.value + 0.0 * noise[..., tf.newaxis]
        return value, lambda: 0.0 * noise

    def log_prob(self, distribution: Point, value: tf.Tensor) -> tf.Tensor:
        """Returns 0: only the value itself is ever asked about."""
        return tf.zeros(tf.broadcast_dynamic_shape(
            tf.shape(value), tf.shape(distribution.value))[:-1])  # fmt: skip


class Concatenated(Own):
    """Independent parts side by side, such as real numbers and codes.

    Args:
        parts: distributions of vectors, with one batch shape.
    """

    def __init__(self, parts: "Sequence[tfd.Distribution]", name: str = "Concatenated"):
        self.parts = tuple(parts)
        kinds = {part.reparameterization_type for part in parts}
        has_slopes = kinds == {tfd.FULLY_REPARAMETERIZED}
        kind = tfd.FULLY_REPARAMETERIZED if has_slopes else tfd.NOT_REPARAMETERIZED
        super().__init__({"parts": parts}, name, kind)

    @property
    def sizes(self) -> "list[int]":
        """The number of dimensions of each part."""
        return [part.event_shape[0] for part in self.parts]

    def hardened(self, value: tf.Tensor) -> "tf.Tensor | None":
        """Returns draws with codes for relaxed ones, or None where there are none of these."""
        cut, found = tf.split(value, self.sizes, axis=-1), []
        for part, here in zip(self.parts, cut, strict=True):
            found.append(part.hardened(here) if isinstance(part, Relaxed) else None)
        if all(each is None for each in found):
            return None
        return tf.concat([b if a is None else a for a, b in zip(found, cut, strict=True)], -1)

    def _batch_shape(self):
        return self.parts[0].batch_shape

    def _batch_shape_tensor(self, **_):
        return draws.batch_shape(self.parts[0])

    def _event_shape(self):
        return tf.TensorShape([sum(self.sizes)])

    def _event_shape_tensor(self):
        return tf.constant([sum(self.sizes)], tf.int32)

    def _mean(self):
        return tf.concat([part.mean() for part in self.parts], axis=-1)


@draws.family(Concatenated)
class ConcatenatedDraws(Family):
    """Each part as its own family says."""

    def noise(self, distribution: Concatenated) -> "tuple[Noise, ...]":
        """That of all parts."""
        return tuple(each for part in distribution.parts for each in draws.noise_of(part))

    def transform(self, distribution: Concatenated, *noise: tf.Tensor) -> "tuple[tf.Tensor, Any]":
        """Returns the draws of all parts."""
        values, masses, rest = [], [], list(noise)
        for part in distribution.parts:
            count = len(draws.noise_of(part))
            here, rest = rest[:count], rest[count:]
            value, log_prob = draws.from_noise(part, *here)
            values.append(value)
            masses.append(log_prob)
        return tf.concat(values, -1), lambda: tf.add_n([log_prob() for log_prob in masses])

    def log_prob(self, distribution: Concatenated, value: tf.Tensor) -> tf.Tensor:
        """Returns the sum over the parts, nats."""
        cut = tf.split(value, distribution.sizes, axis=-1)
        pairs = zip(distribution.parts, cut, strict=True)
        return sum(draws.log_prob(part, here) for part, here in pairs)

    def centre(self, distribution: Concatenated) -> tf.Tensor:
        """Returns the centres of the parts."""
        return tf.concat([draws.centre(part) for part in distribution.parts], axis=-1)


@tfd.RegisterKL(Concatenated, Concatenated)
def _kl_of_parts(q: Concatenated, p: Concatenated, name: "str | None" = None) -> tf.Tensor:
    """Returns the sum of the KLs of the parts, nats."""
    pairs = zip(q.parts, p.parts, strict=True)
    return sum(draws.kl_divergence(one, other) for one, other in pairs)
