"""Dense layers."""

from collections.abc import Sequence
from typing import Any

import keras

from tfp_vae import networks
from tfp_vae.methods.vae_networks.base import VAE_NETWORKS, NetworkPair


@VAE_NETWORKS.register("mlp", "dense layers")
class DensePair(NetworkPair):
    """Two `networks.mlp`."""

    def encoding(self, recipe: Any, shape: Sequence[int]) -> keras.Sequential:
        """Returns dense layers of the widths of the recipe."""
        return networks.mlp(recipe.hidden, recipe.activation)

    def decoding(self, recipe: Any, shape: Sequence[int]) -> keras.Sequential:
        """Returns dense layers of the same widths, the last one first."""
        return networks.mlp(recipe.hidden[::-1], recipe.activation)
