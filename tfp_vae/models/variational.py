"""`VariationalModel`: the one adapter between `Terms` and Keras' compile, fit, evaluate, predict.

A model says how its `Terms` are made. The adapter turns them into a loss and metrics, hands out
seeds, and feeds `Split`s and arrays to stock Keras. It overrides `compute_loss` (one scalar, scaled
for replicas), looks at the arguments of `compile` and says whose noise a step has: all else,
callbacks, reload and `jit_compile`, is Keras' own.
"""

import contextlib
import math
import pathlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private, notebooks, objectives
from tfp_vae.arguments import check_choice, check_count, check_names, check_path, check_seed
from tfp_vae.conformal import Conformal
from tfp_vae.data import Data, Feed, Kind, Schema, Split, kinds
from tfp_vae.data.streams import num_batches, own_errors
from tfp_vae.files import replacing
from tfp_vae.layers import WeightLayer
from tfp_vae.layers import noise as noises
from tfp_vae.layers.noise import ESTIMATOR, MEAN
from tfp_vae.models import fit as fits
from tfp_vae.models import forks, units
from tfp_vae.models.draw import Draw
from tfp_vae.models.fit import DEFAULT_BATCH_SIZE, Fit
from tfp_vae.models.intake import Intake, check_options
from tfp_vae.models.loop import Loop, Skipping
from tfp_vae.models.metrics import Bound, as_figures
from tfp_vae.networks import check_channels_last
from tfp_vae.objectives import Terms, WeightTerms
from tfp_vae.randomness import current_part, fold_in

# Of saved models. 1: scales of weights at their own speed, normal decoders without units.
# 2: the shared scale of a normal decoder is a weight.
FORMAT = 3
# Kinds, each of whose values the next one has too.
_WIDTH = (Kind.STATIC, Kind.THRESHOLD, Kind.DYNAMIC, Kind.EIGHT_BIT, Kind.UNIT_INTERVAL, Kind.REAL)
_ASKED = ("given", "evaluation")  # names of data that a model is asked about
_TRAINING, _EVALUATION, _CALLER, _CALLS = 0, 1, 2, 3


class VariationalModel(keras.Model):
    """A Keras model trained on an objective of `Terms`.

    Args:
        objective: the bound that is trained, from `tfp_vae.objectives`; the ELBO by default.
        seed: an integer; fixes data order, binarisation and every latent draw.
        data_kind: the kind of values the model was trained on; `fit` sets it.
        num_data: N, the size of the training set, that the KL of Bayesian layers is divided by.
            `fit` reads it from a `Split` or an array; a dataset or a generator has none to read.
        columns: names of the columns of a table that the model was trained on, in their order;
            `fit` sets it. Tables whose columns have names are put in this order.
        class_names: what the classes are called, in the order of their numbers; `fit` sets it.

    Every draw of noise is keyed by (seed, purpose, step): by the training step in training, by the
    batch of the pass in evaluation. Two evaluations of the same data see the same noise, and a run
    that continues from a saved model sees the noise that it would have seen. A call of the model by
    hand, as in a training loop of one's own, has noise of its own: the key is the number of the
    call, which the model counts; `model(x, seed=...)` says it instead.

    Attributes:
        parts: names of the constructor's arguments that are Keras objects themselves.
        supervised: whether an example has a target beside it.
        infers_kind: whether an array says by itself what kind of values it has.
        predicts: whether targets are what is asked for, so that inputs come without.
        current: what the `fit` that is running knows, or None.
        conformal: what `conformal.calibrate` found, of what predicts; saved with the model.
    """

    parts: "tuple[str, ...]" = ("objective",)
    supervised = infers_kind = predicts = False
    has_latents = False  # of each example
    _reported: "tuple[objectives.Bound, ...]" = ()
    _kind_of_batches = False  # whether data_kind was seen in batches, not in whole data
    current: "Fit | None" = None
    conformal: "Conformal | None" = None
    train_function: Any
    test_function: Any
    _test_feed: "Feed | None" = None  # of the `evaluate` that is running
    objective_network: "keras.Layer | None" = None  # what the objective trains with the model
    expected_name = "expected_log_likelihood"  # of the metric of E_q[log p(data | what is drawn)]

    def __init__(
        self,
        objective: "objectives.Bound | None" = None,
        seed: int = 0,
        data_kind: "Kind | str | None" = None,
        num_data: int | None = None,
        *,
        columns: "Sequence[str] | None" = None,
        class_names: "Sequence[str] | None" = None,
        **kwargs: Any,
    ):
        check_channels_last()
        super().__init__(**kwargs)
        _check_precision(self)
        self.objective = objectives.ELBO() if objective is None else objective
        self.seed = check_seed(seed)
        self.data_kind = None if data_kind is None else kinds.of(data_kind)
        self.num_data = None
        if num_data is not None:
            self.num_data = check_count("num_data", num_data, most=2**63)
        self.columns = None if columns is None else check_names("columns", columns)
        self.class_names = None if class_names is None else check_names("class_names", class_names)
        # Seed generators, since Keras neither trains them nor counts them as weights: how often the
        # model and its loss were called by hand.
        self.calls = keras.random.SeedGenerator(0)
        self.own_steps = keras.random.SeedGenerator(0)
        self._inside = 0  # steps of Keras that are under way, one in each thread of replicas
        self.elbo_tracker = Bound("elbo")
        self.expected_tracker = keras.metrics.Mean(self.expected_name)
        self.kl_tracker = keras.metrics.Mean("kl")

    def layer_parts(self) -> "list[tuple[str, keras.Layer]]":
        """Returns the `parts` that are layers, each with the name that people know it by."""
        parts = [(part, getattr(self, part)) for part in self.parts]
        return [(name, part) for name, part in parts if isinstance(part, keras.Layer)]

    def _repr_html_(self) -> str:
        title = type(self).__name__ if self.built else f"{type(self).__name__}, not built"
        rows = [
            (name, type(part).__name__, f"{part.count_params():,}" if part.built else "")
            for name, part in self.layer_parts()
        ]
        return notebooks.table(title, ("part", "class", "parameters"), rows)

    @property
    def objective(self) -> "objectives.Bound":
        """The bound that `fit` trains; one that is not the ELBO is a metric beside it, and L_S."""
        return self._objective

    @objective.setter
    def objective(self, value: "objectives.Bound") -> None:
        self._objective = objectives.as_bound(value)
        if self.built:
            self.take_network()
        self._track_bounds()

    def take_network(self) -> None:
        """Takes what the objective trains with the model, such as a discriminator, as a part.

        Raises:
            ValueError: if the optimizer was built without it.
        """
        with self.distribute_strategy.scope():
            found = self.objective.network(self)
        if found is None and self.objective_network is None:
            return
        optimizer = getattr(self, "optimizer", None)
        weights = [] if found is None else found.trainable_variables
        if optimizer is not None and not keras_private.knows(optimizer, weights):
            raise ValueError(
                f"The optimizer was built without the network of {type(self.objective).__name__}. "
                "Expected compile() before it is the objective of a model that was trained. "
                "Received an optimizer that has begun."
            )
        keras_private.put_layer(self, "objective_network", found)

    def change_bounds(
        self,
        objective: "objectives.Bound | None" = None,
        reported: "tuple[objectives.Bound, ...] | None" = None,
    ) -> None:
        """Changes what is trained and reported, also while `fit` runs.

        Args:
            objective: that is trained from now on; None for the same one.
            reported: bounds that are metrics beside the ELBO and the objective; None for the same.
        """
        if reported is not None:
            self._reported = tuple(objectives.as_bound(bound) for bound in reported)
        with self.distribute_strategy.scope():  # metrics have variables
            if objective is not None:
                self.objective = objective
            self._track_bounds()
        if self.current is not None:
            self.make_train_function(force=True)

    def _track_bounds(self):
        found = {bound.name: bound for bound in (*self._reported, self._objective)}
        found.pop("elbo", None)
        if found and self.has_latents:  # what any bound is read beside: L_S of the same draws
            found.setdefault("iwae", objectives.IWAE())
        # Keras takes no new metric into a model that is built, and a built model may be given
        # another bound: `metrics` names it, and the steps of the old bound are not kept.
        self.__dict__["bound_trackers"] = [
            (found[name], keras.metrics.Mean(name)) for name in sorted(found)
        ]
        self.train_function = self.test_function = None

    @property
    def metrics(self) -> "list[keras.metrics.Metric]":
        """Those of Keras, then those of the bounds that are not the ELBO."""
        return [*super().metrics, *(tracker for _, tracker in self.bound_trackers)]

    # What a model provides.

    def terms(
        self, x: Any, y: Any, outputs: Any, sample_weight: "tf.Tensor | None" = None
    ) -> Terms:
        """Returns the `Terms` of a batch; `outputs` is what `call` returned for it."""
        raise NotImplementedError

    def profiled(
        self, x: Any, y: Any, outputs: Any, sample_weight: "tf.Tensor | None" = None
    ) -> Any:
        """Returns `outputs` in training: with what has a closed form at its optimum of the batch.

        As they are, unless a part of the model has such a thing.
        """
        del x, y, sample_weight
        return outputs

    def measured(self, x: Any, y: Any, outputs: Any, terms: Terms) -> Terms:
        """Returns the terms that metrics are of; those of the loss unless these are no bound."""
        del x, y, outputs
        return terms

    def update_metrics(self, terms: Terms, outputs: Any, y: Any = None) -> None:
        """Updates the metrics; the three that every bound has."""
        weight = terms.sample_weight
        elbo, expected = objectives.elbo(terms), terms.reconstruction()
        self.elbo_tracker.update_state(elbo, weight)
        self.expected_tracker.update_state(expected, weight)
        self.kl_tracker.update_state(expected - elbo, weight)
        for bound, tracker in self.bound_trackers:
            tracker.update_state(bound(terms), weight)

    def directions(self) -> "dict[str, str]":
        """Returns whether more ("max") or less ("min") is better, by the name of the metric."""
        down = ("kl", "bits_per_dim")
        names = [metric.name for metric in self.metrics if metric.name != "loss"]
        found = {name: "min" if name.startswith(down) else "max" for name in names}
        return {"loss": "min", **found}

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
        self.take_units(split)

    def take_units(self, split: Split, anew: bool = True) -> None:
        """Lets the parts of the model take their units from the training data.

        Args:
            split: the training data.
            anew: whether parts that have units, such as those of loaded weights, take others.
        """

    def holders(self) -> "list[keras.Layer]":
        """Returns the parts that take units or moments from the data, kept as their variables."""
        return []

    def units(self) -> list[str]:
        """Returns the names of what takes units or moments from the data in `adapt`."""
        return [holder.name for holder in self.holders()]

    def waiting(self, kind: "Kind | None" = None) -> list[str]:
        """Returns the names of what has no units yet though data of this kind give it some."""
        del kind
        if self.data_kind is not None and not self._kind_of_batches:
            return []
        return [x.name for x in self.holders() if not units.are_taken(x.non_trainable_variables)]

    def take_size(self, split: Split) -> None:
        """Takes N, the number of examples of the training data."""
        if self.num_data != len(split):
            self.num_data = len(split)
            self.train_function = self.test_function = None  # N is a constant in their graphs

    # How data come in.

    @property
    def intake(self) -> Intake:
        """What turns arrays and datasets into what the model takes."""
        forks.check()  # before anything else that a model is asked
        known = self.data_kind
        candidates: tuple[Kind, ...]
        if self.takes_numbers():
            candidates = (Kind.REAL,)
        elif known is None:
            candidates = tuple(self.candidate_kinds())
        elif self._kind_of_batches and not self.infers_kind:
            # Other batches may have values that those so far had not.
            least = _WIDTH.index(known)
            candidates = tuple(k for k in self.candidate_kinds() if _WIDTH.index(k) >= least)
        else:
            candidates = (Kind.STATIC if known.is_binary else known,)
        return Intake(
            candidates,
            self.check_split,
            self.check_inputs,
            self._beside,
            self.supervised,
            self.infers_kind,
            self.columns,
            self.class_names,
            self.predicts,
            self.shape_of_examples(),
            self.schema_of_examples(),
        )

    def schema_of_examples(self) -> "Schema | None":
        """Returns what the columns of an example are, of a model of mixed columns; or None."""
        return None

    def shape_of_examples(self) -> "tuple[int, ...] | None":
        """Returns the shape of an example, None before it is known."""
        return None

    def takes_numbers(self) -> bool:
        """Returns whether integers are numbers whatever their range, such as those of words."""
        layers = keras_private.all_sublayers(self)
        return any(isinstance(layer, keras.layers.Embedding) for layer in layers)

    def check_inputs(self, split: Split) -> None:
        """Raises `ValueError` if the data of `split` cannot be predicted from."""
        self.check_split(split)

    def _beside(self, y: Any) -> dict:
        """Returns what a `Split` is told of `y`; a model without targets has no use for it."""
        return {}

    def as_split(self, x: Any, name: str = "given", y: Any = None) -> Split:
        """Returns `x`, a `Split` or an array [N, ...] with `y` beside it, as a checked `Split`.

        Raises:
            ValueError: if values, shapes or targets do not fit the model.

        Warns:
            UserWarning: if the model is asked for something and was never fitted.
        """
        split = self.intake.split(x, name, y)
        if name in _ASKED:
            self._warn_of_no_fit(split)
        return split

    def _warn_of_no_fit(self, split):
        waiting = self.waiting(split.kind)
        if waiting and int(tf.convert_to_tensor(self.training_step)) == 0:
            warnings.warn(
                f"This {type(self).__name__} was never fitted: {', '.join(waiting)} has no units, "
                "and what it says is of no use. Expected fit, adapt(Split) or load_weights before.",
                UserWarning,
                stacklevel=4,
            )

    def as_inputs(self, x: Any, name: str = "given") -> Split:
        """Returns `x`, a `Split` or an array [N, ...], as a `Split` to predict from."""
        split = self.intake.inputs_of(x, name)
        if name in _ASKED:
            self._warn_of_no_fit(split)
        return split

    @property
    def num_replicas(self) -> int:
        """How many replicas share a batch in training."""
        return self.distribute_strategy.num_replicas_in_sync

    def batches_per_epoch(self, split: Split, batch_size: int) -> int:
        """Returns the number of batches that `feed` has."""
        return num_batches(len(split), batch_size, self.num_replicas)

    def feed(
        self, split: Split, batch_size: int, *, shuffle: bool = True, weights: Any = None
    ) -> Feed:
        """Returns the batches for training, shuffled unless told otherwise.

        Args:
            split: the examples.
            batch_size: examples at a time.
            shuffle: False for the order of the split in every pass.
            weights: of the log-likelihoods of the examples, [N], or None.
        """
        return Feed(
            split,
            batch_size,
            self.seed,
            self.supervised,
            self.num_replicas,
            shuffle=shuffle,
            weights=weights,
        )

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

        def inside(layer):  # no generator, which autograph of a loop of one's own would not take
            parts = keras_private.sublayers(layer)
            return [each for part in parts for each in (part, *inside(part))]

        return list({id(x): x for x in inside(self) if getattr(x, "draws_noise", False)}.values())

    def bayesian_layers(self) -> "list[WeightLayer]":
        """Returns the layers with a posterior over their weights, each once, first layer first."""
        return [layer for layer in self.random_layers() if isinstance(layer, WeightLayer)]

    def collecting_layers(self) -> "list[keras.Layer]":
        """Returns the layers that add something up over an epoch, such as a covariance.

        They have `begin`, called where an epoch begins, and `finish`, where a training ends.
        """
        layers = keras_private.all_sublayers(self)
        return [layer for layer in layers if getattr(layer, "collects", False)]

    def noise_numbers(self) -> "dict[int, int]":
        """Returns the number of each random layer, by its id: its place among them."""
        return {id(layer): number for number, layer in enumerate(self.random_layers())}

    def kl_divergence(self, num_samples: int = 1) -> "tf.Tensor | float":
        """Returns what the weights cost the bound, in nats: here `posterior_kl`.

        Args:
            num_samples: see `posterior_kl`.

        Raises:
            ValueError: see `posterior_kl`.
        """
        return self.posterior_kl(num_samples)

    def posterior_kl(self, num_samples: int = 1) -> "tf.Tensor | float":
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
        """Raises `ValueError` if N matters and is not known."""
        if self.objective.needs_size and not self.has_weight_kl and self.num_data is None:
            raise ValueError(
                f"N is not known: {type(self.objective).__name__} is of the whole training set. "
                "Expected fit(Split or arrays), or num_data=N given to "
                f"{type(self).__name__}. Received neither."
            )
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
            return WeightTerms(num_data=float(self.num_data or 1))
        return WeightTerms(self.kl_divergence(), float(self.num_data))

    def at(
        self,
        key: "tf.Tensor | int",
        mode: str = ESTIMATOR,
        training: "bool | None" = False,
        frozen: bool = False,
        number: "tf.Tensor | int | None" = None,
    ) -> Draw:
        """Returns the model under one draw of all that is random in it.

        Args:
            key: an integer, or a stateless seed, int32 [2].
            mode: "estimator": the noise that gradient estimators are defined by, such as numbers of
                its own for every example. "shared": one draw of all weights, as predictions ask
                for. "mean": every weight at its posterior mean.
            training: whether layers such as Keras' dropout train.
            frozen: whether the noise is a constant in a traced graph.
            number: which of the draws of a prediction it is.
        """
        return Draw(self, key, mode, training, frozen, number)

    def at_mean(self) -> Draw:
        """Returns the model with every weight at its posterior mean, for pictures and encodings."""
        return self.at(self.caller_key(None), MEAN)

    # What Keras asks for.

    @tf.autograph.experimental.do_not_convert  # of a loop of one's own: slow, and for nothing
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
            if training:
                y_pred = self.profiled(x, y, y_pred, sample_weight)
            terms = self.terms(x, y, y_pred, sample_weight)
            measured = self.measured(x, y, y_pred, terms)
        self.update_metrics(measured, y_pred, y)
        return self.of_replica(self.objective.loss(terms, self._schedule_step(training)), y_pred)

    def penalties(self, outputs: Any) -> "list[tf.Tensor]":
        """Returns what parts of the model add to the loss of a batch, scalars."""
        del outputs
        return []

    def of_replica(self, loss: tf.Tensor, outputs: Any) -> tf.Tensor:
        """Returns what `compute_loss` returns of the loss of its batch."""
        # Regularisers of a user's network, and what the parts add.
        for extra in (*self.losses, *self.penalties(outputs)):
            loss += tf.cast(extra, loss.dtype)
        # Keras sums the gradients of the replicas; a custom loss has to divide by their number.
        return loss / tf.distribute.get_strategy().num_replicas_in_sync

    def _schedule_step(self, training):
        optimizer = getattr(self, "optimizer", None)
        step = 0 if optimizer is None else optimizer.iterations
        if self._inside or not training:
            return step
        # The optimizer of a loop of one's own may be another one, whose steps nobody sees.
        own = tf.convert_to_tensor(self.own_steps.next())[1]
        return tf.maximum(tf.cast(step, own.dtype), own)

    @property
    def training_step(self) -> "tf.Variable | int":
        """The number of batches trained on."""
        # `iterations` stands still while an optimizer accumulates gradients; noise must not.
        optimizer = getattr(self, "optimizer", None)  # which only `compile` sets
        return 0 if optimizer is None else keras_private.raw_step(optimizer)

    @contextlib.contextmanager
    def stepping(self) -> "Iterator[None]":
        """A context in which calls have the noise of the step of `fit`, or batch of `evaluate`."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def train_step(self, data: Any) -> dict:
        """Trains on a batch as Keras does, with the noise of the training step."""
        with self.stepping():
            return super().train_step(data)

    def test_step(self, data: Any) -> dict:
        """Evaluates a batch as Keras does, with the noise of the batch of the pass."""
        with self.stepping():
            return super().test_step(data)

    def noise_key(self, training: bool | None) -> tf.Tensor:
        """Returns the stateless seed, int32 [2], of the batch that is being worked on."""
        if self._inside:
            step = self.training_step if training else self.elbo_tracker.batches
            key = fold_in(self.seed, _TRAINING if training else _EVALUATION, step)
        else:  # called by hand
            call = tf.convert_to_tensor(self.calls.next())[1]
            key = fold_in(self.seed, _CALLS, tf.cast(call % 2**31, tf.int32))
        replica = tf.distribute.get_replica_context()
        # Replicas that share a batch know their part of it; those that Keras deals batches do not.
        if training and replica is not None and current_part()[1] < replica.num_replicas_in_sync:
            key = fold_in(key, replica.replica_id_in_sync_group)
        return key

    def caller_key(self, seed: int | None) -> tf.Tensor:
        """Returns the stateless seed, int32 [2], of a method called with `seed`.

        Raises:
            ValueError: for what is no seed.
        """
        forks.check()
        if seed is not None and not tf.is_tensor(seed):
            seed = check_seed(seed)
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
        with self.stepping():
            self.compute_loss(x=x, y=y, y_pred=self(x, training=False), training=False)
        self.reset_metrics()

    def _adapt_once(self, split: Split) -> None:
        self.take_size(split)
        # Trained before, its units stay; and so do those of weights that came from elsewhere.
        if self.data_kind is None and int(tf.convert_to_tensor(self.training_step)) == 0:
            self.data_kind = split.kind
            self.take_units(split, anew=False)
        self.start_parts(split)

    def start_parts(self, split: Split) -> None:
        """Lets parts that start at the data, and never did, do so; here there are none."""

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: None = None,
        loss_weights: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        run_eagerly: bool = False,
        steps_per_execution: "int | str" = 1,
        jit_compile: "bool | str" = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Compiles as `keras.Model.compile` does, for the objective of the model.

        A `steps_per_execution` of "auto", which some versions of Keras look for while they train,
        is 1: the numbers are the same with any.

        Raises:
            ValueError: for a loss, its weights or metrics, which would not be used: the objective
                is the loss, and calling the model gives distributions; for a `steps_per_execution`
                that is not a number.
        """
        given = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"compile got {name} that would not be used. Expected compile(optimizer=...) "
                    "alone: the objective of the model is the loss, and calling it gives "
                    f"distributions. Received {name}={value!r}."
                )
        if steps_per_execution == "auto":
            steps_per_execution = 1
        for name, flag in (("run_eagerly", run_eagerly), ("auto_scale_loss", auto_scale_loss)):
            check_choice(name, flag, (True, False))
        check_choice("jit_compile", jit_compile, (True, False, None, "auto"))
        try:
            optimizer = None if optimizer is None else keras.optimizers.get(optimizer)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                "Unknown optimizer. Expected a name that Keras knows, such as 'adam', or an object "
                f"of keras.optimizers. Received {optimizer!r}."
            ) from error
        super().compile(
            optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=check_count("steps_per_execution", steps_per_execution),
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )

    def compile_from_config(self, config: dict) -> None:
        """Compiles a loaded model as the one that was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    @own_errors()
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: "int | None" = None,
        epochs: int = 1,
        verbose: "int | str" = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: "dict | None" = None,
        sample_weight: Any = None,
        initial_epoch: "int | None" = None,
        steps_per_epoch: "int | None" = None,
        validation_steps: "int | None" = None,
        validation_batch_size: "int | None" = None,
        validation_freq: "int | Sequence[int]" = 1,
    ) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does; `x` may also be a `Split` such as `data.train`.

        A `Data` is trained on its `train` and validated on its `validation`. A `Split`, an array or
        a table is shuffled and binarised by `Split.epoch`, and N is its length. Batches of
        datasets, of a `PyDataset` and of generators are looked at as they come. Without
        `initial_epoch` the order and the binarisation go on where the training so far ended.

        A `batch_size` above N is N. Ctrl-C leaves the model as it was after the last whole epoch,
        and says so.

        Raises:
            ValueError: before training, if the data or arguments do not fit the model.
        """
        self.check_compiled("fit")
        self.objective.check(self)
        check_channels_last(keras_private.all_sublayers(self))
        fits.check_rhythm(
            epochs=epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
        )
        fits.check_verbose(verbose)
        check_choice("shuffle", shuffle, (True, False, None))
        if isinstance(x, Data):
            if validation_split:
                raise ValueError(
                    "A Data brings its validation split. Expected validation_split=0, or "
                    f"data.train. Received {validation_split} with a Data."
                )
            validation_data = x.validation if validation_data is None else validation_data
            x = x.train
        if validation_data is not None:
            validation_split = 0.0  # as in Keras
        options = {
            "validation_split": validation_split or 0.0,
            "sample_weight": sample_weight,
            "class_weight": class_weight,
        }
        check_options(x, y, batch_size, validation_batch_size, options)
        fits.check_end(x, steps_per_epoch, "steps_per_epoch")
        fits.check_optimizer(self)
        validates = validation_data is not None or bool(validation_split)
        fits.check_callbacks(callbacks, self.directions(), validates)
        fits.choose_modes(self, callbacks)
        epochs, initial_epoch, batch_size = fits.whole(epochs, initial_epoch, batch_size)
        steps_per_epoch, validation_steps = fits.whole(steps_per_epoch, validation_steps)
        more: dict[str, Any] = {
            "epochs": epochs,
            "verbose": verbose,
            "validation_freq": fits.plain_rhythm(validation_freq),
        }
        more |= {"steps_per_epoch": steps_per_epoch, "validation_steps": validation_steps}
        more |= {"initial_epoch": initial_epoch or 0, "validation_batch_size": None}
        current = Fit()
        self.conformal = None  # it was about other weights
        with self.distribute_strategy.scope():  # variables are made where they are shared
            if self.intake.is_whole(x):
                split, weights, cut = self._whole(x, y, options)
                validation_data = cut if cut is not None else validation_data
                batch_size = min(batch_size or DEFAULT_BATCH_SIZE, len(split))  # as in Keras
                feed = self.feed(split, batch_size, shuffle=bool(shuffle), weights=weights)
                x, set_epoch = current.stream(self, split, feed, initial_epoch, steps_per_epoch)
                callbacks = [set_epoch, *fits.listed(callbacks)]
                more |= {"x": x, "shuffle": False}
            else:
                if class_weight is not None:
                    class_weight = fits.class_weights(self, class_weight)
                x, y = self._batches(x, y)
                more |= {"x": x, "y": y, "class_weight": class_weight}
                # Datasets and generators bring their order.
                more["shuffle"] = bool(shuffle) and isinstance(x, keras.utils.PyDataset)
                callbacks = fits.listed(callbacks)
            more["validation_data"], current.validation = fits.validation(
                self, validation_data, validation_batch_size, batch_size, validation_steps
            )
        # What changes the step comes before what begins with it.
        callbacks.sort(key=lambda callback: not getattr(callback, "comes_first", False))
        current.callbacks = tuple(callbacks)
        kept = fits.LastEpoch()
        if self.current is not None:
            raise ValueError(
                f"This {type(self).__name__} is in training. Expected fit() after the other one, "
                "or on another model. Received a call inside of it, or of another thread."
            )
        self.current = current
        try:
            # Before the callback that takes what is skipped of an epoch.
            return super().fit(callbacks=[fits.Collecting(), *callbacks, kept], **more)
        except KeyboardInterrupt:
            kept.restore()
            for layer in self.collecting_layers():
                layer.finish()
            raise
        finally:
            self.current = None
            for function in (self.train_function, self.test_function):
                if isinstance(function, Loop):
                    function.release()
            keras_private.start_at_epoch(self, None)  # where a checkpoint began

    def _whole(self, x, y, options):
        """Returns the training split, its weights, and the validation data that are cut off."""
        split = self.as_split(x, "training", y)
        weights = fits.weights_of(self, split, options)
        cut, share = None, options["validation_split"]
        if share:
            first = math.floor(len(split) * (1 - share))  # as in Keras: the last ones, in order
            rest = split.select(slice(first, None), "validation")
            split = split.select(slice(first), split.name)
            kept = options["sample_weight"]
            cut = rest if kept is None else (rest, None, np.asarray(kept, np.float32)[first:])
            weights = None if weights is None else weights[:first]
        self._adapt_once(split)
        self.data_kind, self._kind_of_batches = split.kind, False
        self.columns = split.columns or self.columns
        self.class_names = split.class_names or self.class_names
        return split, weights, cut

    def _batches(self, x, y):
        """Returns what Keras reads itself, each batch looked at as it comes."""
        is_new = self.data_kind is None
        x, y = self.intake.batches(x, y, "training", self.remember)
        self.check_size()
        self._warn_of_units(is_new)
        return self.to_keras(x, y)

    def remember(self, split: Split) -> None:
        """Takes from a batch of a training what whole data would have told: the kind of values."""
        if self.data_kind is None:
            self._kind_of_batches = True
        if self._kind_of_batches:
            so_far = [kind for kind in (self.data_kind, split.kind) if kind is not None]
            # What fits both: a batch of zeros and ones may be one of grey values.
            self.data_kind = max(so_far, key=_WIDTH.index)

    def _warn_of_units(self, is_new):
        waiting = self.waiting(self.data_kind)
        if waiting and is_new:
            warnings.warn(
                f"Units are not known to {', '.join(waiting)}: a dataset, a generator or a "
                "batch is not read for them. Call adapt(Split) before, or keep values and targets "
                "near mean 0 and standard deviation 1.",
                UserWarning,
                stacklevel=4,
            )

    def check_compiled(self, method: str) -> None:
        """Raises `ValueError` unless the model is compiled, in a way in which it can be trained."""
        forks.check()
        if not self.compiled:
            raise ValueError(
                f"You must call compile() before calling {method}(). Expected "
                "model.compile(optimizer='adam') or another optimizer. Received a model that is "
                "not compiled."
            )
        if self.optimizer is None and method in ("fit", "train_on_batch"):
            raise ValueError(
                f"{method}() needs an optimizer. Expected model.compile(optimizer='adam') or "
                "another one. Received a model that is compiled with optimizer=None."
            )
        if self.jit_compile and keras_private.strategy_of(self) is not None:
            raise ValueError(
                "XLA compiles no step of tf.distribute on this platform. Expected "
                "compile(jit_compile=False) under a strategy. Received jit_compile=True."
            )

    @own_errors()
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: "int | None" = None,
        verbose: "int | str" = "auto",
        sample_weight: Any = None,
        steps: "int | None" = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Evaluates as `keras.Model.evaluate` does; `x` may also be a `Split`."""
        self.check_compiled("evaluate")
        fits.check_rhythm(steps=steps)
        fits.check_verbose(verbose)
        fits.check_callbacks(callbacks)
        (steps,) = fits.whole(steps)
        options = {"verbose": verbose, "steps": steps, "callbacks": callbacks}
        if keras_private.is_nested_evaluation(kwargs):  # fit has looked at it before
            feed = self.current.validation
        else:
            fits.check_end(x, steps, "steps")
            x, y, feed = fits.one_pass(self, x, y, sample_weight, batch_size, "evaluation")
            sample_weight = batch_size = None
        self._test_feed = feed
        try:
            found = super().evaluate(
                x,
                y,
                batch_size,
                sample_weight=sample_weight,
                return_dict=return_dict,
                **options,
                **kwargs,
            )
            return as_figures(found)
        finally:
            self._test_feed = None

    @own_errors()
    def predict(
        self,
        x: Any,
        batch_size: "int | None" = None,
        verbose: "int | str" = "auto",
        steps: "int | None" = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """Predicts as `keras.Model.predict` does; `x` may also be a `Split`."""
        forks.check()
        fits.check_rhythm(batch_size=batch_size, steps=steps)
        fits.check_verbose(verbose)
        fits.check_callbacks(callbacks)
        batch_size, steps = fits.whole(batch_size, steps)
        fits.check_end(x, steps, "steps")
        if self.intake.is_whole(x):
            x = self.prediction_dataset(self.as_inputs(x), batch_size or DEFAULT_BATCH_SIZE)
            batch_size = None
        else:
            x = self.intake.inputs(x, "prediction")
            if self.supervised and not self.predicts:
                x, _ = self.to_keras(x, None)
        return super().predict(x, batch_size, verbose, steps, callbacks)

    @own_errors()
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: "dict | None" = None,
        return_dict: bool = False,
    ) -> Any:
        """Trains on one batch as `keras.Model.train_on_batch` does, looked at as in `fit`."""
        self.check_compiled("train_on_batch")
        self.objective.check(self)
        fits.check_optimizer(self)
        options = {"sample_weight": sample_weight, "class_weight": class_weight}
        check_options(x, y, None, None, options)
        split = self.as_split(x, "training batch", y)
        weights = fits.weights_of(self, split, options)
        self.check_size()
        is_new = self.data_kind is None
        self.remember(split)
        self._warn_of_units(is_new)
        x, y = self.to_keras(split.values(), split.y if self.supervised else None)
        found = super().train_on_batch(x, y, sample_weight=weights, return_dict=return_dict)
        return as_figures(found)

    @own_errors()
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Evaluates one batch as `keras.Model.test_on_batch` does, looked at as in `evaluate`."""
        self.check_compiled("test_on_batch")
        check_options(x, y, None, None, {"sample_weight": sample_weight})
        split = self.as_split(x, "batch", y)
        weights = fits.weights_of(self, split, {"sample_weight": sample_weight})
        x, y = self.to_keras(split.values(), split.y if self.supervised else None)
        found = super().test_on_batch(x, y, sample_weight=weights, return_dict=return_dict)
        return as_figures(found)

    @own_errors()
    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Predicts one batch as `keras.Model.predict_on_batch` does, looked at as in `predict`."""
        split = self.as_inputs(x, "batch")
        batch = next(iter(self.prediction_dataset(split, len(split))))
        return super().predict_on_batch(batch[0] if isinstance(batch, tuple) else batch)

    @tf.autograph.experimental.do_not_convert
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the model; arrays and tables get the scale and the order that `fit` gave them."""
        forks.check()
        keras_private.look_at_call(self)
        if args:
            args = (self.intake.scaled(args[0]), *args[1:])
        return super().__call__(*args, **kwargs)

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

    def save(
        self,
        filepath: "str | pathlib.Path",
        overwrite: bool = True,
        zipped: "bool | None" = None,
    ) -> None:
        """Saves model, optimizer and seed as `.keras`, whole or not at all.

        Args:
            filepath: ends in `.keras`.
            overwrite: whether a file that is there is replaced.
            zipped: None or True: a `.keras` file is one.

        Raises:
            ValueError: if `filepath` does not end in `.keras`, or is there and may not be replaced.
        """
        path = _place_of(filepath)
        if zipped is False:
            raise ValueError(
                "A model is saved as one file. Expected zipped=True or None. Received zipped=False."
            )
        _check_overwrite(path, overwrite)
        if path.suffix != ".keras":
            raise ValueError(f"Unknown format. Expected a path ending in .keras. Received {path}.")
        if self.compiled and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)  # or reloading would warn and skip it
        with replacing(path) as written:
            super().save(written)

    def save_weights(
        self,
        filepath: "str | pathlib.Path",
        overwrite: bool = True,
        max_shard_size: "float | None" = None,
    ) -> None:
        """Saves the weights as `keras.Model.save_weights` does, a single file whole or not at all.

        Raises:
            ValueError: if there is no folder for the file, or it is there and may not be replaced.
        """
        path = _place_of(filepath)
        if max_shard_size is not None or not path.name.endswith(".weights.h5") or not self.built:
            super().save_weights(filepath, overwrite, max_shard_size)
            return
        _check_overwrite(path, overwrite)
        with replacing(path) as written:
            written.write_bytes(keras_private.weights_as_bytes(self))

    def load_weights(
        self, filepath: "str | pathlib.Path", skip_mismatch: bool = False, **kwargs: Any
    ) -> None:
        """Loads weights as `keras.Model.load_weights` does, or leaves all as they were.

        Raises:
            ValueError: if they are those of another model.
        """
        before = [tf.identity(tf.convert_to_tensor(each.value)) for each in self.variables]
        try:
            super().load_weights(filepath, skip_mismatch, **kwargs)
        except Exception:  # Keras has loaded what fitted before it says what does not
            for variable, value in zip(self.variables, before, strict=False):
                variable.assign(value)
            raise

    def quantize(self, mode: Any = None, **kwargs: Any) -> None:
        """Refuses: of a model that draws, Keras would quantise some parts, and say so of others.

        Raises:
            ValueError: always; the LiteRT files of `tfp_vae.export.export` are also quantised.
        """
        del kwargs
        raise ValueError(
            "Keras quantises the plain layers of a model and neither its draws nor its "
            "likelihoods. Expected tfp_vae.export.export(model, data, folder, ['litert']), which "
            "has a quantised file that is compared with the model. Received "
            f"{type(self).__name__}.quantize({mode!r})."
        )

    def get_config(self) -> dict:
        """Returns the constructor's arguments that all models share, and its `parts`, as JSON."""
        if keras_private.is_saved_as_hdf5():
            raise ValueError(
                "A legacy HDF5 file of this model could not be loaded. Expected a path ending in "
                ".keras. Received another one."
            )
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "format": FORMAT,
            **{part: serialize(getattr(self, part)) for part in self.parts},
            "seed": self.seed,
            "data_kind": None if self.data_kind is None else str(self.data_kind),
            "num_data": self.num_data,
            "columns": None if self.columns is None else list(self.columns),
            "class_names": None if self.class_names is None else list(self.class_names),
            **({} if self.conformal is None else {"conformal": self.conformal.to_json()}),
        }

    @classmethod
    def _parts_in(cls, config: dict) -> "tuple[str, ...]":
        """Returns which arguments of a config are objects to parse."""
        del config
        return cls.parts

    @classmethod
    def from_config(cls, config: dict, custom_objects: "dict | None" = None) -> "VariationalModel":
        """Returns the model of `get_config`.

        Raises:
            ValueError: if another `FORMAT` was saved, whose variables mean something else.
        """
        config = dict(config)
        saved, conformal = config.pop("format", 1), config.pop("conformal", None)
        if saved != FORMAT:
            raise ValueError(
                f"The model was saved by another version of this package. Expected format {FORMAT}"
                f"; train it anew, or use the version that saved it. Received format {saved}."
            )
        parse = keras.saving.deserialize_keras_object
        parts = {part: parse(config[part], custom_objects) for part in cls._parts_in(config)}
        model = cls(**{**config, **parts})
        if conformal is not None:
            model.conformal = Conformal.from_json(conformal)
        return model


def _place_of(filepath):
    """Returns where a file is to be written; raises `ValueError` if that cannot be."""
    path = pathlib.Path(check_path("filepath", filepath))
    if not path.parent.is_dir():
        raise ValueError(
            f"There is no folder for {path}. Expected one that there is. Received {path.parent}."
        )
    return path


def _check_overwrite(path, overwrite):
    if not overwrite and path.exists():
        raise ValueError(
            f"{path} is there already. Expected another path, or overwrite=True. Received "
            "overwrite=False."
        )


def _check_precision(model):
    """Raises `ValueError` where Keras makes weights of another precision than bounds are in."""
    floatx, policy = keras.config.floatx(), model.dtype_policy
    if floatx != "float32" or policy.variable_dtype != "float32":
        raise ValueError(
            f"A {type(model).__name__} has weights and bounds in float32. Expected "
            "keras.config.set_floatx('float32') and set_dtype_policy('float32'), 'mixed_bfloat16' "
            f"or 'mixed_float16', before its parts are made. Received floatx {floatx!r} and policy "
            f"{policy.name!r}."
        )


def _refuse_export(layer: keras.Layer, how: str) -> None:
    """Refuses what would be written: it needs this package's libraries, or runs nowhere."""
    for each in (layer, *keras_private.all_sublayers(layer)):
        if isinstance(each, VariationalModel):
            name = type(each).__name__
            received = how if "." in how else f"{name}.export(format={how!r})"
            raise ValueError(
                "Keras' own export writes draws and distributions that no other program loads. "
                "Expected tfp_vae.export.export(model, data, folder, formats), whose files hold "
                f"arrays in and arrays out. Received {received}{f' of a {name}' * ('.' in how)}."
            )


keras_private.before_export(_refuse_export)
