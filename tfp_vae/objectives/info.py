"""A penalty on how far the codes of a batch are from the prior (Zhao et al., "InfoVAE", 2019)."""

import tensorflow as tf

from tfp_vae.arguments import check_number
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.regularized import RegularizedBound, latent_of
from tfp_vae.objectives.terms import Terms, batch_mean


@BOUNDS.register("info", "elbo with a discrepancy of the codes from the prior")
@registered
class InfoVAE(RegularizedBound):
    """Minus E log p(x|z) - (1 - alpha) KL - (alpha + lambda - 1) MMD(q(z), p(z)).

    With alpha = 0 and lambda = 1 exactly minus the ELBO.

    Args:
        alpha: of the KL, at most 1: 0 for all of it, 1 for none.
        mmd: lambda; alpha + lambda >= 1. MMD^2 of a normal kernel is below 2, so it is large.
    """

    needs_standard_normal = True

    def __init__(self, alpha: float = 0.0, mmd: float = 1000.0):
        self.alpha, self.mmd = check_number("alpha", alpha), check_number("mmd", mmd)
        if self.alpha > 1 or self.alpha + self.mmd < 1:
            raise ValueError(
                "These weights reward what they should punish. Expected alpha <= 1 and alpha + mmd "
                f">= 1. Received alpha={alpha!r}, mmd={mmd!r}."
            )

    def penalty(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns (alpha + lambda - 1) MMD - alpha KL."""
        del step
        found = mmd_to_normal(latent_of(terms).value)
        kl = batch_mean(terms.kl(), terms.sample_weight)
        return (self.alpha + self.mmd - 1.0) * found - self.alpha * kl

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {"alpha": self.alpha, "mmd": self.mmd}


def mmd_to_normal(z: tf.Tensor, width: "float | None" = None) -> tf.Tensor:
    """Returns an unbiased estimate of MMD^2 between the law of codes and N(0, I), a scalar.

    Of the kernel exp(-r^2 / (2 h^2)), whose means over the normal are in closed form: nothing is
    drawn. Pairs of a code with itself are left out.

    Args:
        z: codes, [B, D], or [S, B, D] for the mean over S batches.
        width: h^2; D by default.
    """
    dims = z.shape[-1]
    square = float(dims if width is None else width)
    norms = tf.reduce_sum(tf.square(z), axis=-1)
    cross = (square / (square + 1)) ** (dims / 2) * tf.exp(-norms / (2 * (square + 1)))
    prior = (square / (square + 2)) ** (dims / 2)
    return _among(z, square) - 2 * tf.reduce_mean(cross) + prior


def _kernel(first, second, square):
    distances = tf.reduce_sum(tf.square(first), axis=-1)[..., tf.newaxis]
    distances += tf.reduce_sum(tf.square(second), axis=-1)[..., tf.newaxis, :]
    distances -= 2 * tf.matmul(first, second, transpose_b=True)
    return tf.exp(-tf.maximum(distances, 0.0) / (2 * square))


def _among(z, square):
    """Returns the mean kernel of pairs of different codes; of one code nothing, 0."""
    count = tf.cast(tf.shape(z)[-2], tf.float32)
    total = tf.reduce_mean(tf.reduce_sum(_kernel(z, z, square), axis=(-2, -1))) - count
    return tf.math.divide_no_nan(total, count * (count - 1.0))
