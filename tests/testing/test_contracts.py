"""The contracts of `tfp_vae.testing`: all our own parts keep them, and faults are named.

Every member of a registry is tried as it is made without arguments of its own; those that need some
stand in a table here.
"""

import keras
import numpy as np
import pytest
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae import testing

tfd = tfp.distributions
mine = keras.saving.register_keras_serializable(package="mine")


def _members(room, kind, base):
    """Returns the classes of a room that are members of a family, registered by name or not."""
    found = [getattr(room, name) for name in room.__all__]
    return [c for c in found if isinstance(c, type) and issubclass(c, base) and c is not kind]


# What a prior depends on.
PRIORS = {
    "ClassNormal": lambda dims: (tv.priors.ClassNormal(dims, 3), {"given": np.eye(3)}),
    "ConditionalNormal": lambda dims: (
        tv.priors.ConditionalNormal(tv.networks.mlp([4]), dims),
        {"given": np.array([[0.5, -1.0], [2.0, 0.0]])} if dims == 1 else {"above": 2},
    ),
}


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", _members(tv.priors, tv.priors.Prior, tv.priors.Prior))
def test_a_prior_keeps_its_contract(kind, dims, base_seed):
    make = PRIORS.get(kind.__name__, lambda dims: (kind(dims), {}))
    prior, options = make(dims)
    testing.check_prior(prior, **options, seed=base_seed, xla=dims == 2)


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kind", _members(tv.encoders, tv.encoders.Encoder, tv.encoders.Encoder))
def test_an_encoder_keeps_its_contract(kind, dims, base_seed):
    encoder = kind(tv.networks.mlp([4]), dims)
    testing.check_encoder(encoder, seed=base_seed, xla=dims == 2)


@pytest.mark.parametrize("name", tv.objectives.BOUNDS)
def test_a_bound_keeps_its_contract(name, base_seed):
    testing.check_bound(tv.objectives.BOUNDS[name](), seed=base_seed)


LAYERS = [
    *_members(tv.layers, tv.layers.BayesianLayer, tv.layers.BayesianLayer),
    tv.layers.MonteCarloDropout,
]


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_keeps_its_contract(kind, base_seed):
    rng = np.random.default_rng(base_seed)
    options, shape = {"units": 2, "bayesian_bias": True}, (4, 3)
    if kind is tv.layers.MonteCarloDropout:
        options = {"rate": 0.4}
    elif kind.__name__.startswith("Conv"):
        rank = int(kind.__name__[4])
        shape = (4, *[4] * rank, 2)
        options = {"filters": 2, "kernel_size": 2, "bayesian_bias": True}
    is_dense = len(shape) == 2
    testing.check_layer(kind(**options), rng.standard_normal(shape), seed=base_seed, xla=is_dense)
