"""Residual convolutions."""

from collections.abc import Sequence
from typing import Any

import keras

from tfp_vae import networks
from tfp_vae.methods.vae_networks.base import VAE_NETWORKS, NetworkPair, dense_width


@VAE_NETWORKS.register("resnet", "residual stride-2 convolutions")
class ResidualPair(NetworkPair):
    """`networks.resnet` and `networks.resnet_decoder`."""

    is_spatial = True

    def encoding(self, recipe: Any, shape: Sequence[int]) -> keras.Sequential:
        """Returns convolutions of the filters of the recipe and a dense layer of its one width."""
        width = dense_width(recipe, shape)
        return networks.resnet(recipe.filters, width, recipe.activation)

    def decoding(self, recipe: Any, shape: Sequence[int]) -> keras.Sequential:
        """Returns the mirror of the encoder's network."""
        width = dense_width(recipe, shape)
        return networks.resnet_decoder(shape, recipe.filters[::-1], width, recipe.activation)
