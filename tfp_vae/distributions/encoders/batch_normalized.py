"""A normal posterior whose means are normalised over the batch, so that their KL stays above 0."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_number
from tfp_vae.distributions.base import registered
from tfp_vae.distributions.encoders.base import ENCODERS
from tfp_vae.distributions.encoders.gaussian import Gaussian

_MOMENTUM = 0.95  # of the running moments: of the last 20 batches or so
_EPSILON = 1e-8  # beside a variance: the least KL is that of the formula


@ENCODERS.register("bn", "normal, independent latents, means normalised over the batch")
@registered
class BatchNormalizedGaussian(Gaussian):
    """q(z|x) = N(loc(x), diag(scale(x))^2), loc normalised to standard deviation `spread`.

    In training loc has mean b, a weight, and deviation `spread` over each batch. So beside a prior
    N(0, I) the mean KL of a batch is at least D (spread^2 + b^2) / 2, whatever the decoder does:
    the posterior cannot collapse (Zhu et al., "A batch normalized inference network keeps the KL
    vanishing away", ACL 2020, eq. 8). Evaluation has running moments.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
        spread: standard deviation of each mean over a batch.
    """

    def __init__(self, network: keras.Layer, latent_dim: int, spread: float = 0.6, **kwargs: Any):
        super().__init__(network, latent_dim, **kwargs)
        self.spread = check_number("spread", spread, above=0)

    def build(self, input_shape: Any) -> None:
        """Builds the network, the projection and what normalises."""
        kind = "float64" if self.compute_dtype == "float64" else "float32"  # as parameters are
        self.normalization = keras.layers.BatchNormalization(
            momentum=_MOMENTUM,
            epsilon=_EPSILON,
            scale=False,
            center=False,
            synchronized=True,
            dtype=kind,
            name="normalization",
        )
        self.normalization.build((None, self.latent_dim))
        self.shift = self.add_weight(
            name="shift",
            shape=(self.latent_dim,),
            initializer="zeros",
            dtype=kind,
            autocast=False,
        )
        super().build(input_shape)

    def prepared(self, parameters: "list[tf.Tensor]", training: "bool | None") -> "list[tf.Tensor]":
        """Returns loc normalised over all rows, and the raw scale."""
        loc, raw_scale = parameters
        rows = tf.reshape(loc, [-1, self.latent_dim])
        rows = self.normalization(rows, training=bool(training))
        return [self.spread * tf.reshape(rows, tf.shape(loc)) + self.shift, raw_scale]

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "spread": self.spread}
