"""The thermodynamic variational objective (Masrani, Le & Wood, NeurIPS 2019)."""

import itertools
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.gradients.base import Gradient
from tfp_vae.objectives.terms import Terms, batch_mean
from tfp_vae.objectives.weighted import WeightedBound


@BOUNDS.register("tvo", "thermodynamic: the left sum of E_b log w over b from q to p")
@registered
class TVO(WeightedBound):
    """sum_i (b[i+1] - b[i]) E_b[i][log w] with b[0] = 0 and b[P] = 1, eq. 7: a lower bound.

    E_b is the mean under q^(1-b) p(x, z)^b, by weights softmax(b log w) of the draws: biased for
    few of them. One partition is the ELBO. Of more the inner points lie evenly in log b.

    Args:
        partitions: P.
        first: b[1] where P > 1.
        gradient: "score", E_b[grad log w] + Cov_b(grad log(q^(1-b) p^b), log w) at fixed draws
            (eq. 12), for any latents; or "path", the derivative of the value through its draws.
    """

    name = "tvo"
    estimators = ("score", "path")

    def __init__(
        self, partitions: int = 2, first: float = 0.025, gradient: "Gradient | str" = "score"
    ):
        super().__init__(gradient)
        self.partitions = check_count("partitions", partitions)
        self.first = check_number("first", first, above=0, below=1)

    @property
    def points(self) -> "list[float]":
        """b[0] to b[P]."""
        inner = self.partitions - 1
        return [0.0, *(self.first ** ((inner - i) / inner) for i in range(inner)), 1.0]

    def check(self, model: keras.Model) -> None:
        """Raises `ValueError` as every bound does, and for one draw, which has no covariance."""
        super().check(model)
        if self.gradient.name == "score" and model.num_samples < 2:
            raise ValueError(
                "The gradient of tvo is a covariance over draws. Expected num_samples >= 2. "
                f"Received {model.num_samples}."
            )

    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns the left sum of each example, [B], nats."""
        return thermodynamic_sum(log_weights, log_shares, self.points)

    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Raises `ValueError`: the derivative by a log weight may be 0 where the second is not."""
        raise ValueError(
            "tvo has no doubly reparameterised gradient. Expected gradient='score' or 'path'. "
            "Received 'dreg'."
        )

    def loss(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns minus the mean of the left sum, whose derivative is the estimate."""
        if self.gradient.name != "score":
            return super().loss(terms, step)
        found = self._surrogate(terms)
        return terms.weights.per_example() - batch_mean(found, terms.sample_weight)

    def _surrogate(self, terms: Terms) -> tf.Tensor:
        terms.scale_path(0.0)
        fixed = terms.fixed()
        log_weights, log_shares = fixed.log_weights(), tf.stop_gradient(fixed.log_shares())
        held = tf.stop_gradient(log_weights)
        log_q = tf.add_n([latent.log_q for latent in fixed.latents])
        count = tf.cast(tf.shape(held)[0] // terms.rows_per_draw, tf.float32)
        unbiased = tf.math.divide_no_nan(count, count - 1.0)
        total = tf.zeros_like(held[0])
        for low, high in itertools.pairwise(self.points):
            weights = tf.nn.softmax(log_shares + low * held, axis=0)
            centred = held - tf.reduce_sum(weights * held, axis=0)
            density = log_q + low * log_weights
            each = log_weights + unbiased * centred * density
            total += (high - low) * tf.reduce_sum(weights * each, axis=0)
        return total - tf.stop_gradient(total - self.local(held, log_shares))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "partitions": self.partitions, "first": self.first}


def thermodynamic_sum(
    log_weights: tf.Tensor, log_shares: tf.Tensor, points: "Sequence[float]", right: bool = False
) -> tf.Tensor:
    """Returns the left sum, or the right one, which is an upper bound, of each example, [B].

    Args:
        log_weights: [rows, B].
        log_shares: [rows, B].
        points: b from 0 to 1, rising.
        right: whether each interval has the expectation at its upper end.
    """
    total = tf.zeros_like(log_weights[0])
    for low, high in itertools.pairwise(points):
        weights = tf.nn.softmax(log_shares + (high if right else low) * log_weights, axis=0)
        total += (high - low) * tf.reduce_sum(weights * log_weights, axis=0)
    return total
