"""A normal posterior that says how it differs from the prior."""

from typing import Any

import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import inverse_positive, positive, tfd
from tfp_vae.distributions.encoders.base import ENCODERS, registered
from tfp_vae.distributions.encoders.gaussian import Gaussian

_SHIFT = inverse_positive(1.0)  # so that a network that says 0 says the prior
_START = 0.1  # of the projection: a posterior starts near its prior


@ENCODERS.register("residual", "normal, relative to the prior (NVAE)")
@registered
class Residual(Gaussian):
    """q(z|x) = N(m_p + d(x), diag(s_p r(x))^2) with loc m_p and scale s_p of p(z|above).

    As the prior of a latent below others moves, its posterior moves with it, and a network that
    says nothing costs nothing: KL = sum (d^2/s_p^2 + r^2 - 1) / 2 - log r (Vahdat & Kautz, "NVAE",
    NeurIPS 2020, eq. 2). Called alone it is that beside N(0, I).
    """

    uses_prior = True

    def build(self, input_shape: Any) -> None:
        """Builds network and projection, this one with small weights."""
        super().build(input_shape)
        kernel = self.projection.kernel
        kernel.assign(_START * kernel)

    def distribution(self, loc: tf.Tensor, raw_scale: tf.Tensor) -> tfd.MultivariateNormalDiag:
        """Returns the `MultivariateNormalDiag` of d and r; r = 1 where the network says 0."""
        return tfd.MultivariateNormalDiag(loc, positive(raw_scale + _SHIFT))

    def given_prior(
        self, own: tfd.Distribution, prior: tfd.Distribution
    ) -> tfd.MultivariateNormalDiag:
        """Returns the prior, moved and widened."""
        q, p = draws.normal_of(own), draws.normal_of(prior)
        # A prior without weights is in float32 also where a codec computes in float64.
        loc, scale = (tf.cast(f(prior), own.dtype) for f in (p.loc, p.scale))
        return tfd.MultivariateNormalDiag(loc + q.loc(own), scale * q.scale(own))
