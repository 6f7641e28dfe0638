"""A nonlinear decoder of two latents, summed over a grid."""

import numpy as np
import tensorflow as tf

from tfp_vae import networks
from tfp_vae.distributions import decoders, encoders, priors
from tfp_vae.layers.noise import MEAN
from tfp_vae.studies.exact.base import EXACT, ExactModel, encode_by_regression, linear, make

_DIM, _SIZE, _HIDDEN = 2, 12, 8
_REACH, _SIDE = 6.0, 121  # of the grid


@EXACT.register("quadrature", "nonlinear decoder of two latents, summed over a grid")
def quadrature(seed: int = 0) -> ExactModel:
    """Returns Bernoulli values of a network of two normal latents, its weights drawn.

    log p(x) is the sum of p(z) p(x|z) over a grid to six deviations: what is left out is below
    1e-8 nats, and a sum over equal distances is exact to more than that for what is so smooth.

    Args:
        seed: of the weights.
    """
    rng = np.random.default_rng([seed, 43])
    network = networks.mlp([_HIDDEN], activation="tanh")
    decoder = decoders.Bernoulli(network, (_SIZE,))
    vae = make(priors.StandardNormal(_DIM), encoders.Gaussian, decoder, seed)
    network.set_weights([rng.normal(size=w.shape) for w in network.get_weights()])
    linear(decoder, rng.normal(size=(_HIDDEN, _SIZE)), 0.5 * rng.normal(size=_SIZE))
    encode_by_regression(vae, seed)
    line = np.linspace(-_REACH, _REACH, _SIDE, dtype=np.float32)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, _DIM)
    draw = vae.at(0, MEAN)
    log_mass = draw.prior().log_prob(grid).numpy().astype(np.float64)
    log_mass += _DIM * np.log(line[1] - line[0])

    def log_evidence(x):
        likelihood = draw.likelihood(tf.constant(grid))
        each = [likelihood.log_prob(row).numpy().astype(np.float64) for row in np.float32(x)]
        return np.logaddexp.reduce(np.stack(each) + log_mass, axis=1)

    return ExactModel(vae, log_evidence)
