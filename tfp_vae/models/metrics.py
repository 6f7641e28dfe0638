"""Metrics that Keras does not have."""

import warnings
from typing import Any

import keras
import tensorflow as tf

ACTIVE_UNIT_THRESHOLD = 0.01
_RENAMED = {"log_likelihood": ("reconstruction", "expected_log_likelihood")}


class Figures(dict):
    """Figures of an evaluation by their names; one that was renamed answers with a warning.

    `log_likelihood` once was E_q[log p(x|z)] here and log p(x) elsewhere.
    """

    def __missing__(self, name: str) -> Any:
        """Returns the figure that had this name before."""
        for now in _RENAMED.get(name, ()):
            if now in self:
                warnings.warn(
                    f"This figure has another name now. Expected {now!r}. Received {name!r}.",
                    DeprecationWarning,
                    stacklevel=2,
                )
                return self[now]
        raise KeyError(name)


def as_figures(values: Any) -> Any:
    """Returns what Keras returned of an evaluation, a dict as `Figures`."""
    return Figures(values) if isinstance(values, dict) else values


class Bound(keras.metrics.Mean):
    """A mean that also counts the batches of the pass, whatever their weights."""

    def __init__(self, name: str, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.batches = self.add_variable((), "zeros", dtype="int32", name="batches")

    def reset_state(self) -> None:
        """Starts a new pass."""
        super().reset_state()
        self.batches.assign(0)

    def update_state(self, values: tf.Tensor, sample_weight: "tf.Tensor | None" = None) -> None:
        """Adds a batch of values [B]."""
        self.batches.assign_add(1)
        super().update_state(values, sample_weight)


class ActiveUnits(keras.metrics.Metric):
    """Number of latent dimensions whose posterior mean varies over the data by more than 0.01.

    Cov_x(E_q(z|x)[z_d]) > 0.01 (Burda, Grosse & Salakhutdinov, 2016, sec. 5.2). Of a conditional
    model it is the variance within a class, or around the best linear function of a vector: what
    moves with the condition alone says nothing of x. Sums of values and products in float64, which
    has room for the cancellation between them: sums of replicas add up.

    Args:
        latent_dim: D.
        condition_size: C, 0 without a condition.
        classes: whether the condition is one-hot.
    """

    def __init__(
        self,
        latent_dim: int,
        name: str = "active_units",
        condition_size: int = 0,
        classes: bool = True,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        # Columns of ones and zeros, one of them 1, are orthogonal.
        self.orthogonal = classes or not condition_size
        columns = max(1, condition_size + (not self.orthogonal))

        def add(name: str, *shape: int) -> Any:
            return self.add_variable(shape, "zeros", dtype="float64", name=name)

        self.gram = add("gram", columns, *([] if self.orthogonal else [columns]))
        self.cross = add("cross", columns, latent_dim)
        self.squares = add("squares", latent_dim)
        self.count = add("count")

    def update_state(
        self,
        posterior_mean: tf.Tensor,
        condition: "tf.Tensor | None" = None,
        sample_weight: "tf.Tensor | None" = None,
    ) -> None:
        """Adds posterior means [B, D] and the encoded conditions of their examples, [B, C]."""
        del sample_weight  # the definition is over the data, not over a weighted sample
        means = tf.cast(posterior_mean, tf.float64)
        columns = tf.ones_like(means[:, :1])
        if condition is not None:
            condition = tf.cast(condition, tf.float64)
            columns = condition if self.orthogonal else tf.concat([columns, condition], axis=1)
        if self.orthogonal:
            self.gram.assign_add(tf.reduce_sum(columns, axis=0))
        else:
            self.gram.assign_add(tf.matmul(columns, columns, transpose_a=True))
        self.cross.assign_add(tf.matmul(columns, means, transpose_a=True))
        self.squares.assign_add(tf.reduce_sum(means**2, axis=0))
        self.count.assign_add(tf.cast(tf.shape(means)[0], tf.float64))

    def variance(self) -> tf.Tensor:
        """Returns the variance of each latent dimension's posterior mean, float64 [D]."""
        gram, cross = tf.convert_to_tensor(self.gram), tf.convert_to_tensor(self.cross)
        if self.orthogonal:
            explained = tf.math.divide_no_nan(cross**2, gram[:, tf.newaxis])
        else:
            # In units of the columns; the ridge is for columns that others explain.
            size = tf.sqrt(tf.maximum(tf.linalg.diag_part(gram), 1e-30))
            scaled = gram / (size[:, tf.newaxis] * size)
            scaled += 1e-10 * tf.eye(gram.shape[0], dtype=tf.float64)
            scaled = tf.where(tf.math.is_finite(scaled), scaled, 0.0)
            root = tf.linalg.cholesky(scaled)
            half = tf.linalg.triangular_solve(root, cross / size[:, tf.newaxis])
            explained = half**2
        left = self.squares - tf.reduce_sum(explained, axis=0)
        return left / tf.maximum(tf.convert_to_tensor(self.count), 1.0)

    def result(self) -> tf.Tensor:
        """Returns the number of active units, a float32 scalar."""
        return tf.reduce_sum(tf.cast(self.variance() > ACTIVE_UNIT_THRESHOLD, tf.float32))


class _Counts(keras.metrics.Metric):
    """How often each of K codes was chosen in a pass.

    Args:
        count: K.
        name: of the metric.
    """

    def __init__(self, count: int, name: str, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.counts = self.add_variable((count,), "zeros", dtype="float32", name="counts")

    def update_state(self, index: tf.Tensor, sample_weight: "tf.Tensor | None" = None) -> None:
        """Adds codes, int32 of any shape."""
        del sample_weight  # as for active units
        rows = tf.reshape(index, [-1])
        ones = tf.ones_like(rows, tf.float32)
        self.counts.assign_add(tf.math.unsorted_segment_sum(ones, rows, self.counts.shape[0]))


class Perplexity(_Counts):
    """exp of the entropy of the codes that were chosen, over all places: K if all are alike."""

    def result(self) -> tf.Tensor:
        """Returns the perplexity, a float32 scalar."""
        counts = tf.convert_to_tensor(self.counts)
        share = tf.math.divide_no_nan(counts, tf.reduce_sum(counts))
        return tf.exp(-tf.reduce_sum(tf.math.xlogy(share, share)))


class Usage(_Counts):
    """The share of the K codes that was chosen at all."""

    def result(self) -> tf.Tensor:
        """Returns the share, a float32 scalar."""
        return tf.reduce_mean(tf.cast(tf.convert_to_tensor(self.counts) > 0.5, tf.float32))
