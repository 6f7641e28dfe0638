"""Transposed convolutions with a distribution over their weights."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.layers.base import Flipout, LocalReparameterization, Reparameterization, registered
from tfp_vae.layers.convolution import Convolution


class Transposed(Convolution):
    """[B, *space, C] -> [B, *space', filters], channels last; no groups.

    Args:
        filters: U, output channels.
        kernel_size: an integer or one per axis.
        strides: an integer or one per axis.
        padding: "valid" or "same", in letters of either case.
        output_padding: None, an integer or one per axis, as of keras.layers.Conv2DTranspose.
        **kwargs: as of `Convolution`, without groups.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: "int | Sequence[int]",
        strides: "int | Sequence[int]" = 1,
        padding: str = "valid",
        output_padding: "int | Sequence[int] | None" = None,
        **kwargs: Any,
    ):
        if kwargs.pop("groups", 1) != 1:
            raise ValueError(
                f"{type(self).__name__} has no groups. Expected groups=1 or none given. Received "
                "another number."
            )
        super().__init__(filters, kernel_size, strides, padding, **kwargs)
        self.output_padding = None
        if output_padding is not None:
            # 0 is no count, but a padding.
            given = [output_padding] * self.rank if output_padding == 0 else output_padding
            zero = isinstance(given, list | tuple) and not any(given)
            self.output_padding = (
                (0,) * self.rank if zero else self._per_axis("output_padding", given)
            )

    def linear(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the transposed convolution by a kernel [*size, C, filters]."""
        return keras.ops.conv_transpose(
            inputs,
            self._swapped(kernel),
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )

    def _swapped(self, kernel):
        # Ours has the outputs last, as all weights [F, U] do; Keras' has the inputs last.
        return keras.ops.swapaxes(kernel, -1, -2)

    def _of_keras(self, kernel):
        return tf.convert_to_tensor(self._swapped(kernel))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        del config["groups"]
        return config | {"output_padding": self.output_padding}


@registered
class Conv2DTransposeReparameterization(Reparameterization, Transposed):
    """One weight draw per batch; arguments as of keras.layers.Conv2DTranspose."""


@registered
class Conv2DTransposeLocalReparameterization(LocalReparameterization, Transposed):
    """Draws its pre-activations, independently for every position.

    See `Conv2DLocalReparameterization` for what it ignores.
    """


@registered
class Conv2DTransposeFlipout(Flipout, Transposed):
    """Signs of its own per example and channel."""
