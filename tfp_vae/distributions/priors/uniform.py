"""The same density everywhere in a box, and none outside."""

import tensorflow as tf

from tfp_vae.distributions.base import BOX, tfd
from tfp_vae.distributions.priors.base import PRIORS, Context, Prior, registered

# tanh of a large number is 1 in float32: the edge has to be inside.
_EDGE = 1.0 + 1e-6


@PRIORS.register("uniform", "uniform on (-1, 1)^D, for --posterior=box")
@registered
class Uniform(Prior):
    """p(z) = 2^-D on the box (-1, 1)^D.

    A posterior with draws outside has an infinite KL to it, and is refused: `encoders.Box` is one
    that has none.

    Args:
        latent_dim: D.
    """

    support = BOX

    def distribution(self, context: Context) -> tfd.Independent:
        """Returns an `Independent` of `Uniform` with event shape [D]."""
        zeros = tf.zeros(self.latent_dim)
        return tfd.Independent(tfd.Uniform(zeros - _EDGE, zeros + _EDGE), 1)
