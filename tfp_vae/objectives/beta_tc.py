"""A weight on the total correlation of the codes (Chen et al., "Isolating sources", NeurIPS 2018).

KL(q(z|x) || p(z)) = I(x; z) + TC(z) + sum_d KL(q(z_d) || p(z_d)), in the mean over x
"""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_choice
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.elbo import number_or_schedule, value_at
from tfp_vae.objectives.regularized import RegularizedBound, latent_of, members_of
from tfp_vae.objectives.terms import Terms

ESTIMATES = ("mss", "mws")


@BOUNDS.register("beta_tc", "elbo with the total correlation of the codes weighed by beta")
@registered
class BetaTC(RegularizedBound):
    """-E log p(x|z) + I + beta TC + dimension-wise KL; with beta = 1 exactly minus the ELBO.

    TC is estimated by the batch: good to train with, and no metric (`evaluation.aggregate` has the
    sum over all data).

    Args:
        beta: weight of the total correlation, a number or a schedule of the training step.
        estimate: of log q(z): "mss", minibatch stratified sampling, or "mws", weighted sampling.
    """

    needs_parameters = True
    needs_size = True

    def __init__(self, beta: Any = 6.0, estimate: str = "mss"):
        self.beta = number_or_schedule("beta", beta)
        self.estimate = check_choice("estimate", estimate, ESTIMATES)

    def penalty(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns (beta - 1) TC, nats."""
        log_q = members_of(terms).log_prob(latent_of(terms).value[:, :, tf.newaxis])
        found = total_correlation(log_q, terms.weights.num_data, self.estimate)
        return (value_at(self.beta, step) - 1.0) * found

    def kl_weight(self, step: "tf.Tensor | int") -> "tf.Tensor | float":
        """Returns 1: the other parts of the KL are not weighed."""
        del step
        return 1.0

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        beta = keras.saving.serialize_keras_object(self.beta)
        return {"beta": beta, "estimate": self.estimate}


def total_correlation(log_q: tf.Tensor, num_data: Any, estimate: str = "mss") -> tf.Tensor:
    """Returns E[log q(z) - sum_d log q(z_d)] by a batch, a scalar in nats.

    Args:
        log_q: log q(z_id | x_j), [B, B, D] or [S, B, B, D]: the draw of example i under the
            posterior of example j.
        num_data: N, the examples that q(z) is the mean over; at least B is assumed.
        estimate: see `BetaTC`.
    """
    weights = log_weights(tf.shape(log_q)[-2], num_data, estimate)
    joint = tf.reduce_logsumexp(tf.reduce_sum(log_q, axis=-1) + weights, axis=-1)
    each = tf.reduce_logsumexp(log_q + weights[..., tf.newaxis], axis=-2)
    return tf.reduce_mean(joint - tf.reduce_sum(each, axis=-1))


def log_weights(batch: Any, num_data: Any, estimate: str = "mss") -> tf.Tensor:
    """Returns the logs of the weights [B, B] of q(z_i|x_j) in an estimate of q(z_i).

    "mss" (appendix C.2): 1 / N of an example itself, (N - M) / (N M) of one other, and 1 / M of the
    rest, M = B - 1: each row sums to 1 and the mean over batches is q(z). (What is usually copied
    writes the first into a column, and a row that sums to more.) "mws" (C.1): 1 / (N B) of all.
    """
    batch = tf.convert_to_tensor(batch)
    count = tf.cast(batch, tf.float32)
    size = tf.maximum(tf.cast(num_data, tf.float32), count)
    if estimate == "mws":
        return tf.fill([batch, batch], -tf.math.log(size * count))
    others = tf.maximum(count - 1.0, 1.0)
    own = tf.eye(batch)
    next_one = tf.roll(own, 1, axis=1) * (1.0 - own)
    rest = 1.0 - own - next_one
    found = own / size + next_one * (size - others) / (size * others) + rest / others
    return tf.where(batch > 1, tf.math.log(found), tf.zeros_like(found))
