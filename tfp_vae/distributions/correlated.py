"""A decoder whose real values vary together: a normal with a few directions of covariance."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions import draws, heads
from tfp_vae.distributions.base import registered, tfd
from tfp_vae.distributions.decoders import Decoder
from tfp_vae.distributions.draws import Family, Noise
from tfp_vae.distributions.encoders.low_rank import LowRankNormal
from tfp_vae.distributions.own import Own


@registered
class CorrelatedDecoder(Decoder):
    """p(x|z) = N(loc(z), diag(scale(z))^2 + sum_r u_r(z) u_r(z)^T) over all values of an example.

    Errors of neighbouring pixels are alike, which independent normals take for noise: their samples
    are grainy. Dorta et al. ("Structured uncertainty prediction networks", CVPR 2018) let the
    decoder say how errors go together; here by R directions beside a diagonal, which costs R times
    the values and needs no matrix to be solved.

    The directions are in the units of the head. The least scale of the head bounds the density: the
    determinant of the covariance is never below that of the diagonal.

    Args:
        network: Keras layer or model, [B, D] -> [B, F] or [B, H, W, F].
        event_shape: the shape of one example.
        head: `heads.Normal` with a scale that is "trained", "per_pixel" or a number.
        rank: R, directions.

    Raises:
        ValueError: for rank < 1, another head, or a scale that is set to an optimum of independent
            values.
    """

    def __init__(
        self,
        network: keras.Layer,
        event_shape: Sequence[int],
        head: heads.Head,
        rank: int = 4,
        **kwargs: Any,
    ):
        super().__init__(network, event_shape, head, **kwargs)
        self.rank = check_count("rank", rank)
        if not isinstance(head, heads.Normal) or head.profiles:
            scale = f"(scale={head.scale!r})" if isinstance(head, heads.Normal) else ""
            raise ValueError(
                "Values that vary together are normal, with a scale that is no optimum of "
                "independent ones. Expected heads.Normal with scale='trained', 'per_pixel' or a "
                f"number. Received {type(head).__name__}{scale}."
            )

    @property
    def parameters_per_event(self) -> int:
        """The numbers that the head needs for one value, and one of each direction."""
        return self.head.num_features + self.rank

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Returns features of the head and directions, [..., *event_shape, F] and R."""
        (both,) = super().split(outputs)
        return tf.split(both, [self.head.num_features, self.rank], axis=-1)

    def distribution(self, features: tf.Tensor, directions: tf.Tensor) -> "CorrelatedNormal":
        """Returns p(x|z).

        Args:
            features: of the head, [..., *event_shape, F].
            directions: in the units of the head, [..., *event_shape, R].
        """
        parameters = self.head.parameters(features)
        directions *= tf.expand_dims(tf.convert_to_tensor(self.head.unit_scale), -1)  # [C, 1]
        loc, scale = parameters[..., 0], parameters[..., 1]
        return CorrelatedNormal(loc, scale, directions, len(self.event_shape))

    def profiled(
        self, distribution: tfd.Distribution, x: tf.Tensor, weight: "tf.Tensor | None" = None
    ) -> tfd.Distribution:
        """Returns `distribution`: nothing is set to an optimum."""
        return distribution

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "rank": self.rank}


class CorrelatedNormal(Own):
    """N(loc, diag(scale)^2 + sum_r u_r u_r^T) of the values of an example of any shape.

    Args:
        loc: [*batch, *event].
        scale: [*batch, *event].
        directions: u, [*batch, *event, R].
        axes: of the event.

    Attributes:
        flat: the same of the values in a row, a `LowRankNormal` with event shape [D].
    """

    def __init__(
        self,
        loc: tf.Tensor,
        scale: tf.Tensor,
        directions: tf.Tensor,
        axes: int,
        name: str = "CorrelatedNormal",
    ):
        parameters = {"loc": loc, "scale": scale, "directions": directions, "axes": axes}
        self.event = tuple(loc.shape[-axes:])
        rank = directions.shape[-1]
        rows = self.in_a_row(directions, 1 + axes, (rank,))
        self.flat = LowRankNormal(
            self.in_a_row(loc, axes), self.in_a_row(scale, axes), tf.linalg.matrix_transpose(rows)
        )
        super().__init__(parameters, name)

    @staticmethod
    def in_a_row(values: tf.Tensor, axes: int, kept: "tuple[int, ...]" = ()) -> tf.Tensor:
        """Returns values with the event in one axis, [*batch, *event, *kept] -> [.., D, *kept]."""
        event = values.shape[-axes : values.shape.rank - len(kept)]
        size = tf.TensorShape(event).num_elements()
        return tf.reshape(values, tf.concat([tf.shape(values)[:-axes], [size, *kept]], 0))

    def in_shape(self, values: tf.Tensor) -> tf.Tensor:
        """Returns values in the shape of an example, [..., D] -> [..., *event]."""
        return tf.reshape(values, tf.concat([tf.shape(values)[:-1], self.event], 0))

    def _batch_shape(self):
        return self.flat.batch_shape

    def _batch_shape_tensor(self, **_):
        return self.flat.batch_shape_tensor()

    def _event_shape(self):
        return tf.TensorShape(self.event)

    def _event_shape_tensor(self):
        return tf.constant(self.event, tf.int32)

    def _mean(self):
        return self.in_shape(self.flat.mean())

    def _mode(self):
        return self._mean()

    def _variance(self):
        return self.in_shape(self.flat.variance())

    def _stddev(self):
        return self.in_shape(self.flat.stddev())


@draws.family(CorrelatedNormal)
class CorrelatedDraws(Family):
    """Those of the values in a row."""

    def noise(self, distribution: CorrelatedNormal) -> "tuple[Noise, ...]":
        """Returns a normal number per value, and one per direction."""
        return draws.noise_of(distribution.flat)

    def transform(
        self, distribution: CorrelatedNormal, *noise: tf.Tensor
    ) -> "tuple[tf.Tensor, Any]":
        """Returns draws."""
        value, log_prob = draws.from_noise(distribution.flat, *noise)
        return distribution.in_shape(value), log_prob

    def log_prob(self, distribution: CorrelatedNormal, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density, in nats."""
        row = distribution.in_a_row(tf.cast(value, tf.float32), len(distribution.event))
        return draws.log_prob(distribution.flat, row)
