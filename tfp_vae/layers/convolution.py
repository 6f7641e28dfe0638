"""Convolutions with a distribution over their weights."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_choice, check_count, is_count
from tfp_vae.layers.base import (
    BayesianLayer,
    Flipout,
    LocalReparameterization,
    Reparameterization,
    registered,
)
from tfp_vae.networks import check_channels_last


class Convolution(BayesianLayer):
    """[B, *space, C] -> [B, *space', filters], channels last.

    Args:
        filters: U, output channels.
        kernel_size: an integer or one per axis.
        strides: an integer or one per axis.
        padding: "valid" or "same", and of one axis "causal", in letters of either case.
        dilation_rate: an integer or one per axis.
        groups: into how many parts the channels are cut, each convolved by itself.
        data_format: "channels_last" or None, which is the same; others are refused.
        **kwargs: as of `BayesianLayer`.
    """

    rank = 2

    def __init__(
        self,
        filters: int,
        kernel_size: "int | Sequence[int]",
        strides: "int | Sequence[int]" = 1,
        padding: str = "valid",
        dilation_rate: "int | Sequence[int]" = 1,
        groups: int = 1,
        data_format: "str | None" = None,
        **kwargs: Any,
    ):
        kwargs.pop("units", None)  # what get_config calls the filters
        super().__init__(filters, **kwargs)
        if data_format not in (None, "channels_last"):
            raise ValueError(
                f"{type(self).__name__} has its channels last. Expected "
                f"data_format='channels_last'. Received {data_format!r}."
            )
        if data_format is None:
            check_channels_last()
        self.groups = check_count("groups", groups)
        if self.units % self.groups:
            raise ValueError(
                f"The filters of {self.name} cannot be cut into groups. Expected a multiple of "
                f"groups={self.groups}. Received {self.units} filters."
            )
        self.kernel_size = self._per_axis("kernel_size", kernel_size)
        self.strides = self._per_axis("strides", strides)
        self.dilation_rate = self._per_axis("dilation_rate", dilation_rate)
        known = ("valid", "same", "causal")[: 3 if self.rank == 1 else 2]
        padding = padding.lower() if isinstance(padding, str) else padding
        self.padding = check_choice("padding", padding, known)

    def _per_axis(self, name: str, value: Any) -> "tuple[int, ...]":
        sizes = tuple(value) if isinstance(value, list | tuple) else (value,) * self.rank
        if len(sizes) != self.rank or not all(is_count(size) for size in sizes):
            raise ValueError(
                f"Impossible {name}. Expected an integer >= 1 or {self.rank} of them. Received "
                f"{value!r}."
            )
        return tuple(int(s) for s in sizes)

    def kernel_shape(self, input_shape: Any) -> "tuple[int, ...]":
        """Returns (*kernel_size, C, filters)."""
        if len(input_shape) != self.rank + 2 or input_shape[-1] is None:
            axes = ", ".join("DHW"[-self.rank :])
            raise ValueError(
                f"{self.name} got inputs of a wrong shape. Expected (B, {axes}, C). Received "
                f"{tuple(input_shape)}."
            )
        if input_shape[-1] % self.groups:
            raise ValueError(
                f"The channels of {self.name} cannot be cut into groups. Expected a multiple of "
                f"groups={self.groups}. Received inputs of shape {tuple(input_shape)}."
            )
        return (*self.kernel_size, input_shape[-1] // self.groups, self.units)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the outputs."""
        kernel = keras.KerasTensor(self.kernel_shape(input_shape))
        return self.linear(keras.KerasTensor(input_shape), kernel).shape

    def linear(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the convolution."""
        padding = self.padding
        if padding == "causal":
            before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            inputs, padding = keras.ops.pad(inputs, [[0, 0], [before, 0], [0, 0]]), "valid"

        def convolved(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
            return keras.ops.conv(
                inputs,
                kernel,
                strides=self.strides,
                padding=padding,
                data_format="channels_last",
                dilation_rate=self.dilation_rate,
            )

        if self.groups == 1:
            return convolved(inputs, kernel)
        # One by one, which every runtime has; TensorFlow's own groups need XLA on a CPU.
        parts = zip(
            keras.ops.split(inputs, self.groups, axis=-1),
            keras.ops.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        return keras.ops.concatenate([convolved(*part) for part in parts], axis=-1)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        config["filters"] = config.pop("units")
        names = ("kernel_size", "strides", "padding", "dilation_rate", "groups")
        return config | {name: getattr(self, name) for name in names}


class _Convolution1D(Convolution):
    rank = 1


class _Convolution3D(Convolution):
    rank = 3


@registered
class Conv2DReparameterization(Reparameterization, Convolution):
    """A 2-D convolution with one weight draw per batch; arguments as of keras.layers.Conv2D."""


@registered
class Conv2DLocalReparameterization(LocalReparameterization, Convolution):
    """A 2-D convolution that draws its pre-activations, independently for every position.

    Positions of one example share weights, so this ignores a correlation between them: means and
    variances are right, but the bound is that of weights drawn anew at every position. Flipout has
    no such error.
    """


@registered
class Conv2DFlipout(Flipout, Convolution):
    """A 2-D convolution with signs of its own per example and channel."""


@registered
class Conv1DReparameterization(Reparameterization, _Convolution1D):
    """A 1-D convolution with one weight draw per batch; arguments as of keras.layers.Conv1D."""


@registered
class Conv1DLocalReparameterization(LocalReparameterization, _Convolution1D):
    """A 1-D convolution that draws its pre-activations, independently for every position.

    Positions of one example share weights, so this ignores a correlation between them: means and
    variances are right, but the bound is that of weights drawn anew at every position. Flipout has
    no such error.
    """


@registered
class Conv1DFlipout(Flipout, _Convolution1D):
    """A 1-D convolution with signs of its own per example and channel."""


@registered
class Conv3DReparameterization(Reparameterization, _Convolution3D):
    """A 3-D convolution with one weight draw per batch; arguments as of keras.layers.Conv3D."""


@registered
class Conv3DLocalReparameterization(LocalReparameterization, _Convolution3D):
    """A 3-D convolution that draws its pre-activations, independently for every position.

    See `Conv2DLocalReparameterization` for what it ignores.
    """


@registered
class Conv3DFlipout(Flipout, _Convolution3D):
    """A 3-D convolution with signs of its own per example and channel."""
