"""A normal posterior whose scales are so small that its KL to N(0, I) stays above 0."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_number
from tfp_vae.distributions.base import SCALE_FLOOR, registered, tfd
from tfp_vae.distributions.encoders.base import ENCODERS
from tfp_vae.distributions.encoders.gaussian import Gaussian


@ENCODERS.register("delta", "normal, independent latents, each with a least KL to N(0, 1)")
@registered
class DeltaGaussian(Gaussian):
    """q(z|x) = N(loc(x), diag(scale(x))^2) with scales below one of KL `least_kl` to N(0, 1).

    KL(N(m, s^2) || N(0, 1)) is least at m = 0 and the largest s, where it is (s^2 - 1) / 2 - log s.
    So each dimension has `least_kl` nats at least, for every example, and z is worth reading
    (committed rates; Razavi et al., "Preventing posterior collapse with delta-VAEs", ICLR 2019).

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
        least_kl: nats of each latent dimension, beside the prior N(0, I).
    """

    def __init__(self, network: keras.Layer, latent_dim: int, least_kl: float = 0.1, **kwargs: Any):
        super().__init__(network, latent_dim, **kwargs)
        self.least_kl = check_number("least_kl", least_kl, above=0)
        self.largest_scale = _scale_of(self.least_kl)

    def distribution(self, loc: tf.Tensor, raw_scale: tf.Tensor) -> tfd.MultivariateNormalDiag:
        """Returns the `MultivariateNormalDiag`."""
        width = self.largest_scale - SCALE_FLOOR
        return tfd.MultivariateNormalDiag(loc, SCALE_FLOOR + width * tf.sigmoid(raw_scale))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "least_kl": self.least_kl}


def _scale_of(least_kl: float) -> float:
    """Returns s < 1 with (s^2 - 1) / 2 - log s = least_kl, by bisection in log s."""
    low, high = -least_kl - 1.0, 0.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if 0.5 * math.expm1(2 * middle) - middle > least_kl:
            low = middle
        else:
            high = middle
    return max(math.exp(low), 2 * SCALE_FLOOR)
