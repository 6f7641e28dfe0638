"""Probabilistic principal components: a linear Gaussian model."""

import keras
import numpy as np

from tfp_vae.distributions import decoders, encoders, priors
from tfp_vae.distributions.base import SCALE_FLOOR
from tfp_vae.studies.exact.base import EXACT, ExactModel, linear, make


@EXACT.register("ppca", "linear Gaussian, whose p(z|x) is a normal with correlations")
def ppca(latent_dim: int = 3, size: int = 6, scale: float = 0.5, seed: int = 0) -> ExactModel:
    """Returns x = W z + b + scale * noise (Tipping & Bishop, 1999) with its best diagonal encoder.

    log p(x) is that of N(b, W W' + scale^2 I). p(z|x) is normal with precision
    P = I + W' W / scale^2: the best diagonal q has the mean of it and variances 1 / P_ii, and
    misses log p(x) by 1/2 (sum_i log P_ii - log |P|).

    Args:
        latent_dim: D.
        size: X.
        scale: of the noise.
        seed: of W and b.
    """
    rng = np.random.default_rng([seed, 41])
    weights = rng.normal(size=(latent_dim, size)).astype(np.float32).astype(np.float64)
    bias = rng.normal(size=size).astype(np.float32).astype(np.float64)
    prior = priors.StandardNormal(latent_dim)
    decoder = decoders.Normal(keras.layers.Identity(), (size,), scale)
    vae = make(prior, encoders.Gaussian, decoder, seed)
    linear(vae.decoder, weights, bias)
    precision = np.eye(latent_dim) + weights @ weights.T / scale**2
    covariance = np.linalg.inv(precision)
    kernel = weights.T @ covariance / scale**2
    deviation = 1 / np.sqrt(np.diag(precision))
    raw = np.log(np.expm1(deviation - SCALE_FLOOR))
    linear(vae.encoder, np.hstack([kernel, 0 * kernel]), np.append(-bias @ kernel, raw))
    marginal = weights.T @ weights + scale**2 * np.eye(size)

    def log_evidence(x):
        return log_normal(np.asarray(x, np.float64) - bias, marginal)

    def posterior(x):
        return (np.asarray(x, np.float64) - bias) @ kernel, covariance

    return ExactModel(vae, log_evidence, posterior)


def log_normal(off: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Returns log N(off; 0, covariance), [N, X] -> [N], nats."""
    _, volume = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (np.sum(off * np.linalg.solve(covariance, off.T).T, axis=1) + volume)
