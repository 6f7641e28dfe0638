"""`VariationalModel`: the one adapter between `Terms` and Keras' compile, fit, evaluate, predict.

A model says how its `Terms` are made. The adapter turns them into a loss and metrics, hands out
seeds, and feeds `Split`s and arrays to stock Keras. It overrides `compute_loss` (one scalar, scaled
for replicas) and leaves `compile` and `train_step` alone, so callbacks, reload and `jit_compile`
are those of Keras.
"""

import contextlib
import pathlib
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private, objectives
from tfp_vae.arguments import check_count, check_seed
from tfp_vae.data import Feed, Kind, Split, kinds
from tfp_vae.data.feeds import num_batches
from tfp_vae.data.streams import own_errors
from tfp_vae.files import replacing
from tfp_vae.layers import BayesianLayer
from tfp_vae.layers import noise as noises
from tfp_vae.layers.noise import ESTIMATOR, MEAN
from tfp_vae.models import fit as fits
from tfp_vae.models.draw import Draw
from tfp_vae.models.fit import DEFAULT_BATCH_SIZE, Fit
from tfp_vae.models.intake import Intake, check_options
from tfp_vae.models.loop import Loop, Skipping
from tfp_vae.models.metrics import Bound
from tfp_vae.objectives import Terms, WeightTerms
from tfp_vae.randomness import current_part, fold_in

_TRAINING, _EVALUATION, _CALLER = 0, 1, 2


class VariationalModel(keras.Model):
    """A Keras model trained on an objective of `Terms`.

    Args:
        objective: the bound that is trained, from `tfp_vae.objectives`; the ELBO by default.
        seed: an integer; fixes data order, binarisation and every latent draw.
        data_kind: the kind of values the model was trained on; `fit` sets it.
        num_data: N, the size of the training set, that the KL of Bayesian layers is divided by.
            `fit` reads it from a `Split` or an array; a dataset or a generator has none to read.

    Every draw of noise is keyed by (seed, purpose, step): by the training step in training, by the
    batch of the pass in evaluation. Two evaluations of the same data see the same noise, and a run
    that continues from a saved model sees the noise that it would have seen.

    Attributes:
        parts: names of the constructor's arguments that are Keras objects themselves.
        supervised: whether an example has a target beside it.
        infers_kind: whether an array says by itself what kind of values it has.
        current: what the `fit` that is running knows, or None.
    """

    parts: "tuple[str, ...]" = ("objective",)
    supervised = infers_kind = False
    current: "Fit | None" = None
    train_function: Any
    test_function: Any
    _test_feed: "Feed | None" = None  # of the `evaluate` that is running
    expected_name = "expected_log_likelihood"  # of the metric of E_q[log p(data | what is drawn)]

    def __init__(
        self,
        objective: "objectives.Bound | None" = None,
        seed: int = 0,
        data_kind: "Kind | str | None" = None,
        num_data: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.objective = objectives.ELBO() if objective is None else objective
        self.seed = check_seed(seed)
        self.data_kind = None if data_kind is None else kinds.of(data_kind)
        self.num_data = None
        if num_data is not None:
            self.num_data = check_count("num_data", num_data, most=2**63)
        self.elbo_tracker = Bound("elbo")
        self.expected_tracker = keras.metrics.Mean(self.expected_name)
        self.kl_tracker = keras.metrics.Mean("kl")

    def layer_parts(self) -> "list[tuple[str, keras.Layer]]":
        """Returns the `parts` that are layers, each with the name that people know it by."""
        parts = [(part, getattr(self, part)) for part in self.parts]
        return [(name, part) for name, part in parts if isinstance(part, keras.Layer)]

    @property
    def objective(self) -> "objectives.Bound":
        """The bound that `fit` trains; one that is not the ELBO is a metric beside it."""
        return self._objective

    @objective.setter
    def objective(self, value: "objectives.Bound") -> None:
        self._objective = objectives.as_bound(value)
        name = value.name
        # Keras takes no new metric into a model that is built, and a built model may be given
        # another bound: `metrics` names it, and the steps of the old bound are not kept.
        self.__dict__["bound_tracker"] = None if name == "elbo" else keras.metrics.Mean(name)
        self.train_function = self.test_function = None

    @property
    def metrics(self) -> "list[keras.metrics.Metric]":
        """Those of Keras, then that of the bound where it is not the ELBO."""
        own = [] if self.bound_tracker is None else [self.bound_tracker]
        return [*super().metrics, *own]

    # What a model provides.

    def terms(
        self, x: Any, y: Any, outputs: Any, sample_weight: "tf.Tensor | None" = None
    ) -> Terms:
        """Returns the `Terms` of a batch; `outputs` is what `call` returned for it."""
        raise NotImplementedError

    def update_metrics(self, terms: Terms, outputs: Any, y: Any = None) -> None:
        """Updates the metrics; the three that every bound has."""
        weight = terms.sample_weight
        elbo, expected = objectives.elbo(terms), terms.reconstruction()
        self.elbo_tracker.update_state(elbo, weight)
        self.expected_tracker.update_state(expected, weight)
        self.kl_tracker.update_state(expected - elbo, weight)
        if self.bound_tracker is not None:
            self.bound_tracker.update_state(self.objective(terms), weight)

    def check_split(self, split: Split) -> None:
        """Raises `ValueError` if the data of `split` do not fit the model."""
        raise NotImplementedError

    def candidate_kinds(self) -> list[Kind]:
        """Returns the kinds that an array may be taken for, in order of preference."""
        raise NotImplementedError

    def adapt(self, split: Split) -> None:
        """Takes from the training data what the model has to know beforehand; N, in any case.

        `fit` does it for a `Split` or arrays; for a dataset or a generator, call it before.
        """
        self.take_size(split)
        self.data_kind = split.kind

    def units(self) -> list[str]:
        """Returns the names of what takes units or moments from the data in `adapt`."""
        return []

    def take_size(self, split: Split) -> None:
        """Takes N, the number of examples of the training data."""
        if self.num_data != len(split):
            self.num_data = len(split)
            self.train_function = self.test_function = None  # N is a constant in their graphs

    # How data come in.

    @property
    def intake(self) -> Intake:
        """What turns arrays and datasets into what the model takes."""
        known = self.data_kind
        if known is None:
            candidates = tuple(self.candidate_kinds())
        else:
            candidates = (Kind.STATIC if known.is_binary else known,)
        return Intake(candidates, self.check_split, self._beside, self.supervised, self.infers_kind)

    def _beside(self, y: Any) -> dict:
        """Returns what a `Split` is told of `y`; a model without targets has no use for it."""
        return {}

    def as_split(self, x: Any, name: str = "given", y: Any = None) -> Split:
        """Returns `x`, a `Split` or an array [N, ...] with `y` beside it, as a checked `Split`.

        Raises:
            ValueError: if values, shapes or targets do not fit the model.
        """
        return self.intake.split(x, name, y)

    def as_inputs(self, x: Any, name: str = "given") -> Split:
        """Returns `x`, a `Split` or an array [N, ...], as a `Split` to predict from."""
        return self.as_split(x, name)

    @property
    def num_replicas(self) -> int:
        """How many replicas share a batch in training."""
        return self.distribute_strategy.num_replicas_in_sync

    def batches_per_epoch(self, split: Split, batch_size: int) -> int:
        """Returns the number of batches that `feed` has."""
        return num_batches(len(split), batch_size, self.num_replicas)

    def feed(self, split: Split, batch_size: int) -> Feed:
        """Returns the shuffled batches for training."""
        return Feed(split, batch_size, self.seed, self.supervised, self.num_replicas)

    def stays_in_memory(self, split: Split) -> bool:
        """Returns whether `split` is trained on from memory and not through tf.data.

        It is if it is there and no larger than `MOST_BYTES`, and the model does not run eagerly.
        """
        return fits.why_not_in_memory(self, split) is None

    def reading(self, split: Split, batch_size: int) -> str:
        """Returns how `fit` reads `split`, and why so, in one line; the model is compiled."""
        return fits.how(self, split, batch_size)

    @property
    def supports_jit(self) -> bool:
        """Whether a training is faster under XLA, else Keras and the programs leave it out.

        On a CPU not with convolutions: `scripts/benchmark --items=V3` says how slow XLA's are.
        """
        if not all(layer.supports_jit for layer in keras_private.all_sublayers(self)):
            return False
        return not fits.convolves(self) or bool(tf.config.list_physical_devices("GPU"))

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:
        pass  # of Keras' own constructor

    def to_keras(self, x: Any, y: Any) -> tuple:
        """Returns inputs and targets as Keras gets them: what `call` needs is in the inputs."""
        return x, y

    def prediction_dataset(self, split: Split, batch_size: int) -> tf.data.Dataset:
        """Returns the inputs of `call` for a split, in order."""
        return split.dataset(batch_size)

    # The weights, where they are Bayesian.

    def random_layers(self) -> "list[keras.Layer]":
        """Returns the layers of this package that draw noise, each once, first layer first."""

        def inside(layer):
            for part in keras_private.sublayers(layer):
                yield part
                yield from inside(part)

        return list({id(x): x for x in inside(self) if getattr(x, "draws_noise", False)}.values())

    def bayesian_layers(self) -> "list[BayesianLayer]":
        """Returns the layers with a posterior over their weights, each once, first layer first."""
        return [layer for layer in self.random_layers() if isinstance(layer, BayesianLayer)]

    def noise_numbers(self) -> "dict[int, int]":
        """Returns the number of each random layer, by its id: its place among them."""
        return {id(layer): number for number, layer in enumerate(self.random_layers())}

    def kl_divergence(self, num_samples: int = 1) -> "tf.Tensor | float":
        """Returns KL(q(w) || p(w)) in nats, summed over all Bayesian weights; 0.0 without any.

        `num_samples` draws stand for the expectation where TFP has no closed form; outside of a
        draw those of the model's seed, the same at every call.

        Raises:
            ValueError: if a layer adds its KL to the loss itself, so that it would count twice.
        """
        with contextlib.nullcontext() if noises.current() else self.at(self.caller_key(None)):
            return self._sum_of_kl(num_samples)

    def _sum_of_kl(self, num_samples):
        total = 0.0
        for layer in self.bayesian_layers():
            if layer.kl_weight is not None:
                raise ValueError(
                    f"The KL of {layer.name} would be counted twice. Expected kl_weight=None "
                    f"inside a {type(self).__name__}, which counts it. Received {layer.kl_weight}."
                )
            total += layer.kl_divergence(num_samples)
        return total

    @property
    def has_weight_kl(self) -> bool:
        """Whether the bound has a KL of weights, so that N matters."""
        return bool(self.bayesian_layers())

    def check_size(self) -> None:
        """Raises `ValueError` if there is a KL of weights and N is not known."""
        if self.has_weight_kl and self.num_data is None:
            raise ValueError(
                "N is not known: the KL of the weights has to be divided by the size of the "
                "training set. Expected fit(Split or arrays), or num_data=N given to "
                f"{type(self).__name__} where the data are a dataset or a generator. Received "
                "neither."
            )

    def weight_terms(self) -> WeightTerms:
        """Returns what the weights add to a bound.

        Raises:
            ValueError: if there is a KL of weights and N is not known.
        """
        self.check_size()
        if not self.has_weight_kl:
            return WeightTerms()
        return WeightTerms(self.kl_divergence(), float(self.num_data))

    def at(
        self,
        key: "tf.Tensor | int",
        mode: str = ESTIMATOR,
        training: "bool | None" = False,
        frozen: bool = False,
    ) -> Draw:
        """Returns the model under one draw of all that is random in it.

        Args:
            key: an integer, or a stateless seed, int32 [2].
            mode: "estimator": the noise that gradient estimators are defined by, such as numbers of
                its own for every example. "shared": one draw of all weights, as predictions ask
                for. "mean": every weight at its posterior mean.
            training: whether layers such as Keras' dropout train.
            frozen: whether the noise is a constant in a traced graph.
        """
        return Draw(self, key, mode, training, frozen)

    def at_mean(self) -> Draw:
        """Returns the model with every weight at its posterior mean, for pictures and encodings."""
        return self.at(self.caller_key(None), MEAN)

    # What Keras asks for.

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: "tf.Tensor | None" = None,
        training: "bool | None" = True,
    ) -> tf.Tensor:
        """Returns the objective of one batch and updates the metrics."""
        with self.at(self.noise_key(training)):  # for a KL without closed form
            terms = self.terms(x, y, y_pred, sample_weight)
        self.update_metrics(terms, y_pred, y)
        step = self.optimizer.iterations if self.optimizer is not None else 0
        loss = self.objective.loss(terms, step)
        for extra in self.losses:  # regularisers of a user's network
            loss += tf.cast(extra, loss.dtype)
        # Keras sums the gradients of the replicas; a custom loss has to divide by their number.
        return loss / tf.distribute.get_strategy().num_replicas_in_sync

    @property
    def training_step(self) -> "tf.Variable | int":
        """The number of batches trained on."""
        # `iterations` stands still while an optimizer accumulates gradients; noise must not.
        return 0 if self.optimizer is None else keras_private.raw_step(self.optimizer)

    def noise_key(self, training: bool | None) -> tf.Tensor:
        """Returns the stateless seed, int32 [2], of the batch that is being worked on."""
        if training is None:  # called by hand, not by fit or evaluate
            return self.caller_key(None)
        step = self.training_step if training else self.elbo_tracker.batches
        key = fold_in(self.seed, _TRAINING if training else _EVALUATION, step)
        replica = tf.distribute.get_replica_context()
        # Replicas that share a batch know their part of it; those that Keras deals batches do not.
        if training and replica is not None and current_part()[1] < replica.num_replicas_in_sync:
            key = fold_in(key, replica.replica_id_in_sync_group)
        return key

    def caller_key(self, seed: int | None) -> tf.Tensor:
        """Returns the stateless seed, int32 [2], of a method called with `seed`."""
        return fold_in(self.seed if seed is None else seed, _CALLER)

    def check_training(self, split: Split, batch_size: int) -> None:
        """Raises `ValueError` if `fit` would fail on `split`: computes one loss, trains nothing."""
        self.check_split(split)
        split.check_batch_size(batch_size)
        self._adapt_once(split)
        few = split.take(2)
        x = tf.constant(few.values())
        y = tf.constant(few.y) if self.supervised else None
        x, y = self.to_keras(x, y)
        self.compute_loss(x=x, y=y, y_pred=self(x, training=False), training=False)
        self.reset_metrics()

    def _adapt_once(self, split: Split) -> None:
        if self.data_kind is None and int(tf.convert_to_tensor(self.training_step)) == 0:
            self.adapt(split)
        else:  # trained before: its units stay, N is that of the data at hand
            self.take_size(split)

    @own_errors()
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: "int | None" = None,
        epochs: int = 1,
        verbose: "int | str" = "auto",
        callbacks: Any = None,
        *,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does; `x` may also be a `Split` such as `data.train`.

        A `Split` or an array is shuffled and binarised by `Split.epoch`, and N is its length.
        Datasets and generators go to Keras as they are, after a look at the first batch of a
        dataset. Without `initial_epoch` the order and the binarisation go on where the training so
        far ended.

        Raises:
            ValueError: before training, if the data do not fit the model.
        """
        self._check_compiled()
        self.objective.check(self)
        check_options(x, batch_size, kwargs if not isinstance(x, Split) else {})
        with self.distribute_strategy.scope():  # variables are made where they are shared
            current, arguments = self._prepared(
                x, y, batch_size, epochs, verbose, callbacks, validation_data, kwargs
            )
        self.current = current
        try:
            return super().fit(*arguments, **kwargs)
        finally:
            self.current = None
            for function in (self.train_function, self.test_function):
                if isinstance(function, Loop):
                    function.release()
            keras_private.start_at_epoch(self, None)  # where a checkpoint began

    def _prepared(self, x, y, batch_size, epochs, verbose, callbacks, validation_data, kwargs):
        """Returns a `Fit` and the arguments of Keras' `fit`, and changes `kwargs`."""
        current = Fit()
        weighted = kwargs.get("sample_weight") is not None
        cut = bool(kwargs.get("validation_split"))
        is_array = isinstance(x, np.ndarray | tf.Tensor)
        if isinstance(x, Split) and (y is not None or weighted or cut):
            raise ValueError(
                "A Split trains alone. Expected neither targets, sample weights nor a validation "
                "split with it. Received at least one; give its values() instead."
            )
        if isinstance(x, Split) or (is_array and (y is None or self.supervised)):
            split = self.as_split(x, "training", y)
            if cut and self.has_weight_kl:
                raise ValueError(
                    "validation_split leaves N unclear. Expected validation_data with a KL of "
                    f"weights. Received validation_split={kwargs['validation_split']}."
                )
            self._adapt_once(split)
            self.data_kind = split.kind
        validation_data, current.validation = fits.validation(self, validation_data, batch_size)
        if isinstance(x, Split) or (
            is_array and (y is None or self.supervised) and not (weighted or cut)
        ):
            batch_size = batch_size or min(DEFAULT_BATCH_SIZE, len(split))
            x, set_epoch = current.stream(self, split, batch_size, kwargs)
            callbacks = [set_epoch, *keras.tree.flatten(callbacks or [])]
            y = batch_size = None
        else:
            x, y = self.intake.batches(x, y, "training")
            y = x if y is None and weighted else y  # Keras drops weights without targets
            self.check_size()
            if self.units() and self.data_kind is None:
                warnings.warn(
                    f"Units are not known to {', '.join(self.units())}: a dataset or a generator "
                    "is not read for them. Call adapt(Split) before, or keep values and targets "
                    "near mean 0 and standard deviation 1.",
                    UserWarning,
                    stacklevel=2,
                )
            x, y = self.to_keras(x, y)
        if isinstance(x, tf.data.Dataset):
            kwargs["shuffle"] = False  # a dataset brings its order
        kwargs["validation_data"] = validation_data
        current.callbacks = tuple(keras.tree.flatten(callbacks or []))
        return current, (x, y, batch_size, epochs, verbose, callbacks)

    def _check_compiled(self):
        if self.compiled and self.jit_compile and keras_private.strategy_of(self) is not None:
            raise ValueError(
                "XLA compiles no step of tf.distribute on this platform. Expected "
                "compile(jit_compile=False) under a strategy. Received jit_compile=True."
            )
        for name in keras_private.compiled_with(self):
            if self.compiled:
                raise ValueError(
                    f"compile got {name} that would not be used. Expected compile(optimizer=...) "
                    "alone: the objective of the model is the loss, and calling it gives "
                    f"distributions. Received {name}."
                )

    @own_errors()
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: "int | None" = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Evaluates as `keras.Model.evaluate` does; `x` may also be a `Split`."""
        weighted = kwargs.get("sample_weight") is not None
        feed = None
        if keras_private.is_nested_evaluation(kwargs):  # fit has looked at it before
            feed = self.current.validation
        elif not weighted and (y is None or self.supervised):
            x, y, feed = fits.one_pass(self, x, y, batch_size, "evaluation")
            batch_size = None if isinstance(x, tf.data.Dataset) else batch_size
        else:
            x, y = self.intake.batches(x, y, "evaluation")
            y = x if y is None else y  # Keras drops weights without targets
            x, y = self.to_keras(x, y)
        self._test_feed = feed
        try:
            return super().evaluate(x, y, batch_size, *args, **kwargs)
        finally:
            self._test_feed = None

    @own_errors()
    def predict(
        self, x: Any, batch_size: "int | None" = None, *args: Any, **kwargs: Any
    ) -> np.ndarray:
        """Predicts as `keras.Model.predict` does; `x` may also be a `Split`."""
        if isinstance(x, Split | np.ndarray | tf.Tensor):
            x = self.prediction_dataset(self.as_inputs(x), batch_size or DEFAULT_BATCH_SIZE)
            batch_size = None
        elif not self.supervised:  # else targets may be missing, as they should be here
            x, _ = self.intake.batches(x, None, "prediction")
        return super().predict(x, batch_size, *args, **kwargs)

    def make_train_function(self, force: bool = False) -> Any:
        """Makes what Keras calls for every execution: a `Loop` where there is a feed."""
        feed = None if self.current is None else self.current.feed
        if feed is None:
            self._forget_loop("train_function")
            return super().make_train_function(force)
        self._make_loop("train_function", self.train_step, feed, force)

    def make_test_function(self, force: bool = False) -> Any:
        """Makes what Keras calls for every execution: a `Loop` where there is a feed."""
        if self._test_feed is None:
            self._forget_loop("test_function")
            return super().make_test_function(force)
        self._make_loop("test_function", self.test_step, self._test_feed, force)
        self.test_function.begin(self._test_feed)

    def _make_loop(self, name, step, feed, force):
        made = getattr(self, name)
        if force or not (isinstance(made, Loop) and made.fits(feed)):
            setattr(self, name, Loop(self, step, feed))

    def _forget_loop(self, name):
        if isinstance(getattr(self, name), Loop | Skipping):
            setattr(self, name, None)

    def save(self, filepath: "str | pathlib.Path", *args: Any, **kwargs: Any) -> None:
        """Saves model, optimizer and seed as `.keras`, whole or not at all.

        Raises:
            ValueError: if `filepath` does not end in `.keras`.
        """
        path = pathlib.Path(filepath)
        if path.suffix != ".keras":
            raise ValueError(f"Unknown format. Expected a path ending in .keras. Received {path}.")
        if self.compiled and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)  # or reloading would warn and skip it
        with replacing(path) as written:
            super().save(written, *args, **kwargs)

    def get_config(self) -> dict:
        """Returns the constructor's arguments that all models share, and its `parts`, as JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            **{part: serialize(getattr(self, part)) for part in self.parts},
            "seed": self.seed,
            "data_kind": None if self.data_kind is None else str(self.data_kind),
            "num_data": self.num_data,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: "dict | None" = None) -> "VariationalModel":
        """Returns the model of `get_config`."""
        parse = keras.saving.deserialize_keras_object
        parts = {part: parse(config[part], custom_objects) for part in cls.parts}
        return cls(**{**config, **parts})
