"""Wasserstein autoencoders: a discrepancy in the place of the KL (Tolstikhin et al., ICLR 2018)."""

import keras
import tensorflow as tf

from tfp_vae.arguments import check_choice, check_count, check_number
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.info import mmd_to_normal
from tfp_vae.objectives.regularized import RegularizedBound, latent_of
from tfp_vae.objectives.terms import Terms, batch_mean
from tfp_vae.randomness import fold_in, normal

DISCREPANCIES = ("mmd", "sliced")
_SEED = 20171105  # of the directions, a stream of their own


@BOUNDS.register("wae", "E log p(x|z) and a discrepancy of the codes from the prior, no KL")
@registered
class WAE(RegularizedBound):
    """Minus E log p(x|z) plus a weight times a discrepancy between q(z) and N(0, I).

    Its value is the ELBO all the same, which it does not train.

    Args:
        discrepancy: "mmd", of a normal kernel with h^2 = D; "sliced", the mean squared Wasserstein
            distance of projections (Kolouri et al., 2019) to a normal by its quantiles.
        weight: of it, > 0.
        projections: of "sliced", new ones at every step.
    """

    needs_standard_normal = True

    def __init__(self, discrepancy: str = "mmd", weight: float = 100.0, projections: int = 50):
        self.discrepancy = check_choice("discrepancy", discrepancy, DISCREPANCIES)
        self.weight = check_number("weight", weight, above=0)
        self.projections = check_count("projections", projections)

    def penalty(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns the weighted discrepancy minus the KL that the ELBO has."""
        z = latent_of(terms).value
        if self.discrepancy == "mmd":
            found = mmd_to_normal(z)
        else:
            found = sliced_to_normal(z, unit_directions(self.projections, z.shape[-1], step))
        return self.weight * found - batch_mean(terms.kl(), terms.sample_weight)

    def kl_weight(self, step: "tf.Tensor | int") -> "tf.Tensor | float":
        """Returns 0: there is no KL."""
        del step
        return 0.0

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        names = ("discrepancy", "weight", "projections")
        return {name: getattr(self, name) for name in names}


def unit_directions(count: int, dims: int, step: "tf.Tensor | int") -> tf.Tensor:
    """Returns directions [count, D] of length 1, uniform on the sphere, by the step."""
    key = fold_in(keras.ops.convert_to_tensor([_SEED, 0], "int32"), tf.cast(step, tf.int32))
    drawn = normal([count, dims], key)
    return drawn / tf.norm(drawn, axis=-1, keepdims=True)


def sliced_to_normal(z: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """Returns the mean over directions of W_2^2 between projected codes and N(0, 1).

    Sorted projections are held against the quantiles (i - 1/2) / B: of a batch it is above 0 by
    chance, and goes to 0 with B where the codes are N(0, I).

    Args:
        z: codes, [B, D], or [S, B, D] for the mean over S batches.
        directions: [P, D].
    """
    projected = tf.sort(tf.matmul(directions, z, transpose_b=True), axis=-1)
    count = tf.shape(z)[-2]
    share = (tf.cast(tf.range(count), tf.float32) + 0.5) / tf.cast(count, tf.float32)
    return tf.reduce_mean(tf.square(projected - tf.math.ndtri(share)))
