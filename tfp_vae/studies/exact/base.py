"""What an exact model is, and encoders for them that no training has to find."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from tfp_vae.data import Kind
from tfp_vae.distributions import decoders
from tfp_vae.distributions.encoders import Encoder
from tfp_vae.distributions.priors import Prior
from tfp_vae.models import VAE
from tfp_vae.registry import Registry

EXACT = Registry("tfp_vae.studies.exact", "exact model", first=("ppca", "mixture"))

_PAIRS = 2000  # of z and x that an encoder is regressed on


class ExactModel(NamedTuple):
    """A VAE and the log p(x) that it has.

    Attributes:
        vae: the model.
        log_evidence: a function of examples [N, X] to log p(x), float64 [N], nats.
        posterior: a function of examples [N, X] to mean [N, D] and covariance [D, D] of p(z|x),
            float64, where it is normal; None where it is not.
    """

    vae: VAE
    log_evidence: "Callable[[np.ndarray], np.ndarray]"
    posterior: "Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None" = None


def linear(layer: keras.Layer, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Makes an encoder or a decoder, whose network is the identity, the given linear function."""
    layer.projection.set_weights([np.asarray(kernel), np.asarray(bias)])


def make(prior: Prior, kind: "type[Encoder]", decoder: decoders.Decoder, seed: int) -> VAE:
    """Returns a VAE of vectors whose encoder is linear.

    Args:
        prior: p(z).
        kind: the class of the encoder.
        decoder: p(x|z).
        seed: of the model.
    """
    encoder = kind(keras.layers.Identity(), prior.latent_dim)
    data_kind = Kind.STATIC if Kind.STATIC in decoder.kinds else Kind.REAL
    return VAE(prior, encoder, decoder, seed=seed, data_kind=data_kind)


def simulated(vae: VAE, seed: int) -> "tuple[np.ndarray, np.ndarray]":
    """Returns pairs of z [n, D] and x [n, X] of the model, float64."""
    drawn = vae.generate(_PAIRS, seed)
    return drawn["z"].astype(np.float64), drawn["sample"].astype(np.float64)


def regression(z: np.ndarray, x: np.ndarray) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Returns kernel [X, D], bias [D] and residual deviation [D] of z as a function of x."""
    design = np.column_stack([x, np.ones(len(x))])
    found = np.linalg.lstsq(design, z, rcond=None)[0]
    return found[:-1], found[-1], np.std(z - design @ found, axis=0)


def encode_by_regression(vae: VAE, seed: int) -> None:
    """Makes a `Gaussian` encoder the linear regression of z on x, with one scale for all x."""
    kernel, bias, scale = regression(*simulated(vae, seed))
    raw = np.log(np.expm1(scale))
    linear(vae.encoder, np.hstack([kernel, np.zeros_like(kernel)]), np.append(bias, raw))
