"""The partially importance-weighted bound (Rainforth et al., ICML 2018)."""

import math

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.gradients.base import Gradient, check_held
from tfp_vae.objectives.miwae import weights_in_groups
from tfp_vae.objectives.terms import Terms, batch_mean
from tfp_vae.objectives.weighted import WeightedBound, check_groups

# Of the weight of a draw for the model: below it is nothing in float32, and what flows back to z
# is divided by it.
_LEAST = 1e-12


@BOUNDS.register("piwae", "iwae for the model, the mean over groups for the encoder")
@registered
class PIWAE(WeightedBound):
    """The model is trained on L_MK, the encoder on the mean of L_K over M groups (section 5).

    The value is L_MK. One backward pass: rows have the weights of the model, and what flows back
    through their draws is multiplied by the quotient of both.

    Args:
        groups: M; `num_samples` of the model is a multiple of it.
        gradient: "path", "stl" or "dreg".
    """

    name = "piwae"
    taps = True
    estimators = ("path", "stl", "dreg")

    def __init__(self, groups: int = 1, gradient: "Gradient | str" = "path"):
        super().__init__(gradient)
        self.groups = check_count("groups", groups)

    def check(self, model: keras.Model) -> None:
        """Raises `ValueError` as every bound does, groups not filled, a q not to hold."""
        super().check(model)
        check_groups(self, model, self.groups)
        if self.gradient.name == "path":  # the others have looked at q
            check_held("The bound 'piwae'", model)

    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns L_MK of each example, [B], nats."""
        return tf.reduce_logsumexp(log_shares + log_weights, axis=0)

    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns the weights normalised in their group, [rows, B], relative to the encoder's."""
        return weights_in_groups(log_weights, log_shares, self.groups)[0]

    def loss(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns minus the mean of L_MK, with the derivatives of both."""
        del step
        found = self._surrogate(terms)
        return terms.weights.per_example() - batch_mean(found, terms.sample_weight)

    def _surrogate(self, terms: Terms) -> tf.Tensor:
        log_weights, log_shares = terms.log_weights(), terms.log_shares()
        value = self.local(log_weights, log_shares)
        held, shares = tf.stop_gradient(log_weights), tf.stop_gradient(log_shares)
        model = tf.maximum(tf.nn.softmax(held + shares, axis=0), _LEAST)
        within, encoder = weights_in_groups(held, shares, self.groups)
        path = encoder * within if self.gradient.name == "dreg" else encoder
        terms.scale_path(path / model)
        # Classes are summed over: the derivative of a share is that of its logarithm.
        there = tf.where(log_shares > -math.inf, log_shares, 0.0)
        total = model * (terms.stopped().log_weights() + there)
        if self.gradient.name == "path":  # and log q by its parameters
            total -= encoder * terms.fixed().log_q_of_draws()
        total = tf.reduce_sum(total, axis=0)
        return total - tf.stop_gradient(total - value)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "groups": self.groups}
