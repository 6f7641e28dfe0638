"""The standard normal prior."""

import tensorflow as tf

from tfp_vae.distributions.base import registered, tfd
from tfp_vae.distributions.priors.base import PRIORS, Context, Prior


@PRIORS.register("standard", "standard normal")
@registered
class StandardNormal(Prior):
    """p(z) = N(0, I), the prior of Kingma & Welling (2014).

    Args:
        latent_dim: D.
    """

    def distribution(self, context: Context) -> tfd.MultivariateNormalDiag:
        """Returns a `MultivariateNormalDiag` with event shape [D]."""
        return tfd.MultivariateNormalDiag(tf.zeros(self.latent_dim), tf.ones(self.latent_dim))
