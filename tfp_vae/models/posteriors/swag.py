"""SWAG: a normal fitted to the path of stochastic gradient descent (Maddox et al., 2019)."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.models.ensemble import Ensemble
from tfp_vae.models.network import BayesianNetwork
from tfp_vae.models.posteriors.weights import WeightPosterior, copied, flat
from tfp_vae.randomness import fold_in, normal


class SWAG(WeightPosterior):
    """N(mean of the path, (diagonal + low rank) / 2) of the weights.

    Starts from a trained network and goes on with SGD at a constant rate; after each epoch the
    weights enter the first two moments and, for the last `rank` epochs, the low-rank part (eq. 1
    and algorithm 1 of the paper).

    Args:
        model: a `BayesianNetwork` of ordinary layers with a `weight_prior`, trained. A copy of it
            walks.
        rank: K, columns of the low-rank part, at least 2.
    """

    def __init__(self, model: BayesianNetwork, rank: int = 20):
        super().__init__(model)
        self.rank = check_count("rank", rank, 2)
        self.mean = self.scale = self.deviations = None

    def fit(
        self,
        split: Split,
        epochs: int = 50,
        learning_rate: float = 1e-2,
        batch_size: int = 32,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> "SWAG":
        """Walks and collects.

        Args:
            split: the training data.
            epochs: weights collected.
            learning_rate: of SGD with momentum 0.9, constant.
            batch_size: examples per step.
            callbacks: of Keras.
        """
        path = _path(self.network_model, split, epochs, learning_rate, batch_size, callbacks)
        return self.take(np.stack([np.concatenate([np.ravel(v) for v in step]) for step in path]))

    def take(self, path: np.ndarray) -> "SWAG":
        """Takes the moments of a path of weights, [T, P].

        Raises:
            ValueError: if these are not weights of the model.
            FloatingPointError: if the path left the finite numbers.
        """
        if path.ndim != 2 or path.shape[1] != self.num_weights:
            raise ValueError(
                f"The path does not fit the model. Expected shape (T, {self.num_weights}). "
                f"Received {path.shape}."
            )
        if not np.isfinite(path).all():
            raise FloatingPointError(
                "SWAG's walk broke down. Expected finite weights. Received NaN or infinity; a "
                "lower learning rate is the likely cure."
            )
        self._forget()
        path = path.astype(np.float64)
        self.mean = tf.constant(path.mean(axis=0), tf.float32)
        self.scale = tf.constant(path.std(axis=0), tf.float32)
        running = np.cumsum(path, axis=0) / np.arange(1, len(path) + 1)[:, np.newaxis]
        self.deviations = tf.constant((path - running)[-self.rank :], tf.float32)  # [K, P]
        return self

    def draw(self, num_samples: int, key: tf.Tensor) -> tf.Tensor:
        """Returns draws of the weights, [S, P]."""
        if self.mean is None:
            raise ValueError(
                "The path is not known yet. Expected fit(training split) before. Received no call "
                "of fit."
            )
        rank = self.deviations.shape[0]
        diagonal = normal([num_samples, self.num_weights], fold_in(key, 1))
        low = normal([num_samples, rank], fold_in(key, 2))
        low = tf.matmul(low, self.deviations) / np.sqrt(2 * max(rank - 1, 1))
        return self.mean + diagonal * self.scale / np.sqrt(2) + low


def around_members(
    ensemble: Ensemble,
    split: Split,
    epochs: int = 50,
    learning_rate: float = 1e-2,
    batch_size: int = 32,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> "list[SWAG]":
    """Returns a fitted SWAG around each member of a trained ensemble; they walk side by side.

    Args:
        ensemble: of networks that SWAG takes, all on the same data.
        split: the training data.
        epochs: weights collected.
        learning_rate: see `SWAG.fit`.
        batch_size: examples per step.
        callbacks: of Keras.
    """
    found = [SWAG(ensemble.member(index)) for index in range(ensemble.size)]
    path = _path(ensemble, split, epochs, learning_rate, batch_size, callbacks)
    steps = np.stack([flat(step) for step in path])  # [T, M, P]
    return [swag.take(steps[:, index]) for index, swag in enumerate(found)]


def _path(
    model: "BayesianNetwork | Ensemble",
    split: Split,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> list:
    """Returns the weights of a copy of a network or an ensemble after each epoch of its walk."""
    walk = copied(model, split)
    members = getattr(model, "num_members", 1)  # whose gradients are one, and longer
    walk.compile(
        optimizer=keras.optimizers.SGD(learning_rate, momentum=0.9, clipnorm=members**0.5),
        steps_per_execution=split.num_batches(batch_size),
        jit_compile=False,
    )
    walk.optimizer.build(walk.trainable_variables)
    if getattr(model, "optimizer", None) is not None:  # a schedule of the KL weight goes on
        keras_private.raw_step(walk.optimizer).assign(tf.convert_to_tensor(model.training_step))
    return collect_path(walk, split, epochs, batch_size, callbacks)


def collect_path(
    walk: keras.Model,
    split: Split,
    epochs: int,
    batch_size: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list:
    """Trains `walk`, a compiled model, and returns its trainable weights after every epoch."""
    path = []

    def collect(*_):
        path.append([np.array(v) for v in walk.trainable_variables])

    walk.fit(
        split,
        batch_size=min(batch_size, len(split)),
        epochs=epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=collect), *callbacks],
    )
    return path
