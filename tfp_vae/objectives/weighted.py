"""Bounds that are a function F of the log weights of their rows, log p(x, z) - log q(z|x)."""

import abc

import keras
import tensorflow as tf

from tfp_vae.objectives.bound import Bound
from tfp_vae.objectives.gradients.base import Gradient, as_gradient
from tfp_vae.objectives.terms import Terms, batch_mean


class WeightedBound(Bound):
    """F(lw) with an estimator of its derivative.

    Rows have shares in an expectation: 1 / S of draws, q(y|x) / S of draws under every class. The
    KL of Bayesian weights is subtracted, divided by N: its expectation stays outside of F, because
    one draw of weights belongs to all examples (docs/decisions/objectives.md).

    Args:
        gradient: a name of `objectives.gradients.GRADIENTS`, or an estimator.

    Attributes:
        estimators: names of those that the bound has; () for all.
    """

    estimators: "tuple[str, ...]" = ()

    def __init__(self, gradient: "Gradient | str" = "path"):
        self.gradient = as_gradient(gradient)
        if self.estimators and self.gradient.name not in self.estimators:
            raise ValueError(
                f"The bound {self.name!r} has no such gradient estimator. Expected one of "
                f"{', '.join(self.estimators)}. Received {self.gradient.name!r}."
            )

    @property
    def taps(self) -> bool:
        """Whether the estimator scales what flows back through draws."""
        return self.gradient.taps

    @abc.abstractmethod
    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns F of each example, nats.

        Args:
            log_weights: [rows, B].
            log_shares: logs of numbers whose sum over the rows is 1, [rows, B].
        """

    @abc.abstractmethod
    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns 1 - F_kk / F_k of each row, [rows, B], see `gradients.DoublyReparameterized`."""

    def __call__(self, terms: Terms) -> tf.Tensor:
        """Returns the bound of each example, [B], nats."""
        local = self.local(terms.log_weights(), terms.log_shares())
        return local - terms.weights.per_example()

    def loss(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns minus the mean bound, whose derivative is the estimate."""
        del step
        found = self.gradient.surrogate(self, terms)
        return terms.weights.per_example() - batch_mean(found, terms.sample_weight)

    def check(self, model: keras.Model) -> None:
        """Raises `ValueError` for a model without latents, or one that the estimator is not for."""
        if not getattr(model, "latents", ()):
            raise ValueError(
                f"The bound {self.name!r} with gradient={self.gradient.name!r} needs latents of "
                f"each example. Expected a VAE. Received a {type(model).__name__}, whose weights "
                "belong to all examples at once."
            )
        self.gradient.check(self, model)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {"gradient": self.gradient.name}


def mean_of(log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
    """Returns the mean log weight, [B]; a row of no share counts for nothing."""
    return tf.reduce_sum(tf.math.multiply_no_nan(log_weights, tf.exp(log_shares)), axis=0)


def check_groups(bound: WeightedBound, model: keras.Model, groups: int) -> None:
    """Raises `ValueError` unless the draws of a model can be put into so many groups."""
    if model.num_samples % groups:
        raise ValueError(
            f"The draws of {bound.name!r} fall into groups of one size. Expected num_samples to be "
            f"a multiple of groups={groups}. Received num_samples={model.num_samples}."
        )


def grouped(values: tf.Tensor, groups: int) -> tf.Tensor:
    """Returns [rows, B] as [M, rows / M, B], rows that are next to each other in one group.

    M is `groups`, or the number of rows where that is less: one row is a group.
    """
    known = values.shape[0]
    count = groups if known is None else min(groups, known)
    return tf.reshape(values, tf.concat([[count, -1], tf.shape(values)[1:]], 0))
