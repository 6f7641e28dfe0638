"""What a gradient estimator is: the scalar whose derivative is the estimate."""

import abc
import weakref
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.distributions.base import tfd
from tfp_vae.objectives.terms import Latent, Terms
from tfp_vae.registry import Registry

GRADIENTS = Registry("tfp_vae.objectives.gradients", "gradient estimator", first=("path",))


class Weighing(Protocol):
    """What an estimator asks of a bound: F, a function of the log weights of its rows."""

    name: str

    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns F of each example, [rows, B] -> [B]."""

    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns 1 - (d2 F / d lw^2) / (d F / d lw) of each row, [rows, B]."""


class Gradient(abc.ABC):
    """How the derivative of a bound is estimated; registered by name, without arguments.

    Attributes:
        name: in the registry.
        taps: whether it scales what flows back through the draws, see `objectives.Tap`.
        least_samples: draws that it needs.
    """

    name: str = "gradient"
    taps: bool = False
    least_samples: int = 1

    def __init__(self) -> None:
        self._seen: weakref.WeakSet[keras.Model] = weakref.WeakSet()

    @abc.abstractmethod
    def surrogate(
        self, bound: Weighing, terms: Terms, kl_weight: "tf.Tensor | float" = 1.0
    ) -> tf.Tensor:
        """Returns the bound of each example, [B], whose derivative is the estimate.

        Args:
            bound: whose derivative.
            terms: of a batch, without the weights of the model.
            kl_weight: beta, see `Terms.log_weights`.
        """

    def check(self, bound: Any, model: keras.Model) -> None:
        """Raises `ValueError` if the estimator does not exist for the latents of the model."""
        if model.num_samples < self.least_samples:
            raise ValueError(
                f"The gradient estimator {self.name!r} compares draws. Expected num_samples >= "
                f"{self.least_samples}. Received {model.num_samples}."
            )
        if model not in self._seen:  # a look at q costs a pass through the encoder
            self.check_posterior(bound, model)
            self._seen.add(model)

    def check_posterior(self, bound: Any, model: keras.Model) -> None:  # noqa: B027
        """Raises `ValueError` if the estimator does not exist for q(z|x); here for all it does."""


class HeldGradient(Gradient):
    """An estimator of the path of z alone: log q is taken with its parameters held."""

    taps = True

    def check_posterior(self, bound: Any, model: keras.Model) -> None:
        """Raises `ValueError` for a hierarchy, or draws or parameters that are of no use to it."""
        del bound
        check_held(f"The gradient estimator {self.name!r}", model)


def check_held(what: str, model: keras.Model) -> None:
    """Raises `ValueError` unless q(z|x) is one whose parameters can be held, z following them.

    Args:
        what: holds them, for the error.
        model: with latents.
    """
    if len(model.latents) > 1:
        names = ", ".join(latent.name for latent in model.latents)
        raise ValueError(
            f"{what} holds the parameters of q, which in a hierarchy depend on the latents above. "
            f"Expected one latent, or gradient='path'. Received {names}."
        )
    posterior = posterior_of(model)
    if posterior.reparameterization_type is not tfd.FULLY_REPARAMETERIZED:
        raise ValueError(
            f"{what} follows z to the encoder. Expected draws that are reparameterised, or "
            f"gradient='score', 'vimco' or 'loo'. Received a {type(posterior).__name__}."
        )
    # Of a flow whose network is no tensor they cannot be held: says so.
    Latent(model.latents[0].name, tf.zeros([1]), posterior, posterior).stopped()


def posterior_of(model: keras.Model) -> tfd.Distribution:
    """Returns q(z|x) of one example of zeros of the top latent."""
    given = None
    if model.condition:
        given = model.condition.default(1)
        given = np.zeros([1, model.condition.size], np.float32) if given is None else given
    x = tf.zeros([1, *model.decoder.event_shape])
    return model.at_mean().posterior(x, given)


def as_gradient(value: Any) -> Gradient:
    """Returns an estimator, given it or its name; raises `ValueError` for anything else."""
    if isinstance(value, Gradient):
        return value
    return GRADIENTS[value]()
