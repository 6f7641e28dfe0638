"""Independent Student's t: latents with room for what is far off."""

import math
from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions import draws
from tfp_vae.distributions.draws import NORMAL, Family, Noise
from tfp_vae.distributions.own import Own
from tfp_vae.distributions.priors.base import PRIORS, Context, Prior, registered


class StudentTNumbers(Own):
    """Student's t around 0 with scale 1 and a whole number of degrees of freedom.

    Args:
        degrees: of freedom, an integer.
        batch: the batch shape.
        event: the event shape, of independent numbers.
    """

    def __init__(
        self,
        degrees: int,
        batch: "tuple[int, ...]" = (),
        event: "tuple[int, ...]" = (),
        name: str = "StudentTNumbers",
    ):
        parameters = dict(locals())
        self.degrees, self._batch, self._event = degrees, tuple(batch), tuple(event)
        super().__init__(parameters, name)

    def _batch_shape(self):
        return tf.TensorShape(self._batch)

    def _batch_shape_tensor(self, **_):
        return tf.constant(self._batch, tf.int32)

    def _event_shape(self):
        return tf.TensorShape(self._event)

    def _event_shape_tensor(self):
        return tf.constant(self._event, tf.int32)


@draws.family(StudentTNumbers)
class StudentTDraws(Family):
    """A normal number over the root of the mean of squares of others."""

    def noise(self, distribution: StudentTNumbers) -> "tuple[Noise, ...]":
        """A normal number, and as many as there are degrees of freedom."""
        event = tuple(distribution.event_shape)
        return Noise(NORMAL, event), Noise(NORMAL, (*event, distribution.degrees))

    def transform(
        self, distribution: StudentTNumbers, number: tf.Tensor, others: tf.Tensor
    ) -> "tuple[tf.Tensor, Any]":
        """Returns draws, Student's t by its definition."""
        value = number / tf.sqrt(tf.reduce_mean(tf.square(others), axis=-1))
        return value, lambda: self.log_prob(distribution, value)

    def log_prob(self, distribution: StudentTNumbers, value: tf.Tensor) -> tf.Tensor:
        """Returns the log-density, in nats."""
        degrees = distribution.degrees
        constant = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
        constant -= 0.5 * math.log(degrees * math.pi)
        each = constant - (degrees + 1) / 2 * tf.math.log(1.0 + tf.square(value) / degrees)
        axes = len(distribution.event_shape)
        return tf.reduce_sum(each, axis=list(range(-axes, 0))) if axes else each

    def members(self, distribution: StudentTNumbers) -> StudentTNumbers:
        """Returns the distributions of the numbers of a vector."""
        return StudentTNumbers(distribution.degrees, tuple(distribution.event_shape))

    def centre(self, distribution: StudentTNumbers) -> tf.Tensor:
        """Returns zeros, also where there is no mean."""
        return tf.zeros(distribution.batch_shape + distribution.event_shape)


@PRIORS.register("student_t", "independent Student's t")
@registered
class StudentT(Prior):
    """p(z) = prod_d t(z_d; degrees), whose tails hold what is far off at little cost.

    Args:
        latent_dim: D.
        degrees: of freedom, an integer >= 1.

    Raises:
        ValueError: for degrees < 1.
    """

    def __init__(self, latent_dim: int, degrees: int = 5, **kwargs: Any):
        super().__init__(latent_dim, **kwargs)
        self.degrees = check_count("degrees", degrees)

    def distribution(self, context: Context) -> StudentTNumbers:
        """Returns `StudentTNumbers` with event shape [D]."""
        return StudentTNumbers(self.degrees, event=(self.latent_dim,))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "degrees": self.degrees}
