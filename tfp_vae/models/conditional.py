"""The conditional variational autoencoder (Sohn et al., 2015), also as a generative classifier."""

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfp_vae.arguments import is_count
from tfp_vae.data import Split
from tfp_vae.distributions.base import ConditionalDistribution, registered, tfd
from tfp_vae.distributions.priors import ConditionalPrior, Prior
from tfp_vae.models.predictive import Predictive
from tfp_vae.models.vae import VAE

JOINS = ("flat", "planes")


@registered
class ConditionalVAE(VAE):
    """p(z|c) p(x|z, c) with the approximate posterior q(z|x, c).

    The condition c of an example is its class, or its vector of targets: `fit(data.train)` takes
    it from the labels or targets of the `Split`, `fit(x, y)` from y. What a network sees is its
    usual input and c beside it.

    With classes it is a generative classifier: p(y|x) is proportional to p(x|y) p(y), with
    importance-sampled log p(x|y) and the class frequencies of the training data as p(y).

    Args:
        prior: p(z) or p(z|c), from `tfp_vae.priors`.
        encoder: q(z|x, c); its network gets [B, X + C] or [B, H, W, channels + C], see `join`.
        decoder: p(x|z, c); its network gets [B, D + C], or [B, D] (see below).
        num_classes: K, if the condition is a class; C = K, one-hot.
        condition_dim: C, if the condition is a vector of targets.
        decoder_sees_condition: False for p(x|z): then c acts through p(z|c) alone.
        join: "flat" puts x, flattened, and c side by side; "planes" adds C constant planes to an
            image, for convolutions.
        objective: see `VAE`.
        num_samples: see `VAE`.
        seed: see `VariationalModel`.
        data_kind: see `VariationalModel`.
        num_data: see `VariationalModel`.
    """

    supervised = True
    conditional = True
    least_label = 0

    def __init__(
        self,
        prior: Prior,
        encoder: ConditionalDistribution,
        decoder: ConditionalDistribution,
        num_classes: int | None = None,
        condition_dim: int | None = None,
        decoder_sees_condition: bool = True,
        join: str = "flat",
        objective=None,
        num_samples: int = 1,
        seed: int = 0,
        data_kind=None,
        num_data: int | None = None,
        **kwargs,
    ):
        size = condition_dim if num_classes is None else num_classes
        if (num_classes is None) == (condition_dim is None) or not is_count(size):
            raise ValueError(
                "A condition is a class or a vector. Expected num_classes or condition_dim, one of "
                f"them, an integer >= 1. Received num_classes={num_classes!r}, "
                f"condition_dim={condition_dim!r}."
            )
        if join not in JOINS:
            raise ValueError(
                f"Unknown join. Expected one of {', '.join(JOINS)}. Received {join!r}."
            )
        if join == "planes" and len(decoder.event_shape) != 3:
            raise ValueError(
                "Planes are added to images. Expected a decoder of shape (H, W, channels). "
                f"Received {decoder.event_shape}."
            )
        if not decoder_sees_condition and not isinstance(prior, ConditionalPrior):
            raise ValueError(
                "The condition would have no effect on x. Expected a prior p(z|c), such as "
                "priors.ClassNormal, where the decoder does not see c. Received "
                f"{type(prior).__name__}."
            )
        self.num_classes, self.condition_dim = num_classes, condition_dim
        self.decoder_sees_condition, self.join = bool(decoder_sees_condition), join
        super().__init__(
            prior, encoder, decoder, objective, num_samples, seed, data_kind, num_data, **kwargs
        )

    @property
    def condition_size(self) -> int:
        """C, numbers that the networks are told of the condition."""
        return self.condition_dim if self.num_classes is None else self.num_classes

    def build(self, input_shape=None):
        """Builds prior, encoder and decoder."""
        size, shape = self.condition_size, self.decoder.event_shape
        if isinstance(self.prior, ConditionalPrior):
            self.prior.build_for(size)
        elif not self.prior.built:
            self.prior.build()
        joined = (math.prod(shape) + size,)
        if self.join == "planes":
            joined = (*shape[:2], shape[2] + size)
        self.encoder.build_for((None, *joined))
        seen = size if self.decoder_sees_condition else 0
        self.decoder.build_for((None, self.prior.latent_dim + seen))
        if self.num_classes is not None:
            self.log_class_prior = self.add_weight(
                name="log_class_prior",
                shape=(size,),
                initializer=keras.initializers.Constant(-math.log(size)),
                trainable=False,
                autocast=False,
            )
        self.built = True

    # The three distributions.

    def condition(self, y) -> tf.Tensor:
        """Returns what networks see of classes [B], or of targets [B, C] or [B], as [B, C]."""
        if self.num_classes is not None:
            return tf.one_hot(tf.cast(y, tf.int32), self.num_classes)
        return tf.reshape(tf.cast(y, tf.float32), [-1, self.condition_dim])

    def prior_of(self, given):
        """Returns p(z|c), batch shape [B], or p(z)."""
        if isinstance(self.prior, ConditionalPrior):
            return self.prior(self.condition(given))
        return self.prior()

    def posterior_of(self, x, given, training=None):
        """Returns q(z|x, c), batch shape that of `x` [..., B, ...], over which c is repeated."""
        condition, x = self.condition(given), tf.cast(x, tf.float32)
        axes = len(self.decoder.event_shape)
        lead = tf.shape(x)[: x.shape.rank - axes]
        if self.join == "planes":
            condition, kept = (
                condition[..., tf.newaxis, tf.newaxis, :],
                self.decoder.event_shape[:2],
            )
        else:
            x, kept = tf.reshape(x, tf.concat([lead, [math.prod(self.decoder.event_shape)]], 0)), ()
        shape = tf.concat([lead, kept, [self.condition_size]], 0)
        joined = tf.concat([x, tf.broadcast_to(condition, shape)], axis=-1)
        return self.encoder(joined, training=training)

    def likelihood_of(self, z, given, training=None):
        """Returns p(x|z, c), batch shape that of `z` [..., B, D] without its last axis."""
        if self.decoder_sees_condition:
            shape = tf.concat([tf.shape(z)[:-1], [self.condition_size]], 0)
            condition = tf.broadcast_to(self.condition(given), shape)
            z = tf.concat([z, condition], axis=-1)
        return self.decoder(z, training=training)

    def unpack(self, inputs):
        """Returns (x, y) of the inputs that Keras hands over."""
        return inputs

    def given_of(self, split):
        """Returns the classes [N] or the targets [N, C] of a split."""
        return split.y if self.condition_dim is None else split.y.reshape(len(split), -1)

    # Data in.

    def adapt(self, split):
        """Takes N and, with classes, their frequencies, with one example more of each."""
        super().adapt(split)
        if self.num_classes is not None:
            known = split.labels[split.labels >= 0]
            counts = np.bincount(known, minlength=self.num_classes) + 1.0
            self.log_class_prior.assign(np.log(counts / counts.sum()))

    def check_split(self, split):
        """Raises `ValueError` if examples or conditions do not fit the model."""
        super().check_split(split)
        if self.num_classes is not None:
            labels = split.labels
            least, most = self.least_label, self.num_classes - 1
            if labels is None or labels.max() > most or labels.min() < least:
                received = "none" if labels is None else f"{labels.min()} to {labels.max()}"
                raise ValueError(
                    f"The {split.name} examples lack their condition. Expected labels from {least} "
                    f"to {most}. Received {received}."
                )
        elif split.targets is None or self.given_of(split).shape[1] != self.condition_dim:
            received = "none" if split.targets is None else f"shape {split.targets.shape}"
            raise ValueError(
                f"The {split.name} examples lack their condition. Expected targets of shape (N, "
                f"{self.condition_dim}). Received {received}."
            )

    def _beside(self, y):
        if y is None:
            return {}
        return {"targets" if self.num_classes is None else "labels": np.asarray(y)}

    def to_keras(self, x, y):
        """Returns inputs and targets with the condition among the inputs."""
        if isinstance(x, tf.data.Dataset):
            return x.map(lambda x, y, *weight: ((x, y), y, *weight)), y
        if y is None:
            raise ValueError(
                f"{type(self).__name__} has a condition for every example. Expected a Split, "
                f"arrays (x, y) or a tf.data.Dataset of them. Received {type(x).__name__}."
            )
        return (x, y), y

    def prediction_dataset(self, split, batch_size):
        """Returns the inputs of `call` for a split, in order."""
        return split.dataset(batch_size, with_y=True).map(lambda x, y: ((x, y),))

    # Generative classification.

    def class_log_likelihoods(
        self,
        x,
        num_samples: int = 100,
        *,
        seed: int | None = None,
        batch_size: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Returns importance-sampled log p(x|y) of each example under every class, [N, K], nats.

        One class after the other streams through `bounds` with the same noise, so that memory
        grows neither with K nor with S and what is common to the classes cancels.

        Raises:
            ValueError: if the condition is no class, or the model is no model of `x`.
        """
        if self.num_classes is None:
            raise ValueError(
                "There are no classes to tell apart. Expected a model with num_classes. Received "
                f"condition_dim={self.condition_dim}."
            )
        if not isinstance(x, Split):
            x = self._array_split(x, "given")
        columns = []
        for label in range(self.num_classes):
            supposed = x.relabelled(np.full(len(x), label))
            bounds = self.bounds(supposed, num_samples, seed=seed, batch_size=batch_size)
            columns.append(bounds.log_likelihood)
            if progress is not None:
                progress(label + 1, self.num_classes)
        return np.stack(columns, axis=1)

    def predictive(self, x, num_samples: int = 100, **kwargs) -> Predictive:
        """Returns p(y|x), which is proportional to p(x|y) p(y), of each example: batch shape [N].

        Args:
            x: a `Split` or an array [N, ...]; labels that it has are not looked at.
            num_samples: S importance samples per class.
            **kwargs: see `class_log_likelihoods`.
        """
        log_joint = self.class_log_likelihoods(x, num_samples, **kwargs)
        log_joint += self.log_class_prior.numpy()
        return Predictive.of(tfd.Categorical(logits=log_joint[:, np.newaxis, :]))

    def generate(self, count, seed=None, given=None):
        """Returns new examples as `VAE.generate` does, with `given` [count] among them.

        Classes take turns where `given` is None.
        """
        if given is None and self.num_classes is not None:
            given = np.arange(max(int(count), 1)) % self.num_classes
        if given is None or len(given) != count:
            raise ValueError(
                f"Each new example has a condition. Expected {count} of them as `given`. Received "
                f"{'none' if given is None else len(given)}."
            )
        given = np.asarray(given)
        return {**super().generate(count, seed, given), "given": given}

    def get_config(self):
        """Returns the constructor's arguments, as JSON."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "condition_dim": self.condition_dim,
            "decoder_sees_condition": self.decoder_sees_condition,
            "join": self.join,
        }
