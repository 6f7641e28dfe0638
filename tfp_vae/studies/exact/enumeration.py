"""Latents that are bits: all of their values are summed over."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.distributions import decoders
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.encoders import Encoder
from tfp_vae.distributions.priors import Context, Prior
from tfp_vae.layers.noise import MEAN
from tfp_vae.studies.exact.base import EXACT, ExactModel, linear, make, regression, simulated

_DIM, _SIZE = 6, 10


def _bits(logits: tf.Tensor) -> tfd.Distribution:
    return tfd.Independent(tfd.Bernoulli(logits=logits, dtype=tf.float32), 1)


class EvenBits(Prior):
    """Bits that are 0 and 1 alike often."""

    def distribution(self, context: Context) -> tfd.Distribution:
        """Returns independent fair coins."""
        return _bits(tf.zeros(self.latent_dim))


class BitEncoder(Encoder):
    """q(z|x) of independent bits."""

    def distribution(self, logits: tf.Tensor) -> tfd.Distribution:
        """Returns independent coins with these logits."""
        return _bits(logits)


@EXACT.register("enumeration", "latents that are bits, all of them summed over")
def enumeration(seed: int = 0) -> ExactModel:
    """Returns Bernoulli values that are linear, before the sigmoid, in latents of 0 and 1.

    There is no gradient by such latents: no annealing, but importance sampling.

    Args:
        seed: of the weights.
    """
    rng = np.random.default_rng([seed, 44])
    decoder = decoders.Bernoulli(keras.layers.Identity(), (_SIZE,))
    vae = make(EvenBits(_DIM), BitEncoder, decoder, seed)
    kernel = rng.normal(scale=2.0, size=(_DIM, _SIZE))
    linear(decoder, kernel, -0.5 * kernel.sum(axis=0))
    kernel, bias, _ = regression(*simulated(vae, seed))
    linear(vae.encoder, 4 * kernel, 4 * (bias - 0.5))  # of a sigmoid, whose slope is 1/4
    every = np.array(list(itertools.product([0, 1], repeat=_DIM)), np.float32)
    draw = vae.at(0, MEAN)

    def log_evidence(x):
        likelihood = draw.likelihood(tf.constant(every))
        each = [likelihood.log_prob(row).numpy().astype(np.float64) for row in np.float32(x)]
        return np.logaddexp.reduce(each, axis=1) - _DIM * np.log(2)

    return ExactModel(vae, log_evidence)
