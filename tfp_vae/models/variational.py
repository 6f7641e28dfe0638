"""`VariationalModel`: the one adapter between `Terms` and Keras' compile, fit, evaluate, predict.

A model says how its `Terms` are made. The adapter turns them into a loss and metrics, hands out
seeds, and feeds `Split`s and arrays to stock Keras. It overrides `compute_loss` (one scalar, scaled
for replicas) and leaves `compile` and `train_step` alone, so callbacks, reload and `jit_compile`
are those of Keras.
"""

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import objectives
from tfp_vae.data import Kind, Split, kinds
from tfp_vae.objectives import Terms

DEFAULT_BATCH_SIZE = 128
_TRAINING, _EVALUATION, _CALLER = 0, 1, 2


class VariationalModel(keras.Model):
    """A Keras model trained on an objective of `Terms`.

    Args:
        objective: a function (terms, step) -> scalar loss with `get_config`; -elbo by default.
        seed: an integer; fixes data order, binarisation and every latent draw.
        data_kind: the kind of values the model was trained on; `fit` sets it.

    Every draw of noise is keyed by (seed, purpose, step): by the optimizer's step in training, by
    the number of examples seen in evaluation. Two evaluations of the same data see the same noise,
    and a run that continues from a saved model sees the noise that it would have seen.
    """

    def __init__(self, objective=None, seed: int = 0, data_kind=None, **kwargs):
        super().__init__(**kwargs)
        if int(seed) != seed or not 0 <= seed < 2**31:
            raise ValueError(
                f"seed does not fit. Expected an integer in [0, 2^31). Received {seed}."
            )
        self.objective = objectives.ELBO() if objective is None else objective
        self.seed = int(seed)
        self.data_kind = None if data_kind is None else Kind(data_kind)
        self.elbo_tracker = keras.metrics.Mean("elbo")
        self.log_likelihood_tracker = keras.metrics.Mean("log_likelihood")
        self.kl_tracker = keras.metrics.Mean("kl")

    # What a model provides.

    def terms(self, x, y, outputs, sample_weight=None) -> Terms:
        """Returns the `Terms` of a batch; `outputs` is what `call` returned for it."""
        raise NotImplementedError

    def update_metrics(self, terms: Terms, outputs) -> None:
        """Updates the metrics; the three that every bound has."""
        weight = terms.sample_weight
        bound = objectives.elbo(terms)
        log_likelihood = tf.reduce_mean(terms.log_likelihood, axis=0)
        self.elbo_tracker.update_state(bound, weight)
        self.log_likelihood_tracker.update_state(log_likelihood, weight)
        self.kl_tracker.update_state(log_likelihood - bound, weight)

    def check_split(self, split: Split) -> None:
        """Raises `ValueError` if the model is none for the data of `split`."""
        raise NotImplementedError

    def candidate_kinds(self) -> list[Kind]:
        """Returns the kinds that an array may be taken for, in order of preference."""
        raise NotImplementedError

    # What Keras asks for.

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the objective of one batch and updates the metrics."""
        del training  # training and validation have the same objective
        terms = self.terms(x, y, y_pred, sample_weight)
        self.update_metrics(terms, y_pred)
        step = self.optimizer.iterations if self.optimizer is not None else 0
        loss = self.objective(terms, step)
        for extra in self.losses:  # regularisers of a user's network
            loss += tf.cast(extra, loss.dtype)
        # Keras sums the gradients of the replicas; a custom loss has to divide by their number.
        return loss / tf.distribute.get_strategy().num_replicas_in_sync

    def noise_key(self, training: bool | None) -> tf.Tensor:
        """Returns the stateless seed, int32 [2], of the batch that is being worked on."""
        if training:
            step = self.optimizer.iterations if self.optimizer is not None else 0
            purpose = _TRAINING
        else:
            step, purpose = self.elbo_tracker.count, _EVALUATION
        key = fold_in(self.seed, purpose, step)
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            key = fold_in(key, replica.replica_id_in_sync_group)
        return key

    def caller_key(self, seed: int | None) -> tf.Tensor:
        """Returns the stateless seed, int32 [2], of a method called with `seed`."""
        return fold_in(self.seed if seed is None else seed, _CALLER)

    def fit(self, x=None, y=None, batch_size=None, *, validation_data=None, **kwargs):
        """Trains as `keras.Model.fit` does; `x` may also be a `Split` such as `data.train`.

        A `Split` or an array is shuffled and binarised by `Split.epoch`. Datasets and
        generators go to Keras as they are, after a look at the first batch of a dataset.

        Raises:
            ValueError: before training, for data that the model is no model of.
        """
        if validation_data is not None and not isinstance(validation_data, tuple):
            validation_data = self._one_pass(validation_data, batch_size, "validation")
        if isinstance(x, Split) or (
            isinstance(x, np.ndarray) and y is None and not _weighted(kwargs)
        ):
            split = self.as_split(x, "training")
            self.data_kind = split.kind
            epoch = tf.Variable(kwargs.get("initial_epoch", 0), trainable=False, dtype=tf.int64)
            batch_size = batch_size or min(DEFAULT_BATCH_SIZE, len(split))
            x = split.epoch(batch_size, self.seed, epoch)
            set_epoch = keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda number, logs: epoch.assign(number)
            )
            kwargs["callbacks"] = [set_epoch, *(kwargs.get("callbacks") or [])]
            kwargs["shuffle"] = False  # done already
            batch_size = None
        else:
            x = self._checked(x, "training")
            y = x if y is None and _weighted(kwargs) else y  # Keras drops weights without targets
            if isinstance(x, tf.data.Dataset):
                kwargs.setdefault("shuffle", False)  # Keras warns that it cannot
        return super().fit(x, y, batch_size, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Evaluates as `keras.Model.evaluate` does; `x` may also be a `Split`."""
        if y is None and not _weighted(kwargs):
            x = self._one_pass(x, batch_size, "evaluation")
            batch_size = None
        elif y is None:
            y = x = self._checked(x, "evaluation")  # Keras drops weights without targets
        return super().evaluate(x, y, batch_size, **kwargs)

    def save(self, filepath, **kwargs):
        """Saves as `keras.Model.save` does, with the optimizer's state even before `fit`."""
        if self.compiled and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)  # or reloading would warn and skip it
        super().save(filepath, **kwargs)

    def predict(self, x, batch_size=None, **kwargs):
        """Predicts as `keras.Model.predict` does; `x` may also be a `Split`."""
        return super().predict(self._one_pass(x, batch_size, "prediction"), **kwargs)

    def as_split(self, x, name: str = "given") -> Split:
        """Returns `x`, a `Split` or an array [N, ...], as a checked `Split`.

        Raises:
            ValueError: if the model is no model of these values or shapes.
        """
        if not isinstance(x, Split):
            x = np.asarray(x)
            x = x.astype(np.float32) / 255 if self._is_eight_bit(x) else x.astype(np.float32)
            kinds.check_finite(x, f"The {name} array")
            candidates = self.candidate_kinds()
            fitting = [kind for kind in candidates if not len(x) or not kinds.violation(x, kind)]
            x = Split(x, fitting[0] if fitting else kinds.infer(x), name=name)
        self.check_split(x)
        return x

    @staticmethod
    def _is_eight_bit(x: np.ndarray) -> bool:
        return x.dtype == np.uint8 and not kinds.is_zero_one(x)

    def _one_pass(self, x, batch_size, name):
        if isinstance(x, Split | np.ndarray):
            return self.as_split(x, name).dataset(batch_size or DEFAULT_BATCH_SIZE)
        return self._checked(x, name)

    def _checked(self, x, name):
        if isinstance(x, np.ndarray):
            return self.as_split(x, name).values()
        if isinstance(x, tf.data.Dataset):
            for batch in x.take(1):
                batch = batch[0] if isinstance(batch, tuple) else batch
                if not batch.dtype.is_floating:
                    raise ValueError(
                        f"The {name} dataset has batches of a wrong type. Expected floats, as the "
                        f"model sees them (bytes divided by 255). Received {batch.dtype.name}."
                    )
                self.as_split(batch.numpy(), f"first {name} batch of the dataset:")
        return x


def fold_in(key, *numbers) -> tf.Tensor:
    """Returns the stateless seed, int32 [2], of `key` (a seed or an integer) and `numbers`."""
    key = tf.convert_to_tensor(key, tf.int32)
    if key.shape.rank == 0:
        key = tf.stack([key, 0])
    for number in numbers:
        key = tf.random.experimental.stateless_fold_in(key, tf.cast(number, tf.int32))
    return key


def _weighted(kwargs: dict) -> bool:
    return kwargs.get("sample_weight") is not None
