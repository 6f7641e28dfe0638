"""Semi-supervised learning with a conditional VAE: the model M2 of Kingma et al. (2014)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number, check_type
from tfp_vae.data import UNLABELLED, Feed, Split
from tfp_vae.distributions.base import ConditionalDistribution, registered, tfd
from tfp_vae.distributions.encoders import Encoder
from tfp_vae.distributions.priors import Prior
from tfp_vae.models.conditional import ConditionalVAE
from tfp_vae.models.draw import Latents
from tfp_vae.models.graphs import compiled, traced
from tfp_vae.models.memory import in_batches
from tfp_vae.models.predictive import Predictive
from tfp_vae.networks import output_shape
from tfp_vae.objectives import KnownLatent, Reshaped, Terms


class RecognizedPass(NamedTuple):
    """What M2 returns when called: all classes side by side, class by class.

    Attributes:
        latents: of q(z|x, y), draws [S, K * B, D], top first.
        likelihood: p(x|z, y), batch shape [S, K * B].
        recognition: q(y|x), batch shape [B].
    """

    latents: Latents
    likelihood: tfd.Distribution
    recognition: tfd.Categorical

    @property
    def posterior(self) -> tfd.Distribution:
        """q(z|x, y) of the lowest latent, batch shape [K * B]."""
        return self.latents[-1].posterior


class MixedFeed(Feed):
    """Passes over the examples without a class, each batch with some that have one.

    Those come back as often as it takes. Weights make the mean over a batch an estimate of the mean
    over all data, in which the two sorts have the shares that they have there.

    Args:
        others: the batches of the examples without a class.
        labelled: the batches of those with one.
    """

    def __init__(self, others: Feed, labelled: Feed):
        self.others, self.labelled = others, labelled
        self.with_y = self.weighted = True
        self.num_batches, self.replicas = others.num_batches, others.replicas
        self.ahead = min(others.ahead, labelled.ahead)
        self.arrays = (*others.arrays, *labelled.arrays)
        sizes = [len(feed.arrays[0]) for feed in (others, labelled)]
        self._shares = [size / sum(sizes) for size in sizes]
        self._order = traced(self._orders)
        self.compiles = False  # the labelled batch may be a short one at any step

    @property
    def signature(self) -> tuple:
        """What feeds have alike whose batches are the same function of arrays, order and step."""
        return type(self), self.others.signature, self.labelled.signature

    def order(self, epoch: tf.Tensor) -> tuple:
        """Returns the order of a pass over the others, and of as many labelled ones as it takes."""
        return self._order(tf.cast(epoch, tf.int64))

    def _orders(self, epoch):
        repeats = -(-self.num_batches // self.labelled.num_batches)
        passes = repeats * epoch + tf.range(repeats, dtype=tf.int64)
        again = tf.map_fn(self.labelled.order, passes, fn_output_signature=(tf.int32, tf.int32))
        return self.others.order(epoch), again

    def batch(self, arrays: Sequence[tf.Tensor], order: tuple, step: tf.Tensor) -> tuple:
        """Returns (x, y, sample weights [B]) of batch number `step`."""
        number = step // self.labelled.num_batches
        again = tf.nest.map_structure(lambda each: each[number], order[1])
        sorts = (
            self.others.batch(arrays[:2], order[0], step),
            self.labelled.batch(arrays[2:], again, step % self.labelled.num_batches),
        )
        sizes = [tf.shape(y)[0] for _, y in sorts]
        total = tf.cast(tf.add_n(sizes), tf.float32)
        weights = [
            tf.fill([size], share * total / tf.cast(size, tf.float32))
            for share, size in zip(self._shares, sizes, strict=True)
        ]
        x, y = (tf.concat(part, axis=0) for part in zip(*sorts, strict=True))
        return x, y, tf.concat(weights, axis=0)


@registered
class M2(ConditionalVAE):
    """p(y) p(z|y) p(x|z, y) with q(y|x) q(z|x, y), where y is known for some examples only.

    The bound of an example with class y is that of a `ConditionalVAE` plus log p(y), eq. 6; without
    a class it is sum_y q(y|x) (bound given y) + H(q(y|x)), eq. 7, with y summed over exactly. Both
    are one expression: the weights of the classes are q(y|x), or 1 for a class that is known.

    `fit` takes a `Split` with labels, -1 (`data.UNLABELLED`) where there is none. Each batch has
    examples of both sorts, weighted so that the mean bound is that of all data.

    Args:
        prior: see `ConditionalVAE`.
        encoder: see `ConditionalVAE`.
        decoder: see `ConditionalVAE`.
        classifier: network of q(y|x), a Keras layer or model, [B, ...] -> logits [B, K].
        num_classes: K.
        alpha: weight of the classification term, mean over labelled examples of -log q(y|x) (eq. 9,
            per example), without which labels teach q(y|x) nothing.
        labelled_share: share of a batch for labelled examples, if there are both sorts.
        **kwargs: see `ConditionalVAE`.

    The metric `elbo` is the bound alone; `alpha` acts on the loss.
    """

    parts = (*ConditionalVAE.parts, "classifier")
    least_label = UNLABELLED
    takes_codes = False

    def __init__(
        self,
        prior: "Prior | None" = None,
        encoder: "Encoder | None" = None,
        decoder: "ConditionalDistribution | None" = None,
        classifier: "keras.Layer | None" = None,
        num_classes: "int | None" = None,
        alpha: float = 0.1,
        labelled_share: float = 0.5,
        **kwargs: Any,
    ):
        self.classifier = check_type("classifier", classifier, keras.Layer, type(self).__name__)
        self.alpha = check_number("alpha", alpha, 0)
        self.labelled_share = check_number("labelled_share", labelled_share, above=0, below=1)
        super().__init__(prior, encoder, decoder, num_classes, **kwargs)

    def encoder_weights(self) -> "list[keras.Variable]":
        """Returns the trainable weights of q(z|x, y) and q(y|x)."""
        return [*super().encoder_weights(), *self.classifier.trainable_weights]

    def _named_parts(self, latents, decoder):
        return [*super()._named_parts(latents, decoder), ("the classifier", self.classifier)]

    def build(self, input_shape: Any = None) -> None:
        """Builds prior, encoder, decoder and classifier, once."""
        if self.built:
            return
        shape = (None, *self.decoder.event_shape)
        logits = output_shape(self.classifier, shape, f"{type(self).__name__}.classifier")
        if tuple(logits) != (None, self.num_classes):
            raise ValueError(
                "The classifier does not fit. Expected logits of shape (B, "
                f"{self.num_classes}). Received {tuple(logits)}."
            )
        self.accuracy_tracker = keras.metrics.Mean("accuracy")
        super().build(input_shape)

    def recognition(self, x: tf.Tensor, training: "bool | None" = None) -> tfd.Categorical:
        """Returns q(y|x), batch shape [B]."""
        # Not None, which Keras' layers that augment images take for training.
        logits = self.classifier(tf.cast(x, tf.float32), training=bool(training))
        return tfd.Categorical(logits=tf.cast(logits, tf.float32))

    def call(
        self,
        x: tf.Tensor,
        training: "bool | None" = None,
        num_samples: "int | None" = None,
        seed: "int | None" = None,
    ) -> RecognizedPass:
        """Returns the distributions under every class."""
        x = x[0] if isinstance(x, tuple | list) else x  # every class has its turn
        key = self.noise_key(training) if seed is None else self.caller_key(seed)
        draw = self.at(key, training=training)
        tiled, every = self.under_every_class(x)
        count = num_samples or self.num_samples
        latents = draw.infer(tiled, count, every, tapped=self.objective.taps)
        likelihood = draw.likelihood(self.code([each.value for each in latents]), every)
        with draw.open():
            return RecognizedPass(latents, likelihood, self.recognition(x, training))

    def terms(
        self, x: Any, y: Any, outputs: Any, sample_weight: "tf.Tensor | None" = None
    ) -> Terms:
        """Returns the `Terms` of a batch: a row for each sample and class, [S K, B].

        Sums over samples and over classes are then one sum, inside a logarithm or outside: the
        class is a latent that is enumerated, or known.
        """
        x, y = self.unpack(x)
        tiled, every = self.under_every_class(x)
        classes, samples = self.num_classes, tf.shape(outputs.latents[0].value)[0]

        def rows(values):  # [1 or S, K B] -> [S K, B]
            by_class = tf.reshape(values, [tf.shape(values)[0], classes, -1])
            shape = tf.concat([[samples], tf.shape(by_class)[1:]], 0)
            return tf.reshape(tf.broadcast_to(by_class, shape), [samples * classes, -1])

        log_q, log_mass = self.class_mass(y, outputs.recognition)  # [K, B]
        log_p = tf.broadcast_to(self.log_class_prior[:, tf.newaxis], tf.shape(log_q))
        label = KnownLatent("y", *(tf.tile(each, [samples, 1]) for each in (log_q, log_p)))
        return Terms(
            rows(self.log_likelihood_of(outputs, tiled, every)),
            (label, *(Reshaped(latent, rows) for latent in outputs.latents)),
            tf.tile(log_mass, [samples, 1]) - tf.math.log(tf.cast(samples, tf.float32)),
            self.weight_terms(),
            sample_weight,
            classes,
        )

    def profiled(
        self, x: Any, y: Any, outputs: Any, sample_weight: "tf.Tensor | None" = None
    ) -> RecognizedPass:
        """Returns the pass as `VAE.profiled` does, every class with its mass as its weight."""
        x, y = self.unpack(x)
        _, log_mass = self.class_mass(y, outputs.recognition)
        mass = tf.exp(log_mass) * (1.0 if sample_weight is None else sample_weight)  # [K, B]
        return self._with_profile(outputs, self.under_every_class(x)[0], tf.reshape(mass, [-1]))

    def _given_of_pass(self, y: Any, outputs: Any) -> tf.Tensor:
        rows = tf.shape(outputs.latents[0].value)[1] // self.num_classes
        return tf.repeat(tf.range(self.num_classes), rows)

    def under_every_class(self, x: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns `x` [B, ...] once per class, [K * B, ...], and the classes [K * B]."""
        x = tf.cast(x, tf.float32)
        every = tf.repeat(tf.range(self.num_classes), tf.shape(x)[0])
        return tf.tile(x, [self.num_classes] + [1] * (x.shape.rank - 1)), every

    def class_mass(
        self, y: tf.Tensor, recognition: tfd.Categorical
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns log q(y|x) and the log mass of every class, [K, B] each, in nats.

        Of an example whose class is known q is that class: log q is 0, and all mass is there.
        """
        log_q = tf.transpose(tf.nn.log_softmax(recognition.logits))
        known = tf.transpose(tf.one_hot(y, self.num_classes))  # nothing for -1
        is_known = tf.reduce_sum(known, axis=0, keepdims=True) > 0
        at_known = tf.where(known > 0, 0.0, -np.inf)
        return tf.where(is_known, 0.0, log_q), tf.where(is_known, at_known, log_q)

    @tf.autograph.experimental.do_not_convert
    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: "tf.Tensor | None" = None,
        training: "bool | None" = True,
    ) -> tf.Tensor:
        """Returns the objective plus the classification term, and updates the metrics."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        y = tf.cast(y, tf.int32)
        known = tf.cast(y != UNLABELLED, tf.float32)
        log_q = y_pred.recognition.log_prob(tf.maximum(y, 0))
        right = tf.argmax(y_pred.recognition.logits, axis=-1, output_type=tf.int32) == y
        self.accuracy_tracker.update_state(tf.cast(right, tf.float32), known)
        loss_of_labels = -tf.math.divide_no_nan(tf.reduce_sum(known * log_q), tf.reduce_sum(known))
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return loss + self.alpha * loss_of_labels / replicas

    def classify(self, x: "Split | np.ndarray", batch_size: int = 1000) -> Predictive:
        """Returns q(y|x) of a `Split` or an array as a predictive distribution, batch shape [N]."""
        split = (x if isinstance(x, Split) else self.intake.array(x)).frozen()
        batch_size = check_count("batch_size", batch_size)
        function = compiled(self, "classify", None, lambda: self._class_logits)

        def run(_, index):
            return function(tf.constant(split.values(index)))

        parts = [logits[:size] for logits, size in in_batches(split, batch_size, run)]
        return Predictive.of(tfd.Categorical(logits=tf.concat(parts, axis=0)[:, tf.newaxis]))

    def _class_logits(self, x):
        with self.at_mean():  # one answer, the same at every call
            return self.recognition(x).logits

    # Data in.

    def given_of(self, split: Split) -> np.ndarray:
        """Returns the classes [N] of a split whose classes are all known."""
        if (split.labels == UNLABELLED).any():
            raise ValueError(
                f"A bound given the class needs it. Expected a class for every {split.name} "
                f"example. Received {np.sum(split.labels == UNLABELLED)} without."
            )
        return super().given_of(split)

    def take_units(self, split: Split, anew: bool = True) -> None:
        """Takes units; p(y) are the frequencies of the known classes, one example more of each.

        Raises:
            ValueError: if no class is known.
        """
        if (split.labels == UNLABELLED).all():
            raise ValueError(
                f"No {split.name} example has a class. Expected labels for some of them. Received "
                f"{UNLABELLED} for all {len(split)}."
            )
        super().take_units(split, anew)

    def batches_per_epoch(self, split: Split, batch_size: int) -> int:
        """Returns the number of batches of one pass over the examples without a class."""
        sorts = self._sorts(split, batch_size)
        if sorts is None:
            return super().batches_per_epoch(split, batch_size)
        return sorts[0].num_batches(sorts[1])

    def feed(
        self, split: Split, batch_size: int, *, shuffle: bool = True, weights: Any = None
    ) -> Feed:
        """Returns the batches for training, each with some examples that have a class.

        Raises:
            ValueError: with both sorts of examples, for weights or an order that is kept.
        """
        sorts = self._sorts(split, batch_size)
        if sorts is None:
            return super().feed(split, batch_size, shuffle=shuffle, weights=weights)
        if weights is not None or not shuffle:
            raise ValueError(
                f"{type(self).__name__} makes batches of examples with a class and without, which "
                "have weights and an order of their own. Expected shuffle=True and no weights. "
                f"Received {'weights' if weights is not None else 'shuffle=False'}."
            )
        others, many, labelled, few = sorts
        seed = (self.seed + 1) % 2**31  # an order and a binarisation of their own
        return MixedFeed(
            Feed(others, many, self.seed, with_y=True, replicas=self.num_replicas),
            Feed(labelled, few, seed, with_y=True, replicas=self.num_replicas),
        )

    def _sorts(self, split, batch_size):
        """Returns (examples without a class, batch size, examples with one, batch size) or None."""
        known = split.labels != UNLABELLED
        if known.all() or not known.any():
            return None
        if batch_size < 2:
            raise ValueError(
                "A batch has examples with a class and without. Expected a batch_size of at least "
                f"2. Received {batch_size}."
            )
        few = min(max(1, round(self.labelled_share * batch_size)), batch_size - 1)
        labelled = split.select(np.flatnonzero(known), split.name)
        others = split.select(np.flatnonzero(~known), split.name)
        few = min(few, len(labelled))
        return others, min(batch_size - few, len(others)), labelled, few

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "alpha": self.alpha, "labelled_share": self.labelled_share}
