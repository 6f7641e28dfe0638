"""A posterior inside a box, for priors that end there."""

import tensorflow as tf

from tfp_vae.distributions.base import BOX, positive, registered, tfd
from tfp_vae.distributions.encoders.base import ENCODERS, Encoder
from tfp_vae.probability import tfb


@ENCODERS.register("box", "tanh of a normal, in (-1, 1)^D")
@registered
class Box(Encoder):
    """q(z|x) is the distribution of tanh(a), a ~ N(loc(x), diag(scale(x))^2)."""

    parameters_per_event = 2
    support = BOX

    def distribution(self, loc: tf.Tensor, raw_scale: tf.Tensor) -> tfd.TransformedDistribution:
        """Returns the normal squeezed into the box."""
        normal = tfd.MultivariateNormalDiag(loc, positive(raw_scale))
        return tfd.TransformedDistribution(normal, tfb.Tanh())
