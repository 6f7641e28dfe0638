"""The posterior predictive: a mixture of likelihoods over draws of the weights."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np
import tensorflow as tf

from tfp_vae import notebooks
from tfp_vae.arguments import check_count, check_number
from tfp_vae.conformal import DEFAULT_LEVEL, Conformal, Seen
from tfp_vae.data import Split
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads import Head
from tfp_vae.models.graphs import compiled
from tfp_vae.models.memory import in_batches
from tfp_vae.models.variational import VariationalModel

DEFAULT_PREDICTIVE_SAMPLES = 100
_HALVINGS = 64  # of a bracket: float32 has no more to tell apart
_DOUBLINGS = 100


class Interval(NamedTuple):
    """The ends of intervals, float32 [B] each, in the unit of the target."""

    low: tf.Tensor
    high: tf.Tensor


class Predictive(tfd.MixtureSameFamily):
    """p(y|x, data) = 1/S sum_s p(y|x, w_s), a distribution over targets with batch shape [B].

    Averages probabilities, never logits. Total uncertainty splits into what remains if the weights
    were known (aleatoric) and what the weights add (epistemic): for classes H(mean p) = mean H(p) +
    mutual information (Houlsby et al., 2011, eq. 2), in nats; for numbers Var(y) = E Var(y|w) +
    Var E(y|w), in squared units of the target.

    `Predictive.of(components, head)` makes one.

    Attributes:
        is_categorical: whether the targets are classes.
        is_discrete: whether targets have probabilities, not densities.
        conformal: what `conformal.calibrate` found of the predictor, by which `interval` and
            `class_set` cover; None for what the model itself says.
    """

    is_categorical: bool = False
    is_discrete: bool = False
    conformal: "Conformal | None" = None

    @classmethod
    def of(cls, components: tfd.Distribution, head: Head | None = None) -> "Predictive":
        """Returns the mixture with equal weights of likelihoods with batch shape [B, S].

        Args:
            components: a distribution of targets, event shape [].
            head: whose distribution it is; without one a `tfd.Categorical` is of classes and
                everything else of real numbers.
        """
        uniform = tfd.Categorical(logits=tf.zeros([components.batch_shape[-1]]))
        found = cls(uniform, components, name="Predictive")
        if head is not None:
            found.is_categorical = head.task == "classification"
            found.is_discrete = head.is_discrete
        else:
            found.is_categorical = found.is_discrete = isinstance(components, tfd.Categorical)
        return found

    def _repr_html_(self) -> str:
        parts = self.components_distribution
        told = "classes" if self.is_categorical else type(parts).__name__
        rows = [(self.batch_shape[0], parts.batch_shape[-1], told, self.conformal is not None)]
        return notebooks.table("Predictive", ("examples", "draws", "of", "calibrated"), rows)

    @property
    def log_probs(self) -> tf.Tensor:
        """Logs of the averaged class probabilities, [B, K].

        Raises:
            ValueError: if the targets are not classes.
        """
        if not self.is_categorical:
            raise ValueError(
                "Only classes have probabilities. Expected a predictive distribution of a "
                f"classifier. Received one over {self.components_distribution.name}."
            )
        log_probs = tf.nn.log_softmax(self.components_distribution.logits_parameter())
        count = tf.cast(tf.shape(log_probs)[-2], tf.float32)
        return tf.reduce_logsumexp(log_probs, axis=-2) - tf.math.log(count)

    @property
    def probs(self) -> tf.Tensor:
        """Averaged class probabilities, [B, K]."""
        return tf.exp(self.log_probs)

    @property
    def total(self) -> tf.Tensor:
        """Total uncertainty [B]: predictive entropy (nats) or variance."""
        if self.is_categorical:
            log_probs = self.log_probs
            return -tf.reduce_sum(tf.math.multiply_no_nan(log_probs, tf.exp(log_probs)), axis=-1)
        return self.aleatoric + self.epistemic

    @property
    def aleatoric(self) -> tf.Tensor:
        """Uncertainty [B] that known weights would leave: mean entropy (nats) or variance."""
        parts = self.components_distribution
        each = parts.entropy() if self.is_categorical else parts.variance()
        return tf.reduce_mean(each, axis=-1)

    @property
    def epistemic(self) -> tf.Tensor:
        """Uncertainty [B] from the weights: mutual information (nats) or variance of the mean."""
        if self.is_categorical:
            return tf.maximum(self.total - self.aleatoric, 0.0)  # rounding
        return tf.math.reduce_variance(self.components_distribution.mean(), axis=-1)

    def _quantile(self, value, **kwargs):
        """Returns the least target whose distribution function is `value`, or for counts more.

        By halving a bracket around the mean that is doubled until it holds the quantile.
        """
        if self.is_categorical:
            raise ValueError(
                "Classes have no order. Expected a predictive distribution of numbers, or "
                "class_set(level). Received one of classes."
            )
        mean, width = self.mean(), tf.sqrt(self.total) + tf.cast(self.is_discrete, tf.float32)
        value = tf.convert_to_tensor(value, mean.dtype)
        value, mean, width = (x + tf.zeros_like(value + mean) for x in (value, mean, width))
        low, high = mean - width, mean + width
        if self.is_discrete:  # least counts: -1 has none
            low, high = tf.maximum(tf.floor(low), -1.0), tf.maximum(tf.math.ceil(high), 0.0)

        def reaches(x):
            return self.cdf(x) >= value

        for _ in range(_DOUBLINGS):
            above, below = reaches(low), reaches(high)
            if self.is_discrete:
                above = tf.logical_and(above, low >= 0)
            if not tf.reduce_any(tf.logical_or(above, tf.logical_not(below))):
                break
            width = 2 * width
            low = tf.where(above, low - width, low)
            high = tf.where(below, high, high + width)
            if self.is_discrete:
                low, high = tf.maximum(tf.floor(low), -1.0), tf.math.ceil(high)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if self.is_discrete:
                middle = tf.floor(middle)
            enough = reaches(middle)
            if self.is_discrete:
                enough = tf.logical_and(enough, middle >= 0)
            low, high = tf.where(enough, low, middle), tf.where(enough, middle, high)
            if not tf.reduce_any(high - low > (1 if self.is_discrete else 1e-6 * width)):
                break
        return high

    def interval(
        self, level: "float | None" = None, *, groups: Any = None, own: bool = False
    ) -> Interval:
        """Returns an interval for each target that holds it with probability `level`.

        Of a calibrated predictor (`conformal.calibrate`) the one that covers, whatever the model
        is worth; otherwise the central one of the model, between the quantiles (1 - level) / 2
        and (1 + level) / 2, which covers as far as the model is right.

        Args:
            level: in (0, 1); that of the calibration by default, or 0.9.
            groups: to which group each example belongs, [B], where the calibration has groups.
            own: that of the model, whatever the calibration.

        Raises:
            ValueError: if the targets are classes, or if the calibration has too few examples.
        """
        if self.is_categorical:
            raise ValueError(
                "Classes have no intervals. Expected a predictive distribution of numbers, or "
                "class_set(level). Received one of classes."
            )
        level = self._level(level)
        if self.conformal is not None and not own:
            low, high = self.conformal.interval(Seen.of(self), level, groups)
            return Interval(tf.cast(low, tf.float32), tf.cast(high, tf.float32))
        low, high = tf.unstack(self.quantile([[(1 - level) / 2], [(1 + level) / 2]]))
        return Interval(low, high)

    def class_set(
        self, level: "float | None" = None, *, groups: Any = None, own: bool = False
    ) -> tf.Tensor:
        """Returns for each example a set of classes that holds its class with probability `level`.

        As `interval`; the model's own set has the fewest classes whose probabilities sum to it.

        Returns:
            bool [B, K].

        Raises:
            ValueError: if the targets are not classes, or if the calibration has too few examples.
        """
        level, probs = self._level(level), np.exp(self.log_probs.numpy())
        if self.conformal is not None and not own:
            return tf.constant(self.conformal.classes(Seen(probs=probs), level, groups))
        order = np.argsort(-probs, axis=1, kind="stable")
        ordered = np.take_along_axis(probs, order, axis=1).astype(np.float64)
        before = np.cumsum(ordered, axis=1) - ordered
        found = np.zeros(probs.shape, bool)
        np.put_along_axis(found, order, before < level, axis=1)
        return tf.constant(found)

    def _level(self, level):
        if level is None:
            level = DEFAULT_LEVEL if self.conformal is None else self.conformal.level
        return check_number("level", level, above=0, below=1)


class Predictor:
    """What gives predictive distributions: it draws parameters of the likelihood.

    A subclass has `draw_parameters` and `frozen_parameters` and, unless it is one itself, overrides
    `trained_model`.

    Attributes:
        conformal: what `conformal.calibrate` found, by which intervals cover; None before it.
    """

    conformal: "Conformal | None" = None

    def trained_model(self) -> VariationalModel:
        """Returns the model whose likelihood, seed and inputs these are."""
        return cast("VariationalModel", self)

    def draw_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns parameters of the likelihood under draws of the weights, [S, B, Q].

        The draws are functions of `key` alone: every batch sees the same ones.
        """
        raise NotImplementedError

    @property
    def is_random(self) -> bool:
        """Whether two draws differ: whether there is more to predict from than fixed weights."""
        return True

    def frozen_parameters(self, x: tf.Tensor, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns `draw_parameters` with the draws made now: in a graph they are constants.

        One pass after the other, without loops and random operations, which other runtimes lack.
        """
        raise NotImplementedError

    def predictive(
        self,
        x: "Split | np.ndarray",
        num_samples: int = DEFAULT_PREDICTIVE_SAMPLES,
        *,
        seed: int | None = None,
        batch_size: int = 1000,
        progress: Callable[[int, int], None] | None = None,
    ) -> Predictive:
        """Returns the posterior predictive distribution of the targets of `x`.

        Holds N x S parameter vectors in memory.

        Args:
            x: a `Split` or an array [N, ...].
            num_samples: S draws of the weights; each is one function for all of `x`.
            seed: fixes the draws; the model's seed by default.
            batch_size: examples at a time; fewer, with a warning, where memory runs out.
            progress: called with (examples done, examples in all) after every batch.

        Raises:
            ValueError: if S < 1 or `x` does not fit the model.
        """
        num_samples = check_count("num_samples", num_samples)
        model = self.trained_model()
        split = model.as_inputs(x)
        key = model.caller_key(seed)
        function = self._drawing_function(num_samples)
        batches = in_batches(
            split,
            batch_size,
            lambda _, index: function(tf.constant(split.values(index)), key),
            progress,
        )
        parameters = tf.concat([part[:, :size] for part, size in batches], axis=1)
        found = Predictive.of(model.distribution(_draws_last(parameters)), model.head)
        found.conformal = self.conformal
        return found

    def _drawing_function(self, num_samples: int) -> Callable:
        def make():
            return lambda x, key: self.draw_parameters(x, num_samples, key)

        return compiled(self, "draw_parameters", num_samples, make)


def _draws_last(parameters: tf.Tensor) -> tf.Tensor:
    """Moves the axis of draws, [S, ..., Q] -> [..., S, Q]."""
    rank = parameters.shape.rank
    return tf.transpose(parameters, [*range(1, rank - 1), 0, rank - 1])
