"""What a bound is: a lower bound on log p(x) of each example, and the loss that trains it."""

import abc
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.objectives.terms import Terms, batch_mean
from tfp_vae.registry import Registry

BOUNDS = Registry("tfp_vae.objectives", "bound", first=("elbo",))


class Bound(abc.ABC):
    """A bound on log p(x) as an object that Keras saves.

    A subclass in a file of its own is registered twice: with Keras, to be saved
    (`keras.saving.register_keras_serializable`), and by name: `@BOUNDS.register("name", "what")`.
    It gives `__call__`, and `loss` if what is minimised is not the mean of -bound.

    Attributes:
        name: of the metric that the bound has in `fit`, beside `elbo`.
        taps: whether its loss scales what flows back through draws, see `objectives.Tap`.
        needs_size: whether its loss depends on N, the size of the training set.
    """

    name: str = "bound"
    taps: bool = False
    needs_size: bool = False

    @abc.abstractmethod
    def __call__(self, terms: Terms) -> tf.Tensor:
        """Returns the bound of each example, [B], nats, up is better."""

    def loss(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns the scalar to minimise at training step `step`, nats per example."""
        del step
        return -batch_mean(self(terms), terms.sample_weight)

    def kl_weight(self, step: "tf.Tensor | int") -> "tf.Tensor | float":
        """Returns the weight of the KL at training step `step`; here it is 1 at all."""
        del step
        return 1.0

    def network(self, model: keras.Model) -> "keras.Layer | None":
        """Returns what is trained with the model, built, such as a discriminator; here nothing."""
        del model
        return None

    def check(self, model: keras.Model) -> None:  # noqa: B027
        """Raises `ValueError` if the bound does not exist for the model; here it does for all."""

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> "Bound":
        """Returns the bound of `get_config`."""
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


# Columns of a history that are of something else.
_OF_OTHERS = ("loss", "kl", "reconstruction", "expected_log_likelihood", "bits_per_dim")


def as_bound(objective: Any) -> Bound:
    """Returns `objective`; raises `ValueError` if it is not a bound."""
    if not isinstance(objective, Bound):
        raise ValueError(
            "Unusable objective. Expected a bound of tfp_vae.objectives "
            f"({', '.join(BOUNDS)}) or a subclass of objectives.Bound. Received {objective!r}."
        )
    name = objective.name
    is_name = isinstance(name, str) and name.isidentifier()
    if not is_name or name in _OF_OTHERS or name.startswith(("val_", "kl_", "active_units")):
        raise ValueError(
            f"Unusable name of the bound {type(objective).__name__}. Expected that of a metric of "
            f"its own, such as 'mine', not one of {', '.join(_OF_OTHERS)}. Received {name!r}."
        )
    return objective
