"""A normal posterior whose covariance is a diagonal and a few directions."""

import math
from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import positive, tfd
from tfp_vae.distributions.draws import NORMAL, Noise
from tfp_vae.distributions.encoders.base import ENCODERS, Encoder, registered
from tfp_vae.distributions.own import OwnVectors

_LOG_2_PI = math.log(2 * math.pi)


class LowRankNormal(OwnVectors):
    """N(loc, diag(scale)^2 + sum_r u_r u_r^T), solved direction by direction.

    Args:
        loc: [*batch, D].
        scale: [*batch, D].
        directions: u, [*batch, R, D].
    """

    def __init__(
        self,
        loc: tf.Tensor,
        scale: tf.Tensor,
        directions: tf.Tensor,
        name: str = "LowRankNormal",
    ):
        parameters = dict(locals())
        self.loc, self.scale, self.directions = loc, scale, directions
        super().__init__(loc, parameters, name)

    def _mean(self):
        return self.loc

    def _variance(self):
        return tf.square(self.scale) + tf.reduce_sum(tf.square(self.directions), axis=-2)

    def _stddev(self):
        return tf.sqrt(self._variance())

    def solved(self) -> "tuple[list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]], tf.Tensor]":
        """Returns what a density needs: (u, P u, 1 + u.P u) of each direction, and log det.

        P is the precision of the diagonal and the directions before it (Sherman & Morrison), so
        that no matrix is solved, which exports cannot do.
        """
        log_det = 2.0 * tf.reduce_sum(tf.math.log(self.scale), axis=-1)
        known: list[tuple[tf.Tensor, tf.Tensor, tf.Tensor]] = []
        for u in tf.unstack(self.directions, axis=-2):
            moved = self.precise(u, known)
            factor = 1.0 + tf.reduce_sum(u * moved, axis=-1, keepdims=True)
            known.append((u, moved, factor))
            log_det += tf.math.log(factor[..., 0])
        return known, log_det

    def precise(self, value: tf.Tensor, known: list) -> tf.Tensor:
        """Returns P value, [..., D]."""
        found = value / tf.square(self.scale)
        for _, moved, factor in known:
            found -= moved * (tf.reduce_sum(moved * value, axis=-1, keepdims=True) / factor)
        return found


@draws.family(LowRankNormal)
class LowRankDraws(draws.OfTensors):
    """loc + scale e + sum_r u_r e_r of normal numbers."""

    def noise(self, distribution: LowRankNormal) -> "tuple[Noise, ...]":
        """A normal number per dimension, and one per direction."""
        rank, size = distribution.directions.shape[-2:]
        return Noise(NORMAL, (size,)), Noise(NORMAL, (rank,))

    def transform(
        self, distribution: LowRankNormal, own: tf.Tensor, along: tf.Tensor
    ) -> "tuple[tf.Tensor, Any]":
        """Returns draws."""
        value = distribution.loc + distribution.scale * own
        value += tf.reduce_sum(along[..., tf.newaxis] * distribution.directions, axis=-2)
        return value, lambda: self.log_prob(distribution, value)

    def log_prob(self, distribution: LowRankNormal, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density, in nats."""
        off = value - distribution.loc
        known, log_det = distribution.solved()
        square = tf.reduce_sum(off * distribution.precise(off, known) + _LOG_2_PI, axis=-1)
        return -0.5 * (square + log_det)


@ENCODERS.register("low_rank", "normal, a few directions of covariance")
@registered
class LowRank(Encoder):
    """q(z|x) = N(loc(x), diag(scale(x))^2 + sum_r u_r(x) u_r(x)^T), between diagonal and full.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
        rank: R, directions.

    Raises:
        ValueError: for rank < 1.
    """

    def __init__(self, network: Any, latent_dim: int, rank: int = 2, **kwargs: Any):
        super().__init__(network, latent_dim, **kwargs)
        self.rank = check_count("rank", rank)

    @property
    def output_size(self) -> int:
        """D values of loc, of scale, and of each direction."""
        return (2 + self.rank) * self.latent_dim

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Cuts the projection into loc and scale [..., D], and directions [..., R, D]."""
        size = self.latent_dim
        loc, scale, directions = tf.split(outputs, [size, size, self.rank * size], axis=-1)
        shape = tf.concat([tf.shape(outputs)[:-1], [self.rank, size]], 0)
        return [loc, scale, tf.reshape(directions, shape)]

    def distribution(
        self, loc: tf.Tensor, raw_scale: tf.Tensor, directions: tf.Tensor
    ) -> LowRankNormal:
        """Returns the `LowRankNormal`."""
        return LowRankNormal(loc, positive(raw_scale), directions)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "rank": self.rank}


@tfd.RegisterKL(LowRankNormal, tfd.MultivariateNormalDiag)
def _kl(q: LowRankNormal, p: tfd.MultivariateNormalDiag, name: "str | None" = None) -> tf.Tensor:
    """Returns KL(q || p) in closed form, nats."""
    entry: Any = draws.normal_of(p)
    scale = entry.scale(p)
    spread = (q.variance() + tf.square(q.loc - entry.loc(p))) / tf.square(scale)
    total = tf.reduce_sum(0.5 * (spread - 1.0) + tf.math.log(scale), axis=-1)
    return total - 0.5 * q.solved()[1]
