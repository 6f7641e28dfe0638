"""Bounds: `Terms` in, nats per example out; each a file that registers itself, pure functions."""

from tfp_vae.objectives.bound import BOUNDS, Bound, as_bound
from tfp_vae.objectives.elbo import ELBO, elbo
from tfp_vae.objectives.iwae import IWAE, importance_weighted_bound
from tfp_vae.objectives.schedules import WARM_UPS, Cyclical, Sigmoid, linear
from tfp_vae.objectives.terms import (
    KnownLatent,
    Latent,
    LatentTerms,
    Reshaped,
    Terms,
    WeightTerms,
    batch_mean,
    kl_per_dimension,
)

__all__ = [
    "BOUNDS",
    "ELBO",
    "IWAE",
    "WARM_UPS",
    "Bound",
    "Cyclical",
    "KnownLatent",
    "Latent",
    "LatentTerms",
    "Reshaped",
    "Sigmoid",
    "Terms",
    "WeightTerms",
    "as_bound",
    "batch_mean",
    "elbo",
    "importance_weighted_bound",
    "kl_per_dimension",
    "linear",
]
BOUNDS.complete(__all__)
