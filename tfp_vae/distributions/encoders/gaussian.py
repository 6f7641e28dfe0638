"""The posterior of the first variational autoencoders: a normal with independent latents."""

import tensorflow as tf

from tfp_vae.distributions.base import positive, registered, tfd
from tfp_vae.distributions.encoders.base import ENCODERS, Encoder


@ENCODERS.register("diagonal", "normal, independent latents")
@registered
class Gaussian(Encoder):
    """q(z|x) = N(loc(x), diag(scale(x))^2), a `MultivariateNormalDiag` (Kingma & Welling, 2014)."""

    parameters_per_event = 2

    def distribution(self, loc: tf.Tensor, raw_scale: tf.Tensor) -> tfd.MultivariateNormalDiag:
        """Returns the `MultivariateNormalDiag`."""
        return tfd.MultivariateNormalDiag(loc, positive(raw_scale))
