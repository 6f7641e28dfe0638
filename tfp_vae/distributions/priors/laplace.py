"""Independent double exponentials: latents that are mostly near zero."""

import tensorflow as tf

from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.priors.base import PRIORS, Context, Prior, registered


@PRIORS.register("laplace", "independent double exponentials")
@registered
class Laplace(Prior):
    """p(z) = prod_d exp(-|z_d| / b) / (2 b) with variance 1, b = 2^-1/2.

    It is not turned by rotations, so that latents have axes of their own.

    Args:
        latent_dim: D.
    """

    def distribution(self, context: Context) -> tfd.Independent:
        """Returns an `Independent` of `Laplace` with event shape [D]."""
        zeros = tf.zeros(self.latent_dim)
        return tfd.Independent(tfd.Laplace(zeros, zeros + 0.5**0.5), 1)
