"""The variational autoencoder (Kingma & Welling, 2014; Rezende et al., 2014)."""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfp_vae import objectives
from tfp_vae.arguments import is_count
from tfp_vae.data import Split
from tfp_vae.distributions.base import ConditionalDistribution, registered, tfd
from tfp_vae.distributions.draws import draw
from tfp_vae.distributions.priors import ConditionalPrior, Prior
from tfp_vae.layers.noise import MEAN, SHARED
from tfp_vae.models.memory import in_batches
from tfp_vae.models.metrics import ActiveUnits
from tfp_vae.models.variational import VariationalModel
from tfp_vae.randomness import fold_in

# Rows that are decoded at a time: at most so many, and so many parameters of the likelihood.
_ROWS = 2048
_PARAMETERS = 2**22
MAX_BIAS = 0.05  # nats of log p(x)


class Pass(NamedTuple):
    """What a VAE returns when called: the two distributions and the draw between them."""

    posterior: tfd.Distribution  # q(z|x): batch [B], event [D]
    z: tf.Tensor  # [S, B, D]
    likelihood: tfd.Distribution  # p(x|z): batch [S, B], event shape of the data


class Bounds(NamedTuple):
    """Bounds on log p(x) of each example, float32 [N], in nats.

    Attributes:
        elbo: the evidence lower bound.
        log_likelihood: importance-sampled log p(x), the bound L_S.
        effective_sample_size: (sum w)^2 / sum w^2 of the S importance weights, in [1, S].
    """

    elbo: np.ndarray
    log_likelihood: np.ndarray
    effective_sample_size: np.ndarray

    def warn_of_bias(self, num_samples: int) -> None:
        """Warns if `log_likelihood` seems too low by more than `MAX_BIAS` nats."""
        warn_of_bias(self.effective_sample_size, num_samples, stacklevel=4)


def warn_of_bias(size: np.ndarray, num_samples: int, stacklevel: int = 3) -> None:
    """Warns if importance-sampled log p(x) seems too low by more than `MAX_BIAS` nats.

    The log of a mean of S weights is too low by about 1/(2 ESS) - 1/(2 S) nats, by its Taylor
    series to second order; of one weight nothing can be told.

    Args:
        size: effective sample sizes [N].
        num_samples: S.
        stacklevel: whose line the warning names.
    """
    bias = float(np.mean(1 / (2 * size) - 1 / (2 * num_samples)))
    if num_samples > 1 and bias <= MAX_BIAS:
        return
    amount = f"{bias:.2g} nats or more" if num_samples > 1 else "an unknown amount"
    warnings.warn(
        f"The effective sample size is low (median {np.median(size):.1f} of S={num_samples}): "
        f"log p(x) is underestimated by {amount}. Use more samples.",
        UserWarning,
        stacklevel=stacklevel,
    )


@registered
class VAE(VariationalModel):
    """p(z) p(x|z) with the approximate posterior q(z|x).

    Args:
        prior: p(z), from `tfp_vae.priors`.
        encoder: q(z|x), from `tfp_vae.encoders`.
        decoder: p(x|z), from `tfp_vae.decoders`.
        objective: see `tfp_vae.objectives`; the ELBO by default.
        num_samples: S, draws of z per example in training and evaluation.
        seed: see `VariationalModel`.
        data_kind: see `VariationalModel`.
        num_data: see `VariationalModel`; for Bayesian layers in the networks.

    Example:
        >>> data = tv.data.load("digits")
        >>> vae = tv.VAE(
        ...     prior=tv.priors.StandardNormal(2),
        ...     encoder=tv.encoders.Gaussian(tv.networks.mlp([64]), 2),
        ...     decoder=tv.decoders.Bernoulli(tv.networks.mlp([64]), data.shape),
        ... )
        >>> vae.compile(optimizer="adam")
        >>> history = vae.fit(data.train, epochs=1, verbose=0)
        >>> vae.log_likelihood(data.test, num_samples=100).shape
        (359,)
    """

    parts = ("objective", "prior", "encoder", "decoder")
    conditional = False

    def __init__(
        self,
        prior: Prior,
        encoder: ConditionalDistribution,
        decoder: ConditionalDistribution,
        objective=None,
        num_samples: int = 1,
        seed: int = 0,
        data_kind=None,
        num_data: int | None = None,
        **kwargs,
    ):
        super().__init__(objective, seed, data_kind, num_data, **kwargs)
        if not is_count(num_samples):
            raise ValueError(
                f"num_samples must be positive. Expected an integer >= 1. Received {num_samples!r}."
            )
        if isinstance(prior, ConditionalPrior) and not self.conditional:
            raise ValueError(
                f"A {type(self).__name__} has nothing that its prior could be conditioned on. "
                f"Expected a ConditionalVAE around it. Received {type(prior).__name__}."
            )
        if encoder.event_shape != (prior.latent_dim,):
            raise ValueError(
                "Encoder and prior differ in latent size. Expected an encoder with event shape "
                f"({prior.latent_dim},), as the prior. Received {encoder.event_shape}."
            )
        self.prior, self.encoder, self.decoder = prior, encoder, decoder
        self.num_samples = int(num_samples)
        self.active_units_tracker = ActiveUnits(prior.latent_dim)
        self.has_bits = all(kind.is_discrete for kind in decoder.kinds)
        if self.has_bits:
            self.bits_per_dim_tracker = keras.metrics.Mean("bits_per_dim")
        # Everything is known here: variables exist, and misfits are found, before `fit`.
        self.build()
        self._bounds_function = None

    def take_size(self, split):
        """Takes N, which is a constant in the graph of `bounds` too."""
        super().take_size(split)
        self._bounds_function = None

    def build(self, input_shape=None):
        """Builds prior, encoder and decoder; the decoder knows the shape of an example."""
        if not self.prior.built:
            self.prior.build()
        self.encoder.build_for((None, *self.decoder.event_shape))
        self.decoder.build_for((None, self.prior.latent_dim))
        self.built = True

    # The three distributions; `given` is what a conditional model is conditioned on, here None.

    def prior_of(self, given) -> tfd.Distribution:
        """Returns p(z)."""
        return self.prior()

    def posterior_of(self, x, given, training=None) -> tfd.Distribution:
        """Returns q(z|x), batch shape [B]."""
        return self.encoder(x, training=training)

    def likelihood_of(self, z, given, training=None) -> tfd.Distribution:
        """Returns p(x|z), batch shape that of `z` without its last axis."""
        return self.decoder(z, training=training)

    def unpack(self, inputs):
        """Returns (x, given) of the inputs that Keras hands over."""
        return inputs, None

    def given_of(self, split: Split) -> np.ndarray | None:
        """Returns what the examples of a split are conditioned on, [N, ...]."""
        return None

    def call(self, x, training=None, num_samples=None, seed=None) -> Pass:
        """Returns the posterior of `x` [B, ...], `num_samples` draws of z, and their likelihood."""
        x, given = self.unpack(x)
        key = self.noise_key(training) if seed is None else self.caller_key(seed)
        with self.weight_noise(key):
            posterior = self.posterior_of(x, given, training)
            z = draw(posterior, [num_samples or self.num_samples], key)
            return Pass(posterior, z, self.likelihood_of(z, given, training))

    def terms(self, x, y, outputs, sample_weight=None):
        """Returns the `Terms` of the batch `x`."""
        del y
        x, given = self.unpack(x)
        log_likelihood = outputs.likelihood.log_prob(tf.cast(x, tf.float32))
        return objectives.latent_terms(
            log_likelihood,
            outputs.posterior,
            self.prior_of(given),
            outputs.z,
            sample_weight=sample_weight,
            **self.global_terms(),
        )

    def update_metrics(self, terms, outputs, y=None):
        """Updates elbo, log_likelihood, kl, active_units and, for discrete data, bits_per_dim."""
        super().update_metrics(terms, outputs)
        self.active_units_tracker.update_state(outputs.posterior.mean())
        if self.has_bits:
            dims = math.prod(self.decoder.event_shape)
            bits = -objectives.elbo(terms) / (dims * math.log(2.0))
            self.bits_per_dim_tracker.update_state(bits, terms.sample_weight)

    def predict_step(self, data):
        """Returns the reconstruction of a batch, a tensor (see `reconstruct`)."""
        return self.reconstruct(*self.unpack(data[0] if isinstance(data, tuple | list) else data))

    def reconstruct(self, x, given=None) -> tf.Tensor:
        """Returns E[x'|z] at the posterior mean z of each example, [B, ...] -> [B, ...].

        Bayesian weights are at their posterior means.
        """
        with self.weight_noise(self.caller_key(None), MEAN):
            z = self.posterior_of(x, given).mean()
            return self.likelihood_of(z, given).mean()

    def generate(self, count: int, seed: int | None = None, given=None) -> dict[str, np.ndarray]:
        """Returns new examples: z from the prior, the mean of p(x|z) and a draw from it.

        Args:
            count: how many.
            seed: fixes the draws; the model's seed by default.
            given: what a conditional model is conditioned on, [count, ...].

        Returns:
            {"z": [count, D], "mean": [count, ...], "sample": [count, ...]}.
        """
        if not is_count(count):
            raise ValueError(f"Impossible count. Expected an integer >= 1. Received {count}.")
        key = self.caller_key(seed)
        prior = self.prior_of(given)
        shape = [] if prior.batch_shape.rank else [count]
        z = draw(prior, shape, fold_in(key, 0))
        parts, rows = [], self.rows_at_once
        for start in range(0, count, rows):
            with self.weight_noise(fold_in(key, 2, start)):
                here = slice(start, start + rows)
                likelihood = self.likelihood_of(z[here], None if given is None else given[here])
            drawn = likelihood.sample(seed=fold_in(key, 1, start))
            parts.append((likelihood.mean().numpy(), drawn.numpy()))
        mean, sample = (np.concatenate(part) for part in zip(*parts, strict=True))
        return {"z": z.numpy(), "mean": mean, "sample": sample}

    def elbo(self, x, num_samples: int = 64, **kwargs) -> np.ndarray:
        """Returns the evidence lower bound of each example, [N], nats; see `bounds`."""
        return self.bounds(x, num_samples, **kwargs).elbo

    def log_likelihood(self, x, num_samples: int = 1000, **kwargs) -> np.ndarray:
        """Returns importance-sampled log p(x) of each example, [N], nats; see `bounds`.

        Warns:
            UserWarning: if the effective sample size is too low to trust the figure.
        """
        bounds = self.bounds(x, num_samples, **kwargs)
        bounds.warn_of_bias(num_samples)
        return bounds.log_likelihood

    def bounds(
        self,
        x: "Split | np.ndarray",
        num_samples: int,
        *,
        seed: int | None = None,
        batch_size: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Bounds:
        """Returns bounds on log p(x) from `num_samples` draws of q(z|x) per example.

        L_S = log 1/S sum_s p(x, z_s) / q(z_s|x) (Burda et al., 2016, eq. 8): its expectation is at
        most log p(x) and grows with S. Samples stream through in chunks with a running logsumexp:
        memory does not grow with S.

        Bayesian weights are drawn with the latents, once per chunk; `elbo` then has their KL / N,
        and `log_likelihood` is that of the posterior predictive distribution.

        Args:
            x: a `Split` or an array [N, ...] of values as the model sees them.
            num_samples: S.
            seed: fixes the draws; the model's seed by default.
            batch_size: examples at a time; by default as many as fit the cache, at most 100. Fewer,
                with a warning, where memory runs out.
            progress: called with (examples done, examples in all) after every batch.

        Raises:
            ValueError: if S < 1 or the model is no model of `x`.
        """
        if not is_count(num_samples):
            raise ValueError(
                f"num_samples must be positive. Expected an integer >= 1. Received {num_samples!r}."
            )
        if batch_size is not None and not is_count(batch_size):
            raise ValueError(f"Impossible batch_size. Expected at least 1. Received {batch_size}.")
        split = self.as_split(x).frozen()
        given = self.given_of(split)
        batch_size = min(batch_size or min(100, self.rows_at_once), len(split))
        chunk = min(num_samples, max(1, self.rows_at_once // batch_size))
        if self._bounds_function is None:
            self._bounds_function = tf.function(
                self.bounds_of_batch,
                autograph=False,
                jit_compile=bool(self.compiled and self.jit_compile),
            )
        key = self.caller_key(seed)

        def run(start, index):
            return self._bounds_function(
                tf.constant(split.values(index)),
                None if given is None else tf.constant(given[index]),
                tf.constant(num_samples, tf.int32),
                chunk,
                fold_in(key, start),
            )

        batches = in_batches(split, batch_size, run, progress)
        parts = [[bound.numpy()[:size] for bound in part] for part, size in batches]
        return Bounds(*(np.concatenate(bound) for bound in zip(*parts, strict=True)))

    @property
    def rows_at_once(self) -> int:
        """How many latents are decoded at a time at most, which keeps the memory flat."""
        return max(1, min(_ROWS, _PARAMETERS // self.decoder.output_size))

    def bounds_of_batch(self, x, given, num_samples, chunk, key) -> Bounds:
        """Returns what `bounds` returns, as tensors [B], in a graph of its own or of another.

        Args:
            x: a batch [B, ...].
            given: what a conditional model is conditioned on, [B, ...], or None.
            num_samples: S, an int32 scalar.
            chunk: samples at a time, which bounds the memory.
            key: stateless seed of the draws, int32 [2].
        """
        with self.weight_noise(key, SHARED):
            posterior, prior = self.posterior_of(x, given), self.prior_of(given)
            shared = self.global_terms()
        total = tf.cast(num_samples, tf.float32)

        def add_chunk(i, log_likelihood, kl, top, weights, squares):
            z = draw(posterior, [chunk], fold_in(key, i))
            with self.weight_noise(fold_in(key, i), SHARED):
                likelihood = self.likelihood_of(z, given)
            terms = objectives.latent_terms(likelihood.log_prob(x), posterior, prior, z)
            # The last chunk may be more than is asked for.
            counts = (i * chunk + tf.range(chunk) < num_samples)[:, tf.newaxis]
            log_w = tf.where(counts, objectives.log_weights(terms), -np.inf)
            new_top = tf.maximum(top, tf.reduce_max(log_w, axis=0))
            weights *= tf.exp(top - new_top)
            squares *= tf.exp(2 * (top - new_top))
            share = tf.reduce_sum(tf.cast(counts, tf.float32))
            return (
                i + 1,
                log_likelihood + tf.reduce_sum(tf.where(counts, terms.log_likelihood, 0.0), axis=0),
                kl + share * terms.kl_local,
                new_top,
                weights + tf.reduce_sum(tf.exp(log_w - new_top), axis=0),
                squares + tf.reduce_sum(tf.exp(2 * (log_w - new_top)), axis=0),
            )

        zeros = tf.zeros(tf.shape(x)[:1])
        state = (tf.constant(0), zeros, zeros, zeros + tf.float32.min, zeros, zeros)
        num_chunks = (num_samples + chunk - 1) // chunk
        _, log_likelihood, kl, top, weights, squares = tf.while_loop(
            lambda i, *_: i < num_chunks, add_chunk, state
        )
        kl_global = shared["kl_global"] / shared["num_data"] if shared else 0.0
        return Bounds(
            (log_likelihood - kl) / total - kl_global,
            top + tf.math.log(weights) - tf.math.log(total),
            weights**2 / squares,
        )

    def check_split(self, split):
        """Raises `ValueError` if shape or kind of the data do not fit the decoder."""
        if split.shape != self.decoder.event_shape:
            raise ValueError(
                f"The {split.name} examples have a wrong shape. Expected "
                f"{self.decoder.event_shape}, the decoder's event shape. Received {split.shape}."
            )
        self.decoder.check_kind(split.kind)

    def candidate_kinds(self):
        """Returns the kinds of the decoder, those that restrict the values most first."""
        order = ("static", "eight_bit", "unit_interval", "real")
        return [kind for name in order for kind in self.decoder.kinds if kind == name]

    def get_config(self):
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "num_samples": self.num_samples}
