"""A mixture of normals as the prior of a linear Gaussian model."""

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.distributions import decoders, encoders
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.priors import Context, Prior
from tfp_vae.studies.exact.base import EXACT, ExactModel, encode_by_regression, linear, make
from tfp_vae.studies.exact.ppca import log_normal

_DIM, _SIZE, _PARTS = 2, 4, 3
_WIDTH, _SCALE = 0.4, 0.7  # of a part of the prior, and of the noise


class EvenMixture(Prior):
    """p(z), a mixture of equally likely normals of one width.

    Args:
        centres: [K, D].
    """

    def __init__(self, centres: np.ndarray):
        super().__init__(centres.shape[1])
        self.centres = centres.astype(np.float32)

    def distribution(self, context: Context) -> tfd.MixtureSameFamily:
        """Returns the mixture."""
        parts = tfd.MultivariateNormalDiag(
            tf.constant(self.centres), tf.fill(self.centres.shape, _WIDTH)
        )
        return tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(len(self.centres))), parts)


@EXACT.register("mixture", "mixture of normals as a prior, whose p(z|x) has several modes")
def mixture(seed: int = 0) -> ExactModel:
    """Returns x = W z + noise, z of a mixture: p(x) is a mixture of normals too.

    Noise as wide as the parts are apart leaves several of them possible, which the encoder, one
    normal, cannot say.

    Args:
        seed: of W and the centres.
    """
    rng = np.random.default_rng([seed, 42])
    centres = rng.normal(scale=1.5, size=(_PARTS, _DIM)).astype(np.float32).astype(np.float64)
    weights = rng.normal(scale=0.5, size=(_DIM, _SIZE)).astype(np.float32).astype(np.float64)
    decoder = decoders.Normal(keras.layers.Identity(), (_SIZE,), _SCALE)
    vae = make(EvenMixture(centres), encoders.Gaussian, decoder, seed)
    linear(vae.decoder, weights, np.zeros(_SIZE))
    encode_by_regression(vae, seed)
    covariance = _WIDTH**2 * weights.T @ weights + _SCALE**2 * np.eye(_SIZE)

    def log_evidence(x):
        x = np.asarray(x, np.float64)
        each = [log_normal(x - centre @ weights, covariance) for centre in centres]
        return np.logaddexp.reduce(each, axis=0) - np.log(_PARTS)

    return ExactModel(vae, log_evidence)
