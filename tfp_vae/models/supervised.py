"""What models of targets share: terms, metrics, predictions and the intake of (x, y)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.data import Kind, Split
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.heads import Head
from tfp_vae.models.intake import check_schema
from tfp_vae.models.predictive import Predictor
from tfp_vae.models.variational import VariationalModel
from tfp_vae.objectives import Terms


class SupervisedModel(Predictor, VariationalModel):
    """A model of p(y|x). Calling it returns a distribution of targets, batch shape [S, B].

    A subclass has `head`, `draw_parameters`, `num_predictive_samples` and, once built,
    `event_shape`, the shape of one example.
    """

    supervised = infers_kind = predicts = True
    own_axes = 1  # axes of draws or members that targets do not have

    @property
    def head(self) -> Head:
        """The likelihood of one target."""
        raise NotImplementedError

    @property
    def task(self) -> str:
        """What is predicted: "classification" or "regression"."""
        return self.head.task

    def distribution(self, parameters: tf.Tensor) -> tfd.Distribution:
        """Returns the likelihood with these parameters, [..., Q] -> batch shape [...]."""
        return self.head.distribution(parameters)

    def _track_accuracy(self):
        if self.task == "classification":
            self.accuracy_tracker = keras.metrics.Mean("accuracy")

    def terms(
        self, x: Any, y: Any, outputs: Any, sample_weight: "tf.Tensor | None" = None
    ) -> Terms:
        """Returns the `Terms` of targets `y` [B]."""
        del x
        y = tf.convert_to_tensor(y)
        if y.shape.rank is not None and y.shape.rank != outputs.batch_shape.rank - self.own_axes:
            raise ValueError(
                "The targets have a wrong shape: they would be spread over the batch. Expected "
                f"{outputs.batch_shape.rank - self.own_axes} axes. Received shape {y.shape}."
            )
        log_likelihood = outputs.log_prob(tf.cast(y, outputs.dtype))
        return Terms(log_likelihood, weights=self.weight_terms(), sample_weight=sample_weight)

    def update_metrics(self, terms: Terms, outputs: Any, y: Any = None) -> None:
        """Updates elbo, expected_log_likelihood, kl (KL / N) and, for classes, accuracy."""
        super().update_metrics(terms, outputs)
        if self.task == "classification":
            probs = tf.reduce_mean(outputs.probs_parameter(), axis=0)
            right = tf.argmax(probs, axis=-1, output_type=tf.int32) == tf.cast(y, tf.int32)
            self.accuracy_tracker.update_state(tf.cast(right, tf.float32), terms.sample_weight)

    def predict_step(self, data: Any) -> tf.Tensor:
        """Returns class probabilities [B, K], or the predictive mean [B]."""
        x = data[0] if isinstance(data, tuple | list) else data
        parameters = self.draw_parameters(x, self.num_predictive_samples, self.caller_key(None))
        each = self.distribution(parameters)
        if self.task == "classification":
            return tf.reduce_mean(each.probs_parameter(), axis=0)
        return tf.reduce_mean(each.mean(), axis=0)

    def check_inputs(self, split: Split) -> None:
        """Raises `ValueError` if values or shapes do not fit; builds a model that is not built."""
        if not self.built:
            self.build((None, *split.shape))
        # A table has numbers of any size; a model of images has never seen what is beyond [0, 1].
        narrow = not self._kind_of_batches and self.data_kind not in (None, Kind.REAL)
        if split.kind is Kind.REAL and narrow:
            x = split.intensities()
            raise ValueError(
                f"The {split.name} values are out of range. Expected values in [0, 1], as in "
                f"training. Received values from {x.min():g} to {x.max():g}."
            )
        if split.shape != tuple(self.event_shape):
            raise ValueError(
                f"The {split.name} examples have a wrong shape. Expected "
                f"{tuple(self.event_shape)}, as the network was built for. Received {split.shape}."
            )

        layers = keras_private.all_sublayers(self)
        for layer in layers:
            if hasattr(layer, "check_examples"):
                layer.check_examples(split)
        if not any(getattr(layer, "takes_missing", False) for layer in layers):
            check_schema(split, None)

    def shape_of_examples(self) -> "tuple[int, ...] | None":
        """Returns the shape of an example, None before it is known."""
        return tuple(self.event_shape) if self.built else None

    def as_inputs(self, x: Any, name: str = "given") -> Split:
        """Returns `x`, a `Split` or an array [N, ...], as a `Split` to predict from."""
        return super().as_inputs(x, name).frozen()

    def candidate_kinds(self) -> list[Kind]:
        """Returns none: before training, an array says by itself what it is."""
        return []

    def _beside(self, y):
        if self.task == "classification":
            return {"labels": y}
        if self.own_axes and np.ndim(y) == 2 and np.shape(y)[1] == 1:
            y = np.asarray(y)[:, 0]  # a column, as other packages have targets
        return {"targets": y}
