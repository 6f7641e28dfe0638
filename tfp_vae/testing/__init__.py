"""Contracts to try what you add to a family: one call for a part of your own.

    testing.check_head(StudentT())
    testing.check_prior(LaplacePrior(2))
    testing.check_encoder(MyEncoder(networks.mlp([8]), 2))
    testing.check_bound(Renyi(0.5))
    testing.check_layer(MyBayesianLayer(3))

Each runs the whole contract: shapes, densities that integrate to one, draws that follow them,
gradients, the same numbers eagerly, in a graph and under XLA, a `.keras` file and back, exports. A
claim that does not hold is an `AssertionError` that names it. The parts of this package are tried
by the same functions.
"""

from tfp_vae.testing.bounds import check_bound
from tfp_vae.testing.encoders import check_encoder
from tfp_vae.testing.heads import check_head
from tfp_vae.testing.layers import check_layer
from tfp_vae.testing.priors import check_prior

__all__ = ["check_bound", "check_encoder", "check_head", "check_layer", "check_prior"]
