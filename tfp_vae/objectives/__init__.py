"""Bounds: `Terms` in, nats per example out; each a file that registers itself, pure functions."""

from tfp_vae.objectives.bound import BOUNDS, Bound, as_bound
from tfp_vae.objectives.elbo import ELBO, elbo
from tfp_vae.objectives.gradients import GRADIENTS, Gradient
from tfp_vae.objectives.iwae import IWAE, importance_weighted_bound
from tfp_vae.objectives.schedules import WARM_UPS, Cyclical, Sigmoid, linear
from tfp_vae.objectives.terms import (
    Enumerated,
    KnownLatent,
    Latent,
    LatentTerms,
    Reshaped,
    Tap,
    Terms,
    WeightTerms,
    batch_mean,
    kl_per_dimension,
    log_mass_of,
)
from tfp_vae.objectives.weighted import WeightedBound

__all__ = [
    "BOUNDS",
    "ELBO",
    "GRADIENTS",
    "IWAE",
    "WARM_UPS",
    "Bound",
    "Cyclical",
    "Enumerated",
    "Gradient",
    "KnownLatent",
    "Latent",
    "LatentTerms",
    "Reshaped",
    "Sigmoid",
    "Tap",
    "Terms",
    "WeightTerms",
    "WeightedBound",
    "as_bound",
    "batch_mean",
    "elbo",
    "importance_weighted_bound",
    "kl_per_dimension",
    "linear",
    "log_mass_of",
]
BOUNDS.complete(__all__)
