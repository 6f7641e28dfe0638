"""A normal posterior that is the product of what the example says and of the prior."""

import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.encoders.base import ENCODERS, registered
from tfp_vae.distributions.encoders.gaussian import Gaussian


@ENCODERS.register("ladder", "normal, merged with the prior by precisions (LVAE)")
@registered
class Ladder(Gaussian):
    """q(z|x) ~ N(z; loc(x), diag(scale(x))^2) p(z), a `MultivariateNormalDiag`.

    What comes bottom-up from x and top-down from p(z|above) meets by precisions (Sonderby et al.,
    "Ladder variational autoencoders", NeurIPS 2016, eq. 12-14): 1/s^2 = 1/s_q^2 + 1/s_p^2 and loc =
    s^2 (m_q/s_q^2 + m_p/s_p^2). The network sees x alone; beside a flat prior it is `Gaussian`.
    """

    uses_prior = True
    sees_above = False

    def given_prior(
        self, own: tfd.Distribution, prior: tfd.Distribution
    ) -> tfd.MultivariateNormalDiag:
        """Returns the product of both normals, divided by its integral."""
        q, p = draws.normal_of(own), draws.normal_of(prior)
        # A prior without weights is in float32 also where a codec computes in float64.
        prior_loc, prior_scale = (tf.cast(f(prior), own.dtype) for f in (p.loc, p.scale))
        own_precision = 1.0 / tf.square(q.scale(own))
        prior_precision = 1.0 / tf.square(prior_scale)
        precision = own_precision + prior_precision
        loc = (own_precision * q.loc(own) + prior_precision * prior_loc) / precision
        return tfd.MultivariateNormalDiag(loc, tf.math.rsqrt(precision))
