"""What the answers of models with latents (VAE, ConditionalVAE, M2) are made of.

    z, log q(z|x) = from_noise(q(z|x), noise)           # noise [S, B, ...], an input
    elbo = mean_S (log p(x|z)) - KL(q(z|x) || p(z))
    log_evidence = log mean_S p(x|z) p(z) / q(z|x)

Bayesian weights, which a network may have, are at their posterior means where the answer is a mean
and drawn where it is a bound; the latter needs a runtime that can draw.
"""

import functools

import numpy as np
import tensorflow as tf

from tfp_vae import objectives
from tfp_vae.data import Kind
from tfp_vae.distributions import draws
from tfp_vae.export.signatures import likelihoods
from tfp_vae.export.signatures.answers import Answer, Subject, reason_against
from tfp_vae.export.signatures.base import Value, noise_values
from tfp_vae.export.signatures.conditions import values_of
from tfp_vae.models import VAE

_RANGES = {
    Kind.REAL: "real numbers",
    Kind.UNIT_INTERVAL: "in [0, 1]",
    Kind.EIGHT_BIT: "on the grid 0, 1/255, ..., 1",
}
_WEIGHTS = "its weights are drawn for each request, and this format draws nothing"


class Latents(Subject):
    """A model with latents, top first.

    Attributes:
        random_weights: whether there are weights, or masks of dropout, to be drawn.
        x: the input of an example.
        given: that of its condition, one or none.
        zs: the latents.
        seen: those that the decoder sees: the last, or all.
        mean: the output E[x|z].
    """

    def __init__(self, model: VAE, num_samples: int):
        self.model, self.num_samples = model, num_samples
        self.random_weights = bool(model.random_layers())
        values = _RANGES.get(model.data_kind, "0 or 1")
        gaps = model.decoder.takes_missing
        values += ", NaN where a cell is missing" * gaps
        shape = ("B", *model.decoder.event_shape)
        self.x = Value("x", shape, f"example, {values}", gaps=gaps)
        self.given = values_of(model.condition)
        self.zs = tuple(
            Value(self.named("z", latent), ("B", latent.latent_dim), "latent")
            for latent in model.latents
        )
        self.seen = self.zs if model.decoder_sees_above else self.zs[-1:]
        self.mean = Value("mean", self.x.shape, "E[x|z], in the units of the data")

    def named(self, what: str, latent) -> str:
        """Returns the name of something of a latent: `loc`, or `loc_z1` where there are several."""
        if len(self.model.latents) == 1:
            return what
        return latent.name if what == "z" else f"{what}_{latent.name}"

    @classmethod
    def of(cls, predictor, num_samples):
        """Returns the subject of a model with latents."""
        return cls(predictor, num_samples) if isinstance(predictor, VAE) else None

    # What the model says of one example of zeros: by that is known what it can say at all.

    @functools.cached_property
    def _example(self):
        values = [tf.zeros([1, *value.shape[1:]], value.dtype) for value in (self.x, *self.given)]
        return values[0], (values[1] if self.given else None)

    def _above(self, level):
        return tuple(tf.zeros([1, *value.shape[1:]]) for value in self.zs[:level])

    @functools.cached_property
    def posteriors(self) -> list:
        """q(z|x) of one example, of each latent."""
        draw = self.model.at_mean()
        return [draw.posterior(*self._example, self._above(i)) for i in range(len(self.zs))]

    @functools.cached_property
    def priors(self) -> list:
        """p(z) of one example, of each latent."""
        draw = self.model.at_mean()
        return [draw.prior(self._example[1], self._above(i)) for i in range(len(self.zs))]

    def check_centre(self) -> str | None:
        """Returns why q(z|x) has no centre, or None."""
        return reason_against(lambda: self.centres(*self._example))

    def check_mean(self) -> str | None:
        """Returns why p(x|z) has no mean, or None."""
        z = tf.zeros([1, self.model.code_size])
        return reason_against(lambda: self.decoded(z, self._example[1]))

    def check_portable(self, distributions, what: str) -> str:
        """Returns why answers with draws of distributions are not functions of noise, or ""."""
        if self.random_weights:
            return _WEIGHTS
        reasons = (reason_against(lambda d=d: draws.noise_of(d)) for d in distributions)
        reason = next(filter(None, reasons), None)
        return f"draws of {what} are not functions of noise: {reason}" if reason else ""

    def noise(self, distributions, *sizes: str) -> "tuple[tuple[Value, ...], ...]":
        """Returns the inputs that draws of each latent need; none where they are not functions."""
        found = []
        for latent, each in zip(self.model.latents, distributions, strict=True):
            of = latent.name if len(self.zs) > 1 else ""
            noise = draws.noise_of(each) if draws.is_keyed(each) else ()
            found.append(noise_values(noise, sizes, of))
        return tuple(found)

    # Pure functions of their inputs, with weights at their means.

    def decoded(self, z, given=None) -> tf.Tensor:
        """Returns E[x|z], [B, ...]."""
        return self.mean_of(self.model.at_mean(), z, given)

    def mean_of(self, draw, z, given=None) -> tf.Tensor:
        """Returns E[x|z] under a draw of the weights, [B, ...]."""
        return likelihoods.mean(draw.likelihood(z, given))

    def centres(self, x, given=None) -> "tuple[list, tuple[tf.Tensor, ...]]":
        """Returns the posteriors q(z|x), those above at their centres, and the centres, [B, D]."""
        draw, posteriors, above = self.model.at_mean(), [], ()
        features = draw.features(x, given)
        for latent in self.model.latents:
            posteriors.append(draw.posterior(x, given, above, features))
            above = (*above, latent.encoder.centre(posteriors[-1]))
        return posteriors, above

    def sampled(self, noise, given=None) -> "tuple[tf.Tensor, ...]":
        """Returns latents from the prior, [B, D] each, made of noise of each."""
        draw, above = self.model.at_mean(), ()
        for each in noise:
            above = (*above, draws.from_noise(draw.prior(given, above), *each)[0])
        return above

    def terms(self, x, noise, given=None) -> objectives.Terms:
        """Returns what bounds are made of, at draws made of noise of each latent."""
        draw, latents, above = self.model.at_mean(), [], ()
        features = draw.features(x, given)
        for latent, each in zip(self.model.latents, noise, strict=True):
            posterior = draw.posterior(x, given, above, features)
            prior = draw.prior(given, above)
            z, log_q = draws.from_noise(posterior, *each)
            latents.append(objectives.Latent(latent.name, z, posterior, prior, log_q))
            above = (*above, z)
        log_likelihood = self._log_likelihood(draw, x, self.model.code(above), given)
        return objectives.Terms(log_likelihood, tuple(latents))

    def _log_likelihood(self, draw, x, z, given):
        """Returns log p(x|z), [S, B].

        Sample axes are joined with the batch before the network, which every runtime can do, where
        reshaping with two free axes breaks the optimiser of the ONNX converter.
        """
        samples, batch = tf.shape(z)[0], tf.shape(x)[0]
        rows = tf.reshape(z, [-1, z.shape[-1]])
        given = None if given is None else _repeat(given, samples)
        log_prob = likelihoods.log_prob(draw.likelihood(rows, given), _repeat(x, samples))
        return tf.reshape(log_prob, [-1, batch])

    def draw_bounds(self, key, x, given=None):
        """Returns the model's own `Bounds` of S draws, in chunks that bound the memory."""
        count = tf.constant(self.num_samples, tf.int32)
        chunk = tf.clip_by_value(self.model.rows_at_once // tf.shape(x)[0], 1, count)
        return self.model.bounds_of_batch(x, given, count, chunk, key)

    def split_inputs(self, inputs: dict, noise: "tuple[tuple[Value, ...], ...]"):
        """Returns (condition or None, noise of each latent) of the inputs of a signature."""
        given = next((inputs[value.name] for value in self.given), None)
        return given, [[inputs[value.name] for value in each] for each in noise]

    def recorded(self, split, index):
        """Returns examples, their conditions, and latents: their centres, or else draws of p(z)."""
        x = split.values(index).astype(np.float32)
        known, given = {"x": x}, None
        for value in self.given:
            given = self.model.condition.of(split)[index].astype(value.dtype)
            if value.limit is not None:
                given = np.maximum(given, 0)  # -1 is not a class
            known[value.name] = given
        if self.check_centre() is None:
            latents = self.centres(tf.constant(x), given)[1]
        else:
            latents = self.model.at_mean().sample(len(index), given)
        values = {z.name: each.numpy() for z, each in zip(self.zs, latents, strict=True)}
        return known | {z.name: values[z.name] for z in self.seen}


class LatentAnswer(Answer):
    """An answer of a model with latents."""

    asks = Latents
    subject: Latents


def _repeat(values, count):
    """Returns `values` [B, ...] so many times one after the other, [count B, ...]."""
    return tf.tile(values, tf.stack([count, *[1] * (values.shape.rank - 1)]))
