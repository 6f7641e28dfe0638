"""Grey levels, with a probability each."""

from typing import Any

import tensorflow as tf

from tfp_vae.arguments import check_count
from tfp_vae.data import Kind
from tfp_vae.data.kinds import GREY_LEVELS
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads.base import HEADS, Head, registered
from tfp_vae.distributions.portable import logsumexp


@HEADS.register("categorical", "one of 256 grey levels, with a logit each")
@registered
class Categorical(Head):
    """One of 256 levels per value with a logit each (van den Oord et al., "PixelRNN", 2016).

    The outcomes are the grid {0, 1/255, ..., 1}, so that mean and samples are images.

    Args:
        num_levels: n of the grid {0, 1/(n-1), ..., 1}; `EIGHT_BIT` data have 256.
    """

    kinds = frozenset({Kind.EIGHT_BIT})
    preferred_kind = Kind.EIGHT_BIT
    is_discrete = True

    def __init__(self, num_levels: int = GREY_LEVELS, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_levels = self.num_features = check_count("num_levels", num_levels, 2)

    def _grid(self) -> tf.Tensor:
        return tf.range(self.num_levels, dtype=tf.float32) / (self.num_levels - 1)

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns a `FiniteDiscrete`."""
        return _OnGrid(self._grid(), logits=parameters, atol=0.1 / self.num_levels)

    def portable_log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns the log-probability of the level."""
        level = tf.cast(tf.round(x * (self.num_levels - 1)), tf.int32)
        chosen = tf.reduce_sum(parameters * tf.one_hot(level, self.num_levels), axis=-1)
        return chosen - logsumexp(parameters, -1)

    def portable_mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the mean of the levels."""
        probs = tf.exp(parameters - logsumexp(parameters, -1, keepdims=True))
        return tf.reduce_sum(probs * self._grid(), axis=-1)

    def fisher_root(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns diag(sqrt p) - sqrt(p) p', whose square is diag(p) - p p', [..., n, n]."""
        p = tf.nn.softmax(parameters)
        return tf.sqrt(p)[..., tf.newaxis] * (tf.eye(self.num_levels) - p[..., tf.newaxis, :])

    def steps(self) -> dict:
        """Returns the mean of the levels."""
        return {"mean": "categorical"}

    def tables(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of the levels."""
        return tf.exp(parameters - tf.reduce_logsumexp(parameters, axis=-1, keepdims=True))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "num_levels": self.num_levels}


class _OnGrid(tfd.FiniteDiscrete):
    # TFP's moments take tf.nn.softmax, which on some processors refuses more than five axes.

    def _probs(self):
        logits = self.logits_parameter()
        return tf.exp(logits - tf.reduce_logsumexp(logits, axis=-1, keepdims=True))

    def _mean(self):
        return tf.reduce_sum(self._probs() * self.outcomes, axis=-1)

    def _variance(self):
        offset = self.outcomes - self._mean()[..., tf.newaxis]
        return tf.reduce_sum(self._probs() * tf.square(offset), axis=-1)
