"""Gated dense layers."""

from collections.abc import Sequence
from typing import Any

import keras

from tfp_vae import networks
from tfp_vae.methods.vae_networks.base import VAE_NETWORKS, NetworkPair


@VAE_NETWORKS.register("gated", "gated dense layers")
class GatedPair(NetworkPair):
    """Two `networks.gated_mlp`."""

    has_activation = False

    def encoding(self, recipe: Any, shape: Sequence[int]) -> keras.Sequential:
        """Returns gated layers of the widths of the recipe."""
        return networks.gated_mlp(recipe.hidden)

    def decoding(self, recipe: Any, shape: Sequence[int]) -> keras.Sequential:
        """Returns gated layers of the same widths, the last one first."""
        return networks.gated_mlp(recipe.hidden[::-1])
