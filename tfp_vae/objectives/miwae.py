"""The multiply importance-weighted bound (Rainforth et al., ICML 2018)."""

import math

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.gradients.base import Gradient
from tfp_vae.objectives.weighted import WeightedBound, check_groups, grouped


@BOUNDS.register("miwae", "the mean of iwae over groups of the draws")
@registered
class MIWAE(WeightedBound):
    """mean_m L_K of group m, eq. 12: M K draws in M groups, next to each other.

    Args:
        groups: M; `num_samples` of the model is a multiple of it.
        gradient: a name of `objectives.gradients.GRADIENTS`.
    """

    name = "miwae"

    def __init__(self, groups: int = 1, gradient: "Gradient | str" = "path"):
        super().__init__(gradient)
        self.groups = check_count("groups", groups)

    def check(self, model: keras.Model) -> None:
        """Raises `ValueError` as every bound does, and where the draws do not fill groups."""
        super().check(model)
        check_groups(self, model, self.groups)

    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns the bound of each example, [B], nats."""
        return groups_mean(log_weights, log_shares, self.groups)

    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns the weights normalised in their group, [rows, B]."""
        return weights_in_groups(log_weights, log_shares, self.groups)[0]

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "groups": self.groups}


def _parts(log_weights, log_shares, groups):
    """Returns (log w, log shares in the group, share of the group, where there are any)."""
    log_weights, log_shares = (grouped(x, groups) for x in (log_weights, log_shares))
    alive = tf.reduce_max(log_shares, axis=1, keepdims=True) > -math.inf
    log_shares = tf.where(alive, log_shares, 0.0)  # or the derivative of nothing is no number
    log_group = tf.reduce_logsumexp(log_shares, axis=1, keepdims=True)
    share = tf.where(alive, tf.exp(log_group), 0.0)
    return log_weights, log_shares - log_group, share


def groups_mean(log_weights: tf.Tensor, log_shares: tf.Tensor, groups: int) -> tf.Tensor:
    """Returns the mean over groups of the importance-weighted bound, [B]."""
    log_weights, log_shares, share = _parts(log_weights, log_shares, groups)
    within = tf.reduce_logsumexp(log_shares + log_weights, axis=1, keepdims=True)
    return tf.reduce_sum(share * within, axis=[0, 1])


def weights_in_groups(
    log_weights: tf.Tensor, log_shares: tf.Tensor, groups: int
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Returns weights normalised in their group, and times the group's share, [rows, B] each."""
    shape = tf.shape(log_weights)
    log_weights, log_shares, share = _parts(log_weights, log_shares, groups)
    within = tf.nn.softmax(log_shares + log_weights, axis=1)
    return tf.reshape(within, shape), tf.reshape(within * share, shape)
