"""A masked perceptron over codes."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import networks
from tfp_vae.arguments import check_count
from tfp_vae.distributions.code_priors.base import CODE_PRIORS, CodePrior, registered
from tfp_vae.distributions.codes.ordered import OrderedCodes
from tfp_vae.distributions.priors.base import Context, Spec


class OrderedPrior(CodePrior):
    """p(code t | codes before it) by a masked network, fitted to codes after these are trained.

    `vae.with_prior(prior, data.train)` fits it. A subclass gives `make_network` and `logits`.

    Args:
        places: T.
        count: K.
        width: E.
        steps: of the fit, at most.
    """

    def __init__(self, places: int, count: int, width: int, steps: int = 3000, **kwargs: Any):
        super().__init__(places, count, width, **kwargs)
        self.steps = check_count("steps", steps)
        self.network = self.make_network()

    def make_network(self) -> keras.Sequential:
        """Returns the network, not built."""
        raise NotImplementedError

    def logits(self, index: tf.Tensor) -> tf.Tensor:
        """Returns logits of all codes, int32 [N, T] -> [N, T, K]."""
        raise NotImplementedError

    def build(self, spec: "Spec | None" = None) -> None:
        """Builds the network."""
        self.logits(tf.zeros([1, self.places], tf.int32))
        self.built = True

    def distribution(self, context: Context) -> OrderedCodes:
        """Returns an `OrderedCodes` with event shape [T E]."""
        return OrderedCodes(self.book, self.logits)

    def fit(self, z: np.ndarray, seed: int = 0, steps: "int | None" = None) -> None:
        """Fits the prior to draws, see `Prior.fit`; by default in the constructor's `steps`."""
        super().fit(z, seed, steps or self.steps)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "steps": self.steps}


@CODE_PRIORS.register("made", "masked perceptron: each code sees all before it")
@registered
class MaskedPerceptron(OrderedPrior):
    """`networks.masked_mlp` over one-hot codes; see `OrderedPrior`.

    Args:
        places: T.
        count: K.
        width: E.
        hidden: widths of the network.
        **kwargs: see `OrderedPrior`.
    """

    def __init__(
        self, places: int, count: int, width: int, hidden: Sequence[int] = (256,), **kwargs: Any
    ):
        self.hidden = tuple(hidden)
        super().__init__(places, count, width, **kwargs)

    def make_network(self) -> keras.Sequential:
        """Returns the masked perceptron."""
        return networks.masked_mlp(self.places, self.count, self.hidden)

    def logits(self, index: tf.Tensor) -> tf.Tensor:
        """Returns logits of all codes."""
        flat = tf.reshape(tf.one_hot(index, self.count), [-1, self.places * self.count])
        shape = [-1, self.places, self.count]
        return tf.cast(tf.reshape(self.network(flat), shape), tf.float32)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "hidden": list(self.hidden)}
