"""Probabilistic PCA (Tipping & Bishop, 1999) by scikit-learn, put into a linear VAE."""

import math

import numpy as np
from sklearn.decomposition import PCA

import tfp_vae as tv
from tfp_vae.distributions.base import SCALE_FLOOR, inverse_positive


def fit(x: np.ndarray, latent_dim: int) -> PCA:
    """Returns the maximum-likelihood PPCA of x [N, D]; `score_samples` gives log p(x)."""
    pca = PCA(latent_dim, svd_solver="full").fit(x)
    # scikit-learn divides covariances by N - 1, maximum likelihood by N.
    share = (len(x) - 1) / len(x)
    pca.explained_variance_ = pca.explained_variance_ * share
    pca.noise_variance_ = pca.noise_variance_ * share
    return pca


def linear_vae(num_features: int, latent_dim: int, scale="shared", encoder=None, **options):
    """Returns a VAE whose encoder and decoder are linear, untrained."""
    encoder = encoder or tv.encoders.Gaussian
    return tv.VAE(
        prior=tv.priors.StandardNormal(latent_dim),
        encoder=encoder(tv.networks.mlp([]), latent_dim),
        decoder=tv.decoders.Normal(tv.networks.mlp([]), (num_features,), scale=scale),
        **options,
    )


def vae_at_the_optimum(pca: PCA) -> tv.VAE:
    """Returns the linear VAE with W = U (L - s2 I)^1/2 and the exact posterior of that model.

    With M = W^T W + s2 I (diagonal for this rotation): q(z|x) = N(M^-1 W^T (x - m), s2 M^-1).
    """
    variance, noise = pca.explained_variance_, pca.noise_variance_
    loadings = pca.components_.T * np.sqrt(variance - noise)  # [D, q]
    precision = variance  # diagonal of M: (L - s2) + s2
    to_latent = loadings / precision
    scale = np.sqrt(noise / precision)
    vae = linear_vae(len(pca.mean_), len(variance), scale=math.sqrt(noise))
    raw_scale = [inverse_positive(s, SCALE_FLOOR) for s in scale]
    vae.encoder.projection.set_weights(
        [
            np.concatenate([to_latent, np.zeros_like(to_latent)], axis=1),
            np.concatenate([-pca.mean_ @ to_latent, raw_scale]),
        ]
    )
    vae.decoder.projection.set_weights([loadings.T, pca.mean_])
    return vae
