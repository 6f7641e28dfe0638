"""What posteriors by flows share: a normal, and steps that depend on the example."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions import flows
from tfp_vae.distributions.base import positive, tfd
from tfp_vae.distributions.encoders.base import Encoder


class FlowEncoder(Encoder):
    """q(z|x) is the distribution of f_x(u), u ~ N(loc(x), diag(scale(x))^2).

    At the start f is the identity, to the last bit: q is that of `Gaussian`.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
        steps: of the flow.

    A subclass gives `step(number)`, and `has_own_context` where a step's context is not shared.
    """

    # Whether each step has numbers of its own of the projection, which are 0 at the start.
    has_own_context = False

    def __init__(self, network: Any, latent_dim: int, steps: int = 2, **kwargs: Any):
        super().__init__(network, latent_dim, **kwargs)
        count = check_count("steps", steps)
        self.flow = [self.step(number) for number in range(count)]

    def step(self, number: int) -> flows.Step:
        """Returns a step of the flow, untrained."""
        raise NotImplementedError

    @property
    def _sizes(self) -> "list[int]":
        sizes = [step.context_size for step in self.flow]
        return sizes if self.has_own_context else sizes[:1]

    @property
    def output_size(self) -> int:
        """D values of loc and of scale, and the context of the steps."""
        return 2 * self.latent_dim + sum(self._sizes)

    def build(self, input_shape: Any) -> None:
        """Builds network and projection; contexts of steps of their own start at zero."""
        super().build(input_shape)
        if self.has_own_context:
            kernel = self.projection.kernel
            is_base = tf.range(self.output_size) < 2 * self.latent_dim
            kernel.assign(tf.where(is_base, tf.convert_to_tensor(kernel), 0.0))

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Cuts the projection into loc, scale and contexts."""
        return tf.split(outputs, [self.latent_dim, self.latent_dim, *self._sizes], axis=-1)

    def distribution(
        self, loc: tf.Tensor, raw_scale: tf.Tensor, *contexts: tf.Tensor
    ) -> flows.Flow:
        """Returns the `flows.Flow`."""
        if not self.has_own_context:
            contexts = contexts * len(self.flow)
        base = tfd.MultivariateNormalDiag(loc, positive(raw_scale))
        return flows.Flow(base, self.flow, contexts)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "steps": len(self.flow)}


class MaskedEncoder(FlowEncoder):
    """Steps by masked networks, which see features of the example.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.
        steps: of the flow, each with the order of the last reversed.
        hidden: widths of each masked network.
        context_size: features of the example that each sees.
    """

    quick_forward = True

    def __init__(
        self,
        network: Any,
        latent_dim: int,
        steps: int = 2,
        hidden: Sequence[int] = (64,),
        context_size: int = 32,
        **kwargs: Any,
    ):
        self.hidden = tuple(check_count("hidden", width) for width in hidden)
        self.context_size, self._dims = check_count("context_size", context_size), latent_dim
        super().__init__(network, latent_dim, steps, **kwargs)

    def step(self, number: int) -> flows.Step:
        """Returns a masked step, the order reversed in every other."""
        return flows.Autoregressive(
            self._dims, self.hidden, self.context_size, bool(number % 2), self.quick_forward
        )

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        own = {"hidden": list(self.hidden), "context_size": self.context_size}
        return {**super().get_config(), **own}
