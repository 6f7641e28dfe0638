"""What a prior is: a layer that is a distribution once it knows what it may depend on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.distributions.base import tfd
from tfp_vae.registry import Registry

PRIORS = Registry("tfp_vae.distributions.priors", "prior", first=("standard",))


class Spec(NamedTuple):
    """What a prior is told of its model when it makes its variables.

    Attributes:
        latent_dim: D.
        event_shape: of an example; None outside of a model.
        condition_size: C, numbers of the condition; 0 without one.
        above_dims: sizes of the latents above, top first.
    """

    latent_dim: int
    event_shape: "tuple[int, ...] | None" = None
    condition_size: int = 0
    above_dims: "tuple[int, ...]" = ()


class Context(NamedTuple):
    """What a prior may depend on when it is asked for its distribution.

    Attributes:
        given: the encoded condition, [B, C], or None.
        above: draws of the latents above, top first, [S, B, D'] each.
        encode: a function of examples [B, ...] that returns q(z|x) of the same latent; None outside
            of a model. A prior that needs the encoder asks here and holds none itself.
    """

    given: "tf.Tensor | None" = None
    above: "tuple[tf.Tensor, ...]" = ()
    encode: "Callable[[tf.Tensor], tfd.Distribution] | None" = None


class Prior(keras.Layer):
    """p(z): `prior()` has batch shape [] and event shape [D].

    A subclass gives `distribution(context)`; one with variables makes them in `build(spec)`.
    Given a condition or latents above, the batch shape is [B] or [S, B].

    Args:
        latent_dim: D.

    Attributes:
        needs_condition: whether it is p(z|c), which only a conditional model has.
        needs_above: whether it is p(z|above), which only a latent below others has.
    """

    needs_condition = False
    needs_above = False

    def __init__(self, latent_dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.latent_dim = check_count("latent_dim", latent_dim)

    def __call__(self, context: "Context | tf.Tensor | None" = None) -> tfd.Distribution:
        """Returns the prior as a distribution.

        Args:
            context: what it depends on; a condition [B, C] may be given as it is.
        """
        # Keras calls a layer with at least one tensor; a prior may depend on nothing.
        if not isinstance(context, Context):
            context = Context(given=context)
        if not self.built:
            given = context.given
            size = 0 if given is None else int(given.shape[-1])
            self.build(Spec(self.latent_dim, condition_size=size))
        return self.distribution(context)

    def build(self, spec: "Spec | None" = None) -> None:
        """Makes the variables; none here.

        Raises:
            ValueError: if the prior does not fit the model.
        """
        self.built = True

    def distribution(self, context: Context) -> tfd.Distribution:
        """Returns the distribution."""
        raise NotImplementedError

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "latent_dim": self.latent_dim}

    def get_build_config(self) -> None:
        """Returns nothing: the model that holds the prior builds it."""
        return None
