"""The variational autoencoder (Kingma & Welling, 2014; Rezende et al., 2014)."""

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import keras_private, objectives
from tfp_vae.arguments import check_choice, check_count
from tfp_vae.data import Kind, Schema, Split, Stream
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import (
    BOX,
    REAL,
    SPHERE,
    ConditionalDistribution,
    registered,
    tfd,
)
from tfp_vae.distributions.conditions import JOINS, Condition, Nothing, join, joined_shape
from tfp_vae.distributions.encoders import Encoder
from tfp_vae.distributions.priors import Context, Prior, Spec
from tfp_vae.distributions.sequential import showing
from tfp_vae.layers.noise import MEAN, SHARED
from tfp_vae.models import ex_post, local, units, walks
from tfp_vae.models.draw import Latents, own_random_layers
from tfp_vae.models.graphs import compiled
from tfp_vae.models.intake import check_schema
from tfp_vae.models.latents import LatentVariable
from tfp_vae.models.memory import in_batches
from tfp_vae.models.metrics import ActiveUnits, Perplexity, Usage
from tfp_vae.models.predictive import Predictive
from tfp_vae.models.proposals import (
    Joint,
    Modes,
    Proposal,
    Weights,
    check_spans_space,
    find_modes,
    refined_proposal,
    rows_of_search,
    spans_space,
)
from tfp_vae.models.streamed import draws_at_once, streamed
from tfp_vae.models.variational import VariationalModel
from tfp_vae.networks import output_shape
from tfp_vae.randomness import fold_in

# Rows that are decoded at a time: at most so many, and so many parameters of the likelihood.
_ROWS = 2048
_PARAMETERS = 2**22
# Parameters that a core finds in its caches where it left them, when it sums over them.
_IN_CACHE = 2**19
_SAMPLES_OF_WEIGHTS = 16  # latents under one draw of Bayesian weights, whatever fits the memory
MAX_BIAS = 0.05  # nats of log p(x)
MAX_TAIL = 0.7  # see `Weights.tail_index`
PROPOSALS = ("auto", "encoder", "refined")
_ONLY = "z"  # name of a latent beside which there is no other
_SHORT = ("prior", "encoder")  # what the constructor takes in the place of such a latent
_COMPARED = 32  # examples whose log p(x) two proposals estimate
_COMPARED_SAMPLES = 512
_MAX_COMPARED_DIM = 64  # from where on the search for modes costs more than the estimate


class Pass(NamedTuple):
    """What a VAE returns when called: latents with their distributions, and the likelihood.

    Attributes:
        latents: draws [S, B, D], posteriors and priors, top first.
        likelihood: p(x|z), batch shape [S, B], event shape of the data.
    """

    latents: Latents
    likelihood: tfd.Distribution

    @property
    def posterior(self) -> tfd.Distribution:
        """q(z|x) of the lowest latent: batch [B], event [D]."""
        return self.latents[-1].posterior

    @property
    def z(self) -> tf.Tensor:
        """The draws of the lowest latent, [S, B, D]."""
        return self.latents[-1].value


class BatchBounds(NamedTuple):
    """What a graph returns of `Bounds`: tensors [B]."""

    elbo: tf.Tensor
    log_evidence: tf.Tensor
    effective_sample_size: tf.Tensor
    tail_index: tf.Tensor


class Bounds(NamedTuple):
    """Lower bounds on log p(x) of each example, float32 [N], in nats.

    Attributes:
        elbo: the evidence lower bound.
        log_evidence: importance-sampled log p(x), the bound L_S: at most log p(x) in expectation.
        effective_sample_size: (sum w)^2 / sum w^2 of the S importance weights, in [1, S].
        tail_index: k of the tail of the weights, NaN where samples are too few to tell: above 0.7
            samples that would have raised the bound may not have been drawn.
        proposal: what the samples of `log_evidence` are from, "encoder" or "refined".
        gap: how much higher a refined proposal found log p(x) than the encoder's, nats, mean of
            the examples that were compared; None if none were.
    """

    elbo: np.ndarray
    log_evidence: np.ndarray
    effective_sample_size: np.ndarray
    tail_index: np.ndarray
    proposal: str = "encoder"
    gap: "float | None" = None

    def warn_of_bias(self, num_samples: int) -> None:
        """Warns if `log_evidence` seems too low by more than `MAX_BIAS` nats."""
        compared = self.proposal == "encoder" and self.gap is not None
        tail = None if compared else self.tail_index
        warn_of_bias(self.effective_sample_size, num_samples, tail, self.proposal, stacklevel=4)


def warn_of_bias(
    size: np.ndarray,
    num_samples: int,
    tail_index: "np.ndarray | None" = None,
    proposal: str = "refined",
    stacklevel: int = 3,
) -> None:
    """Warns if importance-sampled log p(x) seems too low by more than `MAX_BIAS` nats.

    The log of a mean of S weights is too low by about 1/(2 ESS) - 1/(2 S) nats, by its Taylor
    series to second order; of one weight nothing can be told. The effective sample size knows
    nothing of large weights that were not drawn: the tail of those that were tells of them.

    Args:
        size: effective sample sizes [N].
        num_samples: S.
        tail_index: k of each example [N], NaN where it is not known; None: something better than
            the tail, another proposal, was looked at.
        proposal: what was drawn from.
        stacklevel: whose line the warning names.
    """
    bias = float(np.mean(1 / (2 * size) - 1 / (2 * num_samples)))
    out = "Use more samples" + (' or proposal="refined".' if proposal == "encoder" else ".")
    if num_samples == 1 or not bias <= MAX_BIAS:
        amount = f"{bias:.2g} nats or more" if num_samples > 1 else "an unknown amount"
        warnings.warn(
            f"The effective sample size is low (median {np.median(size):.1f} of S={num_samples}): "
            f"log p(x) is underestimated by {amount}. {out}",
            UserWarning,
            stacklevel=stacklevel,
        )
        return
    known = np.empty(0) if tail_index is None else tail_index[np.isfinite(tail_index)]
    if known.size and np.median(known) > MAX_TAIL:
        warnings.warn(
            f"The importance weights have heavy tails (median index {np.median(known):.2f}, above "
            f"{MAX_TAIL}): log p(x) is a lower bound that may be far too low. {out}",
            UserWarning,
            stacklevel=stacklevel,
        )


def _joined(batches: Any) -> list[np.ndarray]:
    """Returns the parts of all batches, (parts, examples that count), one after the other."""
    parts = [[each.numpy()[:size] for each in part] for part, size in batches]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


@registered
class VAE(VariationalModel):
    """p(z) p(x|z) with the approximate posterior q(z|x).

    With a condition c it is p(z|c) p(x|z, c); with several latents p(z_L) ... p(z_1|z_2) p(x|z_1).

    Args:
        prior: p(z), from `tfp_vae.priors`.
        encoder: q(z|x), from `tfp_vae.encoders`.
        decoder: p(x|z), from `tfp_vae.decoders`.
        objective: see `tfp_vae.objectives`; the ELBO by default.
        num_samples: S, draws of z per example in training and evaluation.
        seed: see `VariationalModel`.
        data_kind: see `VariationalModel`.
        num_data: see `VariationalModel`; for Bayesian layers in the networks.
        latents: `LatentVariable`s, top first, in the place of one prior and one encoder.
        condition: what is conditioned on, from `tfp_vae.distributions.conditions`.
        join: how conditions and latents above join x in front of an encoder: "flat" puts x,
            flattened, and them side by side; "planes" adds constant planes to an image.
        decoder_sees_condition: False for p(x|z): then c acts through p(z|c) alone.
        bottom_up: a network [B, ...] -> [B, F] whose features all encoders get in the place of x,
            so that several latents share one pass over the example.
        decoder_sees_above: whether the decoder gets all latents side by side, top first, for
            p(x|z_1, ..., z_L); otherwise the lowest.

    Example:
        >>> data = tv.data.load("digits")
        >>> vae = tv.VAE(
        ...     prior=tv.priors.StandardNormal(2),
        ...     encoder=tv.encoders.Gaussian(tv.networks.mlp([64]), 2),
        ...     decoder=tv.decoders.Bernoulli(tv.networks.mlp([64]), data.shape),
        ... )
        >>> vae.compile(optimizer="adam")
        >>> history = vae.fit(data.train, epochs=1, verbose=0)
        >>> vae.log_evidence(data.test, num_samples=100).shape
        (359,)
    """

    parts: "tuple[str, ...]" = ("objective", "latents", "decoder", "condition", "bottom_up")
    expected_name = "reconstruction"
    has_latents = True
    least_label = 0
    takes_codes = True
    on_bound = True  # whether `elbo` and its like are asked for
    off_bound = ""  # in words, where they are not
    generates = True  # whether there is a p(z) to draw from
    encoder_steps = 0  # of the encoder alone before each of all, see `training.EncoderFirst`
    _encoder_alone = False  # whether such a step is being traced
    built: bool  # of Keras

    def __init__(
        self,
        prior: "Prior | None" = None,
        encoder: "Encoder | None" = None,
        decoder: "ConditionalDistribution | None" = None,
        objective: "objectives.Bound | None" = None,
        num_samples: int = 1,
        seed: int = 0,
        data_kind: "Kind | str | None" = None,
        num_data: "int | None" = None,
        *,
        latents: "list[LatentVariable] | None" = None,
        condition: "Condition | None" = None,
        join: str = "flat",
        decoder_sees_condition: bool = True,
        bottom_up: "keras.Layer | None" = None,
        decoder_sees_above: bool = False,
        **kwargs: Any,
    ):
        super().__init__(objective, seed, data_kind, num_data, **kwargs)
        self.num_samples = check_count("num_samples", num_samples)
        if (latents is None) == (prior is None or encoder is None):
            raise ValueError(
                f"A {type(self).__name__} has latents. Expected a prior and an encoder, or "
                f"latents=[LatentVariable(...), ...]. Received {'both' if latents else 'neither'}."
            )
        if latents is None:
            latents = [LatentVariable(_ONLY, prior, encoder)]
        self.condition = Nothing() if condition is None else condition
        self.join = check_choice("join", join, JOINS)
        self.decoder_sees_condition = bool(decoder_sees_condition)
        self.decoder_sees_above = bool(decoder_sees_above)
        self.bottom_up = bottom_up
        self._check_parts(latents, decoder)
        self.latents = tuple(latents)
        # Lists that Keras tracks and saves; it looks into no other objects.
        self.priors = [latent.prior for latent in latents]
        self.encoders = [latent.encoder for latent in latents]
        self.decoder = decoder
        self.active_units_trackers = [
            ActiveUnits(
                latent.latent_dim,
                self._metric("active_units", latent),
                self.condition.size,
                self.num_classes is not None,
            )
            for latent in latents
        ]
        self.kl_trackers = [
            keras.metrics.Mean(self._metric("kl", latent))
            for latent in (latents if len(latents) > 1 else [])
        ]
        # Of codes that a point mass chooses: how many of them are in use.
        self.code_trackers = [
            (
                Perplexity(latent.encoder.book.count, self._metric("perplexity", latent)),
                Usage(latent.encoder.book.count, self._metric("usage", latent)),
            )
            if getattr(latent.encoder, "reports_usage", False)
            else ()
            for latent in latents
        ]
        self.has_bits = all(kind.is_discrete for kind in decoder.kinds)
        if self.has_bits:
            self.bits_per_dim_tracker = keras.metrics.Mean("bits_per_dim")
        # Everything is known here: variables exist, and misfits are found, before `fit`.
        self.build()

    def _metric(self, name: str, latent: LatentVariable) -> str:
        # The one latent of most models needs no name.
        return name if latent.name == _ONLY else f"{name}_{latent.name}"

    def _check_parts(self, latents, decoder):
        name = type(self).__name__
        if not latents or not all(isinstance(latent, LatentVariable) for latent in latents):
            raise ValueError(
                f"Unusable latents of a {name}. Expected a list of LatentVariable, top first. "
                f"Received {latents!r}."
            )
        names = [latent.name for latent in latents]
        if len(set(names)) < len(names):
            raise ValueError(
                f"Two latents have one name. Expected different names. Received {names}."
            )
        if not isinstance(decoder, ConditionalDistribution):
            raise ValueError(
                f"A {name} needs a decoder. Expected an object of tfp_vae.decoders, such as "
                "decoders.Bernoulli(network, shape), which makes one of a Keras layer or model. "
                f"Received {decoder!r}."
            )
        for level, latent in enumerate(latents):
            prior = type(latent.prior).__name__
            if latent.prior.needs_condition and not self.condition:
                raise ValueError(
                    f"A {name} has nothing that its prior could be conditioned on. Expected a "
                    f"ConditionalVAE around it. Received {prior}."
                )
            if latent.encoder.enumerates and len(latents) > 1:
                raise ValueError(
                    f"Codes are summed over alone. Expected enumerate=False in a {name} with "
                    f"other latents. Received enumerate=True of {latent.name!r}."
                )
            if not self.takes_codes and latent.encoder.support not in (REAL, BOX, SPHERE):
                raise ValueError(
                    f"A {name} has classes that are summed over, and no codes beside. Expected "
                    "an encoder of tfp_vae.encoders. Received a "
                    f"{type(latent.encoder).__name__}."
                )
            if self.on_bound and getattr(latent.encoder, "is_point", False):
                raise ValueError(
                    f"The KL of the latent {latent.name!r} would be infinite: q(z|x) is one point. "
                    "Expected an encoder of tfp_vae.encoders or tfp_vae.codes, or an AAE. Received "
                    f"a {type(latent.encoder).__name__}."
                )
            if latent.prior.needs_above and not level:
                raise ValueError(
                    f"Nothing lies above the latent {latent.name!r}. Expected a prior p(z) of it. "
                    f"Received {prior}."
                )
            if latent.encoder.uses_prior and latent.prior.uses_encoder:
                raise ValueError(
                    f"Prior and posterior of the latent {latent.name!r} are made of each other. "
                    "Expected a prior that needs no encoder, or a posterior such as "
                    f"encoders.Gaussian. Received {prior} and {type(latent.encoder).__name__}."
                )
        if self.bottom_up is not None and not isinstance(self.bottom_up, keras.Layer):
            raise ValueError(
                f"Unusable bottom_up of a {name}. Expected a Keras layer or model, [B, ...] -> "
                f"[B, F]. Received {self.bottom_up!r}."
            )
        if self.join == "planes" and len(decoder.event_shape) != 3:
            raise ValueError(
                "Planes are added to images. Expected a decoder of shape (H, W, channels). "
                f"Received {decoder.event_shape}."
            )
        told = any(latent.prior.needs_condition for latent in latents)
        if self.condition and not self.decoder_sees_condition and not told:
            raise ValueError(
                "The condition would have no effect on x. Expected a prior p(z|c), such as "
                "priors.ClassNormal, where the decoder does not see c. Received "
                f"{type(latents[-1].prior).__name__}."
            )
        self._check_sharing(latents, decoder)

    def _check_sharing(
        self, latents: Sequence[LatentVariable], decoder: ConditionalDistribution
    ) -> None:
        owners: dict[int, str] = {}
        for owner, part in self._named_parts(latents, decoder):
            for layer in (part, *keras_private.all_sublayers(part)):
                if owners.setdefault(id(layer), owner) != owner:
                    raise ValueError(
                        f"{layer.name} is a part of {owners[id(layer)]} and of {owner}: it would "
                        "be saved twice and loaded as two. Expected parts of their own; a prior "
                        "that needs the encoder finds it in `context.encode`. Received one layer "
                        "in both."
                    )

    def _named_parts(
        self, latents: Sequence[LatentVariable], decoder: ConditionalDistribution
    ) -> "list[tuple[str, keras.Layer]]":
        parts = [(f"the prior of {latent.name}", latent.prior) for latent in latents]
        parts += [(f"the encoder of {latent.name}", latent.encoder) for latent in latents]
        if self.bottom_up is not None:
            parts.append(("the bottom-up network", self.bottom_up))
        return [*parts, ("the decoder", decoder)]

    def layer_parts(self) -> "list[tuple[str, keras.Layer]]":
        """Returns prior and encoder of each latent, top first, and the rest."""
        found = []
        for latent in self.latents:
            found.append((self._metric("prior", latent), latent.prior))
            found.append((self._metric("encoder", latent), latent.encoder))
        return found + super().layer_parts()

    @property
    def prior(self) -> Prior:
        """p(z) of the lowest latent."""
        return self.priors[-1]

    @property
    def encoder(self) -> Encoder:
        """q(z|x) of the lowest latent."""
        return self.encoders[-1]

    @property
    def supervised(self) -> bool:
        """Whether an example has a condition beside it."""
        return bool(self.condition)

    @property
    def num_classes(self) -> "int | None":
        """K, if the condition is a class."""
        return self.condition.num_classes

    def build(self, input_shape: Any = None) -> None:
        """Builds priors, encoders and decoder, whose shape of an example says all, once."""
        if self.built:  # where it was made
            return
        size, shape = self.condition.size, self.decoder.event_shape
        above: tuple[int, ...] = ()
        is_bounded = Kind.REAL not in self.decoder.kinds
        with self.at(0, MEAN):  # networks may be those of another model already
            features = self._build_bottom_up(shape, size)
            for latent in self.latents:
                latent.prior.meet(latent.encoder)
                latent.prior.build(Spec(latent.latent_dim, shape, size, above, is_bounded))
                latent.prior.built = True
                beside = sum(above) if latent.encoder.sees_above else 0
                joined = joined_shape(shape, size + beside, self.join)
                if features is not None:
                    joined = joined_shape(features, beside, "flat")
                    units.check_none(latent.encoder.network, "an encoder behind another network")
                latent.encoder.build_for((None, *joined))
                units.check_first(latent.encoder.network)
                above = (*above, latent.latent_dim)
            seen = size if self.decoder_sees_condition else 0
            self.decoder.build_for((None, self.code_size + seen))
            self._check_merged()
        units.check_none(self.decoder.network, "the decoder")
        if self.num_classes is not None:
            self.log_class_prior = self.add_weight(
                name="log_class_prior",
                shape=(size,),
                initializer=keras.initializers.Constant(-math.log(size)),
                trainable=False,
                autocast=False,
            )
        own_random_layers(self)
        self.take_network()
        self.built = True

    def _build_bottom_up(self, shape: "tuple[int, ...]", size: int) -> "tuple[int, ...] | None":
        """Returns the shape of the features that encoders share, or None."""
        if self.bottom_up is None:
            return None
        joined = (None, *joined_shape(shape, size, self.join))
        found = output_shape(self.bottom_up, joined, f"{type(self).__name__}.bottom_up")
        if len(found) != 2:
            raise ValueError(
                "The bottom-up network gives no vectors. Expected features of shape (B, F), as "
                f"keras.layers.Flatten at its end makes them. Received {tuple(found)}."
            )
        units.check_first(self.bottom_up)
        return tuple(found[1:])

    def _check_merged(self):
        """Raises `ValueError` where a posterior is made with a prior that is no plain normal."""
        above: tuple[tf.Tensor, ...] = ()
        given = None if not self.condition else tf.zeros([1, self.condition.size])
        for latent in self.latents:
            if latent.encoder.uses_prior:
                prior = latent.prior(Context(given, above))
                entry = draws.normal_of(prior)
                if entry is None or entry.scale(prior).shape.rank != entry.loc(prior).shape.rank:
                    raise ValueError(
                        f"The posterior of the latent {latent.name!r} is made with its prior. "
                        "Expected a normal prior of independent latents, or a posterior such as "
                        f"encoders.Gaussian. Received {type(latent.prior).__name__} and "
                        f"{type(latent.encoder).__name__}."
                    )
            above = (*above, tf.zeros([1, latent.latent_dim]))

    # What `Draw` makes the distributions of.

    @property
    def code_size(self) -> int:
        """How many numbers of the latents the decoder sees."""
        latents = self.latents if self.decoder_sees_above else self.latents[-1:]
        return sum(latent.latent_dim for latent in latents)

    def code(self, values: "Sequence[tf.Tensor]") -> tf.Tensor:
        """Returns what the decoder sees of the latents, [..., D]: the lowest, or all side by side.

        Args:
            values: of all latents, top first, [..., D'] each.
        """
        if not self.decoder_sees_above or len(values) == 1:
            return values[-1]
        return tf.concat([tf.convert_to_tensor(each) for each in values], axis=-1)

    def bottom_up_of(self, x: tf.Tensor, given: Any, training: "bool | None") -> tf.Tensor:
        """Returns what encoders see of examples in the noise that is open; see `Draw.features`."""
        if self.bottom_up is None:
            return x
        beside = [] if given is None else [self.condition.encode(given)]
        shape = self.decoder.event_shape
        joined = join(x, beside, shape, self.join)
        axes = len(joined_shape(shape, sum(each.shape[-1] for each in beside), self.join))
        lead = tf.shape(joined)[: joined.shape.rank - axes]
        several = joined.shape.rank - axes > 1
        if several:
            joined = tf.reshape(joined, tf.concat([[-1], joined.shape[-axes:]], 0))
        found = self.bottom_up(joined, training=training)
        return tf.reshape(found, tf.concat([lead, found.shape[1:]], 0)) if several else found

    def encoded(
        self,
        features: tf.Tensor,
        given: Any,
        above: "tuple[tf.Tensor, ...]",
        training: "bool | None",
    ) -> tfd.Distribution:
        """Returns q(z_l | x, z_>l, c) in the noise that is open; see `Draw.posterior`."""
        latent = self.latents[len(above)]
        condition = None if given is None else self.condition.encode(given)
        beside = list(above) if latent.encoder.sees_above else []
        if self.bottom_up is not None:
            joined = join(features, beside, features.shape[-1:], "flat")
        else:
            beside += [] if condition is None else [condition]
            joined = join(features, beside, self.decoder.event_shape, self.join)
        own = latent.encoder(joined, training=training)
        if not latent.encoder.uses_prior:
            return own
        return latent.encoder.given_prior(own, latent.prior(Context(condition, above)))

    def decoded(self, z: tf.Tensor, given: Any, training: "bool | None") -> tfd.Distribution:
        """Returns p(x|z, c) in the noise that is open; see `Draw.likelihood`."""
        if self.decoder_sees_condition and given is not None:
            condition = self.condition.encode(given)
            shape = tf.concat([tf.shape(z)[:-1], [self.condition.size]], 0)
            z = tf.concat([z, tf.broadcast_to(condition, shape)], axis=-1)
        return self.decoder(z, training=training)

    def encoder_weights(self) -> "list[keras.Variable]":
        """Returns the trainable weights of everything that q(z|x) is made of."""
        parts = [*self.encoders, *([] if self.bottom_up is None else [self.bottom_up])]
        return [weight for part in parts for weight in part.trainable_weights]

    @property
    def trainable_weights(self) -> "list[keras.Variable]":
        """The weights that a step moves: those of the encoder in a step of its own."""
        found = super().trainable_weights
        if not self._encoder_alone:
            return found
        chosen = {id(weight) for weight in self.encoder_weights()}
        return [weight for weight in found if id(weight) in chosen]

    def train_step(self, data: Any) -> dict:
        """Trains on a batch; the encoder alone where the training has such steps."""
        if not self.encoder_steps:
            return super().train_step(data)
        # Counted by batches: a training that was interrupted goes on where it was.
        place = tf.convert_to_tensor(self.training_step) % (self.encoder_steps + 1)
        everything = functools.partial(super().train_step, data)
        return tf.cond(place < self.encoder_steps, lambda: self._encoder_step(data), everything)

    def _encoder_step(self, data):
        if not self.optimizer.built:  # of all weights, which `apply` would not know
            with tf.init_scope():
                self.optimizer.build(self.trainable_variables)
        self._encoder_alone = True
        try:
            return super().train_step(data)
        finally:
            self._encoder_alone = False

    def unpack(self, inputs: Any) -> tuple:
        """Returns (x, given) of the inputs that Keras hands over."""
        if not self.condition:
            return inputs, None
        if not isinstance(inputs, tuple | list) or len(inputs) != 2:
            inputs = inputs, None
        return inputs

    def given_of(self, split: Split) -> "np.ndarray | None":
        """Returns what the examples of a split are conditioned on, [N, ...]."""
        return self.condition.of(split)

    def call(
        self,
        x: tf.Tensor,
        training: "bool | None" = None,
        num_samples: "int | None" = None,
        seed: "int | None" = None,
    ) -> Pass:
        """Returns draws of the latents of `x` [B, ...], and the likelihood given the lowest."""
        x, given = self.unpack(x)
        given = self.condition.look(given, names=self.class_names)
        key = self.noise_key(training) if seed is None else self.caller_key(seed)
        draw = self.at(key, training=training)
        samples = num_samples or self.num_samples
        latents = draw.infer(x, samples, given, tapped=self.objective.taps)
        z = self.code([latent.value for latent in latents])
        return Pass(latents, draw.likelihood(z, given))

    def terms(
        self, x: Any, y: Any, outputs: Any, sample_weight: "tf.Tensor | None" = None
    ) -> "objectives.Terms":
        """Returns the `Terms` of the batch `x`."""
        del y
        x, given = self.unpack(x)
        return objectives.Terms(
            self.log_likelihood_of(outputs, tf.cast(x, tf.float32), given),
            outputs.latents,
            objectives.log_mass_of(outputs.latents),
            weights=self.weight_terms(),
            sample_weight=sample_weight,
        )

    def penalties(self, outputs: Any) -> "list[tf.Tensor]":
        """Returns what posteriors add to the loss, such as the commitment of codes."""
        latents = getattr(outputs, "latents", ())
        found = [getattr(each.posterior, "penalty", None) for each in latents]
        return [each for each in found if each is not None]

    def log_likelihood_of(self, outputs: Any, x: tf.Tensor, given: Any) -> tf.Tensor:
        """Returns log p(x|z) of a pass, [S, B]: a few draws at a time where they are many.

        The likelihood of the pass is then asked for nothing, and a graph leaves it out.

        Args:
            outputs: of `call`.
            x: what the rows of the pass are of, [B, ...].
            given: what they are conditioned on, or None.
        """
        z = self.code([latent.value for latent in outputs.latents])
        count = draws_at_once(self.decoder, z)
        if count is None:
            return outputs.likelihood.log_prob(x)
        return streamed(lambda some: self.decoded(some, given, False).log_prob(x), z, count)

    def measured(
        self, x: Any, y: Any, outputs: Any, terms: "objectives.Terms"
    ) -> "objectives.Terms":
        """Returns the terms with codes for relaxed draws, of which there is no bound."""
        hard = [
            getattr(latent.posterior, "hardened", lambda _: None)(latent.value)
            for latent in outputs.latents
        ]
        if all(each is None for each in hard):
            return terms
        x, given = self.unpack(x)
        latents = tuple(
            latent if value is None else latent.at(value)
            for latent, value in zip(outputs.latents, hard, strict=True)
        )
        likelihood = self.decoded(self.code([latent.value for latent in latents]), given, False)
        log_likelihood = likelihood.log_prob(tf.cast(x, tf.float32))
        return terms._replace(log_likelihood=log_likelihood, latents=latents)

    def profiled(
        self, x: Any, y: Any, outputs: Any, sample_weight: "tf.Tensor | None" = None
    ) -> Any:
        """Returns the pass with p(x|z) at the optimum of what its head has in closed form."""
        del y
        x, _ = self.unpack(x)
        return self._with_profile(outputs, x, sample_weight)

    def _with_profile(self, outputs, x, weight):
        return outputs._replace(likelihood=self.decoder.profiled(outputs.likelihood, x, weight))

    def update_metrics(self, terms: objectives.Terms, outputs: Any, y: Any = None) -> None:
        """Updates elbo, reconstruction, kl, active_units and, for discrete data, bits_per_dim."""
        super().update_metrics(terms, outputs)
        given = self._given_of_pass(y, outputs)
        condition = None if given is None else self.condition.encode(given)
        for latent, encoder, tracker in zip(
            outputs.latents, self.encoders, self.active_units_trackers, strict=True
        ):
            centre = encoder.centre(latent.posterior)
            tracker.update_state(centre if centre.shape.rank == 2 else centre[0], condition)
        for latent, encoder, trackers in zip(
            outputs.latents, self.encoders, self.code_trackers, strict=True
        ):
            for each in trackers:
                each.update_state(encoder.used(latent.posterior, latent.value))
        for latent, tracker in zip(terms.latents, self.kl_trackers, strict=False):
            tracker.update_state(terms.mean(latent.kl()), terms.sample_weight)
        if self.has_bits:
            dims = math.prod(self.decoder.event_shape)
            bits = -objectives.elbo(terms) / (dims * math.log(2.0))
            self.bits_per_dim_tracker.update_state(bits, terms.sample_weight)

    def _given_of_pass(self, y: Any, outputs: Any) -> Any:
        """Returns what the rows of `outputs` are conditioned on, or None."""
        del outputs
        return y if self.condition else None

    def predict_step(self, data: Any) -> tf.Tensor:
        """Returns the reconstruction of a batch, a tensor (see `reconstruct`)."""
        return self.reconstruct(*self.unpack(data[0] if isinstance(data, tuple | list) else data))

    def encode(self, x: Any, given: Any = None) -> tf.Tensor:
        """Returns the centre of q(z|x) of what the decoder sees, [B, ...] -> [B, D].

        That of the lowest latent, or of all side by side. The mean, or where a flow carries the
        centre of its base; latents above are at theirs, and Bayesian weights at their posterior
        means.

        Args:
            x: a `Split`, an array or a tensor [B, ...], with the scale of training on it.
            given: what a conditional model is conditioned on, [B, ...].

        Raises:
            ValueError: for what is no number, not finite, of another shape or another scale.
        """
        return self.at_mean().centre(*self._looked_at(x, given))

    def _looked_at(self, x, given):
        x = self.intake.examples(x)
        return x, self.condition.look(given, x.shape[0], self.class_names)

    def fit_posterior(
        self,
        x: "Split | np.ndarray",
        num_steps: int = 300,
        *,
        family: "str | None" = None,
        num_samples: int = 16,
        num_elbo_samples: int = 256,
        learning_rate: float = 0.1,
        seed: "int | None" = None,
        batch_size: int = 100,
        progress: "Callable[[int, int], None] | None" = None,
    ) -> tfd.Distribution:
        """Returns a posterior q(z) of its own for each example: batch shape [N], event shape [D].

        Variational inference without amortisation: loc and scale of each example start at those of
        the encoder and climb the ELBO by Adam with a cosine decay. What is returned for an example
        is what it started from where the ELBO, with the same noise for both, is no higher then:
        never worse than the encoder's q(z|x), if that is in the family. Few steps are what is
        called semi-amortised. The decoder stays as it is, Bayesian weights at their means.

        Args:
            x: a `Split` or an array [N, ...].
            num_steps: of Adam.
            family: "diagonal" for a `MultivariateNormalDiag`, "full" for a
                `MultivariateNormalTriL`; by default that of the encoder. A posterior that is no
                normal starts from its mean and deviations.
            num_samples: draws of z per step and example.
            num_elbo_samples: draws that start and end are compared by.
            learning_rate: of the first step, in units of the encoder's scales.
            seed: fixes the draws; the model's seed by default.
            batch_size: examples at a time.
            progress: called with (examples done, examples in all) after every batch.

        Raises:
            ValueError: for impossible numbers, several or discrete latents, a likelihood without a
                gradient by z, or if `x` does not fit the model.
        """
        if family is not None:
            check_choice("family", family, local.FAMILIES)
        options = local.Options(
            family, num_steps, num_samples, num_elbo_samples, learning_rate, batch_size
        )
        return local.distribution(local.fit(self, x, options, seed, progress))

    def encode_map(
        self,
        x: "Split | np.ndarray",
        num_steps: int = 300,
        *,
        learning_rate: float = 0.1,
        batch_size: int = 100,
        progress: "Callable[[int, int], None] | None" = None,
    ) -> np.ndarray:
        """Returns the z with the largest p(z|x) that is found of each example, float32 [N, D].

        Adam with a cosine decay climbs log p(x, z) from the centre of q(z|x); log p(x, z) is never
        lower than there. See `fit_posterior` for the arguments; nothing is random.

        Raises:
            ValueError: see `fit_posterior`.
        """
        options = local.Options(
            local.POINT, num_steps, learning_rate=learning_rate, batch_size=batch_size
        )
        return local.fit(self, x, options, None, progress).loc

    def reconstruct(self, x: Any, given: Any = None) -> tf.Tensor:
        """Returns E[x'|z] at the centre z of q(z|x) of each example, [B, ...] -> [B, ...].

        Bayesian weights are at their posterior means. Arguments and errors are those of `encode`.
        """
        draw, (x, given) = self.at_mean(), self._looked_at(x, given)
        return draw.likelihood(draw.centre(x, given), given).mean()

    def traverse(
        self,
        x: "Split | np.ndarray",
        example: int = 0,
        *,
        count: int = 9,
        percentiles: "tuple[float, float]" = (1.0, 99.0),
        most: int = 10,
    ) -> dict:
        """Returns means of p(x|z) where one dimension of an example's code moves at a time.

        Args:
            x: examples [N, ...] that say how far a dimension goes and how much it carries.
            example: which of them starts every row.
            count: points of a row, both ends among them.
            percentiles: of the centres of q(z|x) over `x`, where a row starts and ends.
            most: dimensions, those with the largest KL first.

        Returns:
            {"dimensions": [R], "kl": [R] nats, the mean over `x`, "z": [R, count, D], "mean": [R,
            count, ...]}.

        Raises:
            ValueError: for impossible numbers, or examples that do not fit the model.
        """
        return walks.traverse(self, self.as_split(x), example, count, percentiles, most)

    def interpolate(
        self,
        first: Any,
        second: Any,
        count: int = 10,
        given: Any = None,
        *,
        path: str = "lerp",
    ) -> np.ndarray:
        """Returns means of p(x|z) on the way between two encodings, float32 [count, B, ...].

        Args:
            first: examples [B, ...] that the line starts at, reconstructed.
            second: as many examples that it ends at.
            count: points on the line, both ends among them.
            given: what a conditional model is conditioned on, [B, ...].
            path: "lerp", the line, or "slerp", the great circle, on which codes that are as far
                from 0 as draws of a normal in many dimensions stay so.

        Raises:
            ValueError: if the examples do not fit the model or each other.
        """
        count, way = check_count("count", count, 2), check_choice("path", path, walks.PATHS)
        ends = []
        for x in (first, second):
            split = x if isinstance(x, Split) else self.intake.array(x)
            ends.append(self.encode(tf.constant(split.values()), given))
        if ends[0].shape != ends[1].shape:
            raise ValueError(
                "Lines go from an example to another one. Expected as many examples at both ends. "
                f"Received {len(ends[0])} and {len(ends[1])}."
            )
        draw, given = self.at_mean(), self.condition.look(given, names=self.class_names)
        walk = walks.slerp if way == "slerp" else walks.lerp
        line = walk(ends[0].numpy(), ends[1].numpy(), np.linspace(0.0, 1.0, count))
        line = tf.constant(line, tf.float32)
        return np.stack([draw.likelihood(z, given).mean().numpy() for z in line])

    def generate(
        self,
        count: int,
        seed: "int | None" = None,
        given: Any = None,
        progress: "Callable[[int, int], None] | None" = None,
    ) -> dict:
        """Returns new examples: z from the prior, the mean of p(x|z) and a draw from it.

        Args:
            count: how many.
            seed: fixes the draws; the model's seed by default.
            given: what a conditional model is conditioned on, [count, ...]; classes take turns
                without it.
            progress: called with (steps done, steps in all) where codes or pixels are drawn one
                after the other.

        Returns:
            {"z": [count, D], "mean": [count, ...], "sample": [count, ...]}, with "given" where
            there is a condition, and {name: [count, D]} as "z" where there are several latents.
        """
        count = check_count("count", count)
        if self.condition:
            given = self.condition.default(count) if given is None else given
            if given is not None:
                given = np.asarray(self.condition.look(given, names=self.class_names))
            if given is None or len(given) != count:
                raise ValueError(
                    f"Each new example has a condition. Expected {count} of them as `given`. "
                    f"Received {'none' if given is None else len(given)}."
                )
        with showing(progress):
            return self._generated(count, self.caller_key(seed), given)

    def _generated(self, count, key, given):
        latents = self.at(key).sample(count, given)
        parts, rows = [], self.rows_at_once
        for start in range(0, count, rows):
            here = slice(start, start + rows)
            draw = self.at(fold_in(key, 2, start))
            z = self.code([each[here] for each in latents])
            likelihood = draw.likelihood(z, None if given is None else given[here])
            drawn = likelihood.sample(seed=fold_in(key, 1, start))
            parts.append((likelihood.mean().numpy(), drawn.numpy()))
        mean, sample = (np.concatenate(part) for part in zip(*parts, strict=True))
        z = {latent.name: z.numpy() for latent, z in zip(self.latents, latents, strict=True)}
        found = {"z": z if len(z) > 1 else latents[-1].numpy(), "mean": mean, "sample": sample}
        return found if given is None else {**found, "given": given}

    # Another prior.

    def with_prior(
        self,
        prior: "Prior | str",
        x: "Split | np.ndarray",
        *,
        components: int = 10,
        num_samples: "int | None" = None,
        seed: "int | None" = None,
    ) -> "VAE":
        """Returns a copy of the model with a prior that is fitted to draws of q(z|x), in seconds.

        All else stays, so that the ELBO changes by `prior_gain` and nothing else. The new model
        generates, is saved and exported as any other; of several latents it is the top prior.
        Whether more components are too many is told by `prior_gain` of validation data.

        Args:
            prior: untrained, such as `priors.Flow(D)`; or a name: "mixture", "flow", or
                "aggregated" for the mixture of q(z|x) of all of `x`, which is fitted to nothing.
            x: training data, a `Split` or an array [N, ...].
            components: K of a prior that is named and has some.
            num_samples: draws of each example; by default as many as make 20,000.
            seed: of the draws and the fit; the model's seed by default.

        Raises:
            ValueError: if the prior has nothing to fit, needs more than z, or has no density where
                q(z|x) has draws.
        """
        split, key = self.as_split(x, "training").frozen(), self.caller_key(seed)
        seed = self.seed if seed is None else seed
        found = ex_post.fitted_prior(self, prior, split, components, num_samples, seed, key)
        return ex_post.replaced(self, found)

    def check_prior(
        self, prior: "Prior | str", x: "Split | np.ndarray", *, components: int = 10
    ) -> None:
        """Raises the `ValueError` that `with_prior` would raise, before the model is trained.

        Arguments are those of `with_prior`.
        """
        split = self.as_split(x, "training").frozen()
        found = ex_post.untrained(self, prior, split, check_count("components", components))
        if found is not None:
            found.check_fit(ex_post.draws_per_example(self, split) * len(split))

    def prior_gain(
        self,
        other: "VAE",
        x: "Split | np.ndarray",
        num_samples: int = 64,
        seed: "int | None" = None,
    ) -> np.ndarray:
        """Returns E_q[log p(z) - log p_other(z)] of each example, float32 [N], nats.

        By so much the ELBO is above that of a model that differs in the top prior alone.

        Args:
            other: the model that `with_prior` was asked of.
            x: a `Split` or an array [N, ...].
            num_samples: S, draws of q(z|x).
            seed: of the draws; the model's seed by default.
        """
        count, split = check_count("num_samples", num_samples), self.as_split(x).frozen()
        return ex_post.gain(self, other, split, count, self.caller_key(seed))

    def elbo(self, x: "Split | np.ndarray", num_samples: int = 64, **kwargs: Any) -> np.ndarray:
        """Returns the evidence lower bound of each example, [N], nats; see `bounds`."""
        return self.bounds(x, num_samples, **kwargs).elbo

    def log_evidence(
        self,
        x: "Split | np.ndarray",
        num_samples: int = 1000,
        proposal: str = "auto",
        **kwargs: Any,
    ) -> np.ndarray:
        """Returns importance-sampled log p(x) of each example, [N], nats; see `bounds`.

        A lower bound: in expectation at most log p(x).

        Warns:
            UserWarning: if effective sample size, tail of the weights or the comparison of two
                proposals say that the figure is too low.
        """
        bounds = self.bounds(x, num_samples, proposal=proposal, **kwargs)
        bounds.warn_of_bias(num_samples)
        return bounds.log_evidence

    def bounds(
        self,
        x: "Split | np.ndarray",
        num_samples: int,
        *,
        proposal: str = "encoder",
        seed: "int | None" = None,
        batch_size: "int | None" = None,
        progress: "Callable[[int, int], None] | None" = None,
    ) -> Bounds:
        """Returns lower bounds on log p(x) from `num_samples` draws of latents per example.

        L_S = log 1/S sum_s p(x, z_s) / r(z_s) with r = q(z|x) (Burda et al., 2016, eq. 8): its
        expectation is at most log p(x) and grows with S. Samples stream through in chunks with a
        running logsumexp: memory does not grow with S.

        Where q(z|x) misses a part of p(z|x), as beside a decoder with small scales, L_S is too low
        and nothing in its weights says so. The refined proposal is a mixture of q(z|x), Student's t
        around modes of p(z|x) that a search finds for each example, and p(z).

        Bayesian weights are drawn once per 16 samples, the same for all examples; `elbo` then has
        their KL / N, and `log_evidence` is that of the posterior predictive distribution. The
        refined proposal is made with the weights at their means.

        Args:
            x: a `Split` or an array [N, ...] of values as the model sees them.
            num_samples: S.
            proposal: of `log_evidence`: "encoder", q(z|x); "refined", the mixture; "auto", the
                encoder's unless 512 samples of 32 examples say that the mixture finds more. Not
                compared are fewer samples than these, and more than 64 latent dimensions.
            seed: fixes the draws; the model's seed by default.
            batch_size: examples at a time; by default as many as fit the cache, at most 100. Fewer,
                with a warning, where memory runs out.
            progress: called with (examples done, examples in all) after every batch.

        Raises:
            ValueError: if S < 1, there is no such proposal or `x` does not fit the model.
        """
        num_samples = check_count("num_samples", num_samples)
        check_choice("proposal", proposal, PROPOSALS)
        if batch_size is not None:
            batch_size = check_count("batch_size", batch_size)
        if proposal == "refined":
            check_spans_space(self, 'proposal="refined"; "encoder" is one for all')
        split = self.as_split(x).frozen()
        found = self._bounds(split, num_samples, proposal, seed, batch_size, progress)
        if split.observed is None:
            return found
        # Of nothing log p is 0, whatever the encoder makes of it.
        nothing = ~split.observed.reshape(len(split), -1).any(axis=1)
        return found._replace(
            elbo=np.where(nothing, np.float32(0), found.elbo),
            log_evidence=np.where(nothing, np.float32(0), found.log_evidence),
        )

    def _bounds(self, split, num_samples, proposal, seed, batch_size, progress):
        key = self.caller_key(seed)
        bounds = self._encoder_bounds(split, num_samples, batch_size, key, progress)
        if proposal == "encoder" or (proposal == "auto" and not self._can_compare(num_samples)):
            return bounds
        gap = None
        if proposal == "auto":
            gap, agree = self._compare(split, bounds, key)
            if agree:
                return bounds._replace(gap=gap)
        found = self._refined(split, num_samples, key, batch_size, progress)
        log_evidence, sizes, tails = found
        return Bounds(bounds.elbo, log_evidence, sizes, tails, "refined", gap)

    def _encoder_bounds(self, split, num_samples, batch_size, key, progress):
        given = self.given_of(split)
        batch_size, chunk = self.batch_and_chunk(batch_size or 100, len(split), num_samples)
        function = compiled(self, "bounds", None, lambda: self.bounds_of_batch)

        def run(start, index):
            return function(
                tf.constant(split.values(index)),
                None if given is None else tf.constant(given[index]),
                tf.constant(num_samples, tf.int32),
                chunk,
                fold_in(key, start),
                key,
            )

        return Bounds(*_joined(in_batches(split, batch_size, run, progress)))

    def _refined(self, split, num_samples, key, batch_size=None, progress=None, jit=None):
        """Returns log p(x), effective sample sizes and tail indices by the refined proposal."""
        given, size = self.given_of(split), sum(latent.latent_dim for latent in self.latents)
        most = max(1, self.rows_at_once // rows_of_search(size))
        batch_size = min(batch_size or _COMPARED, _COMPARED, most)
        batch_size, chunk = self.batch_and_chunk(batch_size, len(split), num_samples)
        # The search is a few steps on whole matrices, which XLA is slower at on a CPU.
        search = compiled(self, "modes", None, lambda: self._find_modes, jit=False)
        function = compiled(self, "refined", jit, lambda: self._refined_of_batch, jit=jit)

        def run(start, index):
            x = tf.constant(split.values(index))
            condition = None if given is None else tf.constant(given[index])
            here = fold_in(key, start, 1)
            modes = search(x, condition, fold_in(here, 0))
            count = tf.constant(num_samples, tf.int32)
            return function(x, condition, modes, count, chunk, fold_in(here, 1), key)

        return _joined(in_batches(split, batch_size, run, progress))

    def _can_compare(self, num_samples: int) -> bool:
        # Below so many samples, and above so many dimensions, it costs more than the estimate.
        size = sum(latent.latent_dim for latent in self.latents)
        is_worth_it = num_samples >= _COMPARED_SAMPLES and size <= _MAX_COMPARED_DIM
        return is_worth_it and spans_space(self)

    def _compare(self, split: Split, bounds: Bounds, key: tf.Tensor) -> "tuple[float, bool]":
        """Returns by how much a refined proposal finds more, nats, and whether both agree."""
        index = np.unique(np.linspace(0, len(split) - 1, _COMPARED).astype(int))
        some = split.select(index, split.name)
        # Not under XLA, which would compile for longer than the comparison takes.
        evidence, size, _ = self._refined(some, _COMPARED_SAMPLES, key, jit=False)
        gaps = evidence - bounds.log_evidence[index]
        variance = 1 / size + 1 / bounds.effective_sample_size[index]
        error = np.sqrt(variance.sum()) / len(index)
        gap = float(gaps.mean())
        rare = np.any(gaps > MAX_BIAS + 5 * np.sqrt(variance))
        return gap, not (gap > MAX_BIAS + 2 * error or rare)

    def batch_and_chunk(self, batch_size: int, count: int, num_samples: int) -> "tuple[int, int]":
        """Returns how many examples, and how many latents of each, are worked on at a time.

        Under Bayesian weights so many latents share a draw of them, whatever the batch size.
        """
        batch_size = min(batch_size, self.rows_at_once, count)
        if self.encoders[0].enumerates:
            codes = self.encoders[0].book.count ** self.encoders[0].places
            return max(1, min(batch_size, self.rows_at_once // codes)), 1
        if self.random_layers():
            return max(1, min(batch_size, self.rows_at_once // _SAMPLES_OF_WEIGHTS)), min(
                num_samples, _SAMPLES_OF_WEIGHTS
            )
        rows = self.rows_at_once
        if not tf.config.list_physical_devices("GPU"):  # which wants as many as there is room for
            rows = min(rows, _IN_CACHE // self.decoder.output_size)
        return batch_size, min(num_samples, max(1, rows // batch_size))

    @property
    def rows_at_once(self) -> int:
        """How many latents are decoded at a time at most, which keeps the memory flat."""
        return max(1, min(_ROWS, _PARAMETERS // self.decoder.output_size))

    def bounds_of_batch(
        self,
        x: tf.Tensor,
        given: Any,
        num_samples: tf.Tensor,
        chunk: int,
        key: tf.Tensor,
        weights_key: "tf.Tensor | None" = None,
    ) -> BatchBounds:
        """Returns what `bounds` returns, as tensors [B], in a graph of its own or of another.

        Args:
            x: a batch [B, ...].
            given: what a conditional model is conditioned on, [B, ...], or None.
            num_samples: S, an int32 scalar.
            chunk: samples at a time, which bounds the memory.
            key: stateless seed of the draws of latents, int32 [2].
            weights_key: of those of Bayesian weights, one per chunk; `key` by default.
        """
        weights_key = key if weights_key is None else weights_key
        whole = self.at(weights_key, SHARED)
        if self.encoders[0].enumerates:
            return self._summed_bounds(whole, x, given, num_samples)
        with whole:
            kl_of_weights = self.weight_terms().per_example()
        # The top posterior is the same for all chunks, unless its weights are drawn with each.
        top = None if self.random_layers() else whole.posterior(x, given)

        def add_chunk(i, expected, weights):
            draw = self.at(fold_in(weights_key, i), SHARED)
            latents = draw.infer(x, chunk, given, top, fold_in(key, i))
            z = self.code([latent.value for latent in latents])
            likelihood = draw.likelihood(z, given)
            terms = objectives.Terms(likelihood.log_prob(x), latents)
            weights, _, _ = weights.add(terms.log_weights(), i * chunk, num_samples)
            bound = terms.log_likelihood
            for latent in latents:
                bound -= latent.kl()
            # The last chunk may be more than is asked for.
            counts = (i * chunk + tf.range(chunk) < num_samples)[:, tf.newaxis]
            expected += tf.reduce_sum(tf.where(counts, bound, 0.0), axis=0)
            return i + 1, expected, weights

        state = (tf.constant(0), tf.zeros(tf.shape(x)[:1]), Weights.none(tf.shape(x)[0]))
        num_chunks = (num_samples + chunk - 1) // chunk
        _, expected, weights = tf.while_loop(lambda i, *_: i < num_chunks, add_chunk, state)
        return BatchBounds(
            expected / tf.cast(num_samples, tf.float32) - kl_of_weights,
            weights.log_mean(num_samples),
            weights.effective_sample_size(),
            weights.tail_index(num_samples),
        )

    def _summed_bounds(self, draw, x, given, num_samples):
        """Returns bounds by a sum over all codes: the second is log p(x) itself."""
        latents = draw.infer(x, 1, given)
        log_prob = draw.likelihood(latents[-1].value, given).log_prob(x)
        with draw:
            weights = self.weight_terms()
        terms = objectives.Terms(log_prob, latents, objectives.log_mass_of(latents), weights)
        log_evidence = objectives.IWAE().local(terms.log_weights(), terms.log_shares())
        size = tf.ones_like(log_evidence) * tf.cast(num_samples, tf.float32)
        unknown = tf.fill(tf.shape(size), math.nan)
        return BatchBounds(objectives.elbo(terms), log_evidence, size, unknown)

    def _find_modes(self, x: tf.Tensor, given: Any, key: tf.Tensor) -> Modes:
        return find_modes(Joint(self.at(key, MEAN), x, given), key)

    def _refined_of_batch(self, x, given, modes, num_samples, chunk, key, weights_key):
        proposal = refined_proposal(Joint(self.at(key, MEAN), x, given), modes)
        weights = self.weights_of_batch(x, given, proposal, num_samples, chunk, key, weights_key)
        return (
            weights.log_mean(num_samples),
            weights.effective_sample_size(),
            weights.tail_index(num_samples),
        )

    def weights_of_batch(
        self,
        x: tf.Tensor,
        given: Any,
        proposal: Proposal,
        num_samples: tf.Tensor,
        chunk: int,
        key: tf.Tensor,
        weights_key: tf.Tensor,
    ) -> Weights:
        """Returns the importance weights of S draws of a proposal; see `bounds_of_batch`."""

        def add_chunk(i, weights):
            joint = Joint(self.at(fold_in(weights_key, i), SHARED), x, given)
            z = proposal.sample(chunk, fold_in(key, i))
            log_w = joint.log_prob(z) - proposal.log_prob(z)
            weights, _, _ = weights.add(log_w, i * chunk, num_samples)
            return i + 1, weights

        num_chunks = (num_samples + chunk - 1) // chunk
        state = (tf.constant(0), Weights.none(tf.shape(x)[0]))
        return tf.while_loop(lambda i, _: i < num_chunks, add_chunk, state)[1]

    # Data in.

    def check_training(self, split: Split, batch_size: int) -> None:
        """Raises `ValueError` if `fit` would fail on `split`; see `VariationalModel`."""
        for encoder in self.encoders:
            encoder.check_batch(min(batch_size, len(split)))
        super().check_training(split, batch_size)

    def take_units(self, split: Split, anew: bool = True) -> None:
        """Takes the units of real examples and, with classes, their frequencies.

        One example more of each class is counted than there are.
        """
        if split.kind is Kind.REAL:
            if anew or not units.are_taken(self.decoder.non_trainable_variables):
                self.decoder.adapt(split.by_columns())
        beside, above = self.condition.size, 0
        networks = [] if self.bottom_up is None else [(self.bottom_up, beside)]
        for latent in self.latents:
            networks.append((latent.encoder.network, beside + above * latent.encoder.sees_above))
            above += latent.latent_dim
        for network, size in networks:
            if found := units.standardizers(network):
                # What stands beside the example has units of its own.
                others = [tf.zeros([len(split), size])] * bool(size)
                if not others and isinstance(split.by_columns(), Stream):
                    units.adapt(found, split.by_columns(), anew)
                    continue
                joined = join(split.values(), others, self.decoder.event_shape, self.join)
                units.adapt(found, joined.numpy(), anew)
        if self.num_classes is not None and (anew or not self._knows_classes()):
            known = split.labels[split.labels >= 0]
            counts = np.bincount(known, minlength=self.num_classes) + 1.0
            self.log_class_prior.assign(np.log(counts / counts.sum()))

    def start_parts(self, split: Split) -> None:
        """Starts priors at the data, such as pseudo-inputs, once."""
        for prior in self.priors:
            if prior.waits_for_data:
                prior.adapt(split, self.seed)

    def _knows_classes(self):
        return bool(np.ptp(np.asarray(self.log_class_prior)))

    def holders(self) -> list[keras.Layer]:
        """Returns the layers that standardize, and the decoder if its likelihood has units."""
        networks = [each.network for each in self.encoders]
        networks += [] if self.bottom_up is None else [self.bottom_up]
        found = [x for each in networks for x in units.standardizers(each)]
        return [*found, *[self.decoder] * self.decoder.has_units]

    def waiting(self, kind: "Kind | None" = None) -> list[str]:
        """Returns the names of what has no units yet; images in [0, 1] give none to a decoder."""
        names = super().waiting(kind)
        return [name for name in names if kind is Kind.REAL or name != self.decoder.name]

    def shape_of_examples(self) -> tuple[int, ...]:
        """Returns the shape of an example."""
        return self.decoder.event_shape

    def schema_of_examples(self) -> "Schema | None":
        """Returns the schema of the decoder, if it is one of mixed columns."""
        return self.decoder.schema

    def check_split(self, split: Split) -> None:
        """Raises `ValueError` if shape, kind or condition of the data do not fit the model."""
        if split.shape != self.decoder.event_shape:
            raise ValueError(
                f"The {split.name} examples have a wrong shape. Expected "
                f"{self.decoder.event_shape}, the decoder's event shape. Received {split.shape}."
            )
        check_schema(split, self.decoder.schema)
        self.decoder.check_kind(split.kind)
        self.condition.check(split, self.least_label)

    def candidate_kinds(self) -> list[Kind]:
        """Returns the kinds of the decoder, those that restrict the values most first."""
        order = ("static", "eight_bit", "unit_interval", "real")
        return [kind for name in order for kind in self.decoder.kinds if kind == name]

    def _beside(self, y):
        return self.condition.beside(y)

    def to_keras(self, x: Any, y: Any) -> tuple:
        """Returns inputs and targets with the condition among the inputs."""
        if not self.condition:
            return x, y
        if isinstance(x, tf.data.Dataset):
            return x.map(lambda x, y, *weight: ((x, y), y, *weight)), y
        if y is None:
            raise ValueError(
                f"{type(self).__name__} has a condition for every example. Expected a Split, "
                f"arrays (x, y) or a tf.data.Dataset of them. Received {type(x).__name__}."
            )
        return (x, y), y

    def prediction_dataset(self, split: Split, batch_size: int) -> tf.data.Dataset:
        """Returns the inputs of `call` for a split, in order."""
        if not self.condition:
            return super().prediction_dataset(split, batch_size)
        return split.dataset(batch_size, with_y=True).map(lambda x, y: ((x, y),))

    # Generative classification.

    def class_log_evidence(
        self,
        x: "Split | np.ndarray",
        num_samples: int = 100,
        *,
        proposal: str = "encoder",
        seed: "int | None" = None,
        batch_size: "int | None" = None,
        progress: "Callable[[int, int], None] | None" = None,
    ) -> np.ndarray:
        """Returns importance-sampled log p(x|y) of each example under every class, [N, K], nats.

        One class after the other streams through `bounds` with the same noise, so that memory
        grows neither with K nor with S and what is common to the classes cancels.

        Each column is a lower bound; `proposal` is as in `bounds`.

        Raises:
            ValueError: if the condition is not a class, or `x` does not fit the model.
        """
        if self.num_classes is None:
            raise ValueError(
                "There are no classes to tell apart. Expected a model with num_classes. Received "
                f"one with a condition of size {self.condition.size}."
            )
        if not isinstance(x, Split):
            x = self.intake.array(x)
        columns = []
        for label in range(self.num_classes):
            supposed = x.relabelled(np.full(len(x), label))
            bounds = self.bounds(
                supposed, num_samples, proposal=proposal, seed=seed, batch_size=batch_size
            )
            columns.append(bounds.log_evidence)
            if progress is not None:
                progress(label + 1, self.num_classes)
        return np.stack(columns, axis=1)

    def predictive(
        self, x: "Split | np.ndarray", num_samples: int = 100, **kwargs: Any
    ) -> Predictive:
        """Returns p(y|x), which is proportional to p(x|y) p(y), of each example: batch shape [N].

        Args:
            x: a `Split` or an array [N, ...]; labels that it has are not looked at.
            num_samples: S importance samples per class.
            **kwargs: see `class_log_evidence`.
        """
        log_joint = self.class_log_evidence(x, num_samples, **kwargs)
        log_joint += self.log_class_prior.numpy()
        found = Predictive.of(tfd.Categorical(logits=log_joint[:, np.newaxis, :]))
        found.conformal = self.conformal
        return found

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = {
            **super().get_config(),
            "num_samples": self.num_samples,
            "join": self.join,
            "decoder_sees_condition": self.decoder_sees_condition,
            "decoder_sees_above": self.decoder_sees_above,
        }
        if [latent.name for latent in self.latents] == [_ONLY]:
            config |= {part: config["latents"][0]["config"][part] for part in _SHORT}
            del config["latents"]
        return config

    @classmethod
    def _parts_in(cls, config: dict) -> "tuple[str, ...]":
        if "latents" in config:
            return cls.parts
        return (*(part for part in cls.parts if part != "latents"), *_SHORT)
