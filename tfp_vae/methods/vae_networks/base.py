"""What a kind of networks is: the network of an encoder and its mirror, from a recipe."""

import abc
from collections.abc import Sequence
from typing import Any

import keras

from tfp_vae.registry import Registry

VAE_NETWORKS = Registry("tfp_vae.methods.vae_networks", "network", first=("mlp", "conv"))


class NetworkPair(abc.ABC):
    """The networks of encoder and decoder; registered by name, without arguments.

    A recipe has `hidden`, `filters` and `activation`, see `VAERecipe`.

    Attributes:
        is_spatial: whether they have convolutions: a condition is planes, and `filters` are read.
        has_activation: whether `activation` is read.
    """

    is_spatial = False
    has_activation = True

    @abc.abstractmethod
    def encoding(self, recipe: Any, shape: Sequence[int]) -> keras.Sequential:
        """Returns the network of the encoder, [B, *shape] -> [B, features].

        Args:
            recipe: a `VAERecipe`.
            shape: of an example.

        Raises:
            ValueError: if the recipe or the shape do not fit.
        """

    @abc.abstractmethod
    def decoding(self, recipe: Any, shape: Sequence[int]) -> keras.Sequential:
        """Returns the network of the decoder, [B, D] -> [B, ...]; see `encoding`."""


def dense_width(recipe: Any, shape: Sequence[int]) -> int:
    """Returns the one width of a convolutional network's dense layer.

    Raises:
        ValueError: if there are several widths, or the examples are no images.
    """
    if len(recipe.hidden) != 1:
        raise ValueError(
            "The hidden widths do not fit convolutions. Expected one width. Received "
            f"{list(recipe.hidden)}."
        )
    if len(shape) != 3:
        raise ValueError(
            "A convolutional network is for images. Expected examples of shape (H, W, "
            f"channels). Received shape {tuple(shape)}."
        )
    return recipe.hidden[0]
