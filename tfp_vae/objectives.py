"""Objectives: pure functions of `Terms`, the one record that a model hands over.

    elbo = mean_B( E_q[log p(x|z,w)] - KL(q(z|x) || p(z)) ) - KL(q(w) || p(w)) / N

in nats per example, up is better. Sum over event axes happened in the distributions; here is the
mean over samples and over the batch, and nothing else. Only the *loss* may weight the KL; `elbo`
never does.
"""

from typing import NamedTuple

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae.arguments import is_count, is_number
from tfp_vae.distributions.base import registered

tfd = tfp.distributions


class Terms(NamedTuple):
    """What every bound is made of; S samples, B examples, D latent dimensions; all in nats.

    Attributes:
        log_likelihood: log p(x|z), [S, B].
        log_prior: log p(z), [S, B].
        log_posterior: log q(z|x), [S, B].
        kl_local: KL(q(z|x) || p(z)), [B]; closed form where TFP has one.
        kl_per_dimension: [B, D] where posterior and prior factorise, else None.
        kl_global: KL(q(w) || p(w)), [], summed over all weights.
        num_data: N, the size of the training set, that `kl_global` is divided by.
        sample_weight: [B] weights of the examples, or None.
    """

    log_likelihood: tf.Tensor
    log_prior: tf.Tensor
    log_posterior: tf.Tensor
    kl_local: tf.Tensor
    kl_per_dimension: tf.Tensor | None = None
    kl_global: tf.Tensor | float = 0.0
    num_data: float = 1.0
    sample_weight: tf.Tensor | None = None


def latent_terms(log_likelihood, posterior, prior, z, **rest) -> Terms:
    """Returns `Terms` of latents `z` [S, B, D] drawn from `posterior`."""
    log_prior, log_posterior = prior.log_prob(z), posterior.log_prob(z)
    per_dimension = kl_per_dimension(posterior, prior)
    try:
        kl_local = tfd.kl_divergence(posterior, prior)
    except NotImplementedError:  # TFP knows no closed form for this pair
        kl_local = tf.reduce_mean(log_posterior - log_prior, axis=0)
    return Terms(log_likelihood, log_prior, log_posterior, kl_local, per_dimension, **rest)


def kl_per_dimension(posterior: tfd.Distribution, prior: tfd.Distribution) -> tf.Tensor | None:
    """Returns KL of each latent dimension, [B, D], if both are diagonal normals, else None."""
    if not all(isinstance(d, tfd.MultivariateNormalDiag) for d in (posterior, prior)):
        return None
    return tfd.kl_divergence(
        tfd.Normal(posterior.loc, posterior.stddev()), tfd.Normal(prior.loc, prior.stddev())
    )


def batch_mean(values: tf.Tensor, sample_weight: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the mean over the batch, [B, ...] -> [...], of values times their weights.

    As everywhere in Keras the divisor is B, not the sum of the weights, so that a weight of 2 is
    the same as seeing the example twice.
    """
    if sample_weight is not None:
        weight = tf.cast(sample_weight, values.dtype)
        values = values * tf.reshape(weight, [-1] + [1] * (values.shape.rank - 1))
    # A replica may be left without rows by a short last batch: its part is 0, not 0 / 0.
    count = tf.cast(tf.shape(values)[0], values.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(values, axis=0), count)


def elbo(terms: Terms) -> tf.Tensor:
    """Returns the evidence lower bound of each example, [B] (Kingma & Welling, 2014, eq. 3)."""
    local = tf.reduce_mean(terms.log_likelihood, axis=0) - terms.kl_local
    return local - terms.kl_global / terms.num_data


def log_weights(terms: Terms) -> tf.Tensor:
    """Returns log p(x, z) - log q(z|x), [S, B]: the log importance weights."""
    return terms.log_likelihood + terms.log_prior - terms.log_posterior


def importance_weighted_bound(terms: Terms) -> tf.Tensor:
    """Returns L_S of each example, [B]: log-mean-exp of the log weights (Burda et al., 2016)."""
    count = tf.cast(tf.shape(terms.log_likelihood)[0], tf.float32)
    return tf.reduce_logsumexp(log_weights(terms), axis=0) - tf.math.log(count)


# Schedules are Keras learning-rate schedules: pure functions of the optimizer's step.


def linear(steps: int, start: float = 0.0, end: float = 1.0):
    """Returns a schedule that goes straight from `start` to `end` in `steps` steps and stays.

    Bowman et al., "Generating sentences from a continuous space", 2016.
    """
    _check_steps(steps)
    for name, value in (("start", start), ("end", end)):
        if not is_number(value, 0):
            raise ValueError(f"Impossible {name}. Expected a number >= 0. Received {value!r}.")
    return keras.optimizers.schedules.PolynomialDecay(start, steps, end)


@registered
class Cyclical(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to 1 in the first `ramp` of every cycle and stays for the rest.

    Fu et al., "Cyclical annealing schedule", NAACL 2019, eq. 6-7.

    Args:
        steps: steps per cycle.
        ramp: share of the cycle spent rising, in (0, 1].
    """

    def __init__(self, steps: int, ramp: float = 0.5):
        _check_steps(steps, least=2)  # a cycle of one step would never leave 0
        if not (is_number(ramp, above=0) and ramp <= 1):
            raise ValueError(f"ramp must be a share. Expected 0 < ramp <= 1. Received {ramp!r}.")
        self.steps, self.ramp = int(steps), float(ramp)

    def __call__(self, step):
        """Returns the weight at `step`."""
        position = tf.math.floormod(tf.cast(step, tf.float32), self.steps) / self.steps
        return tf.minimum(position / self.ramp, 1.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"steps": self.steps, "ramp": self.ramp}


@registered
class Sigmoid(keras.optimizers.schedules.LearningRateSchedule):
    """Rises as a logistic curve, 1/2 at `steps` / 2, from 0.7 % at step 0 to 99.3 % at `steps`.

    Args:
        steps: steps of the rise.
    """

    def __init__(self, steps: int):
        _check_steps(steps)
        self.steps = int(steps)

    def __call__(self, step):
        """Returns the weight at `step`."""
        return tf.sigmoid(10.0 * (tf.cast(step, tf.float32) / self.steps - 0.5))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"steps": self.steps}


WARM_UPS = {"linear": linear, "cyclical": Cyclical, "sigmoid": Sigmoid}


def _check_steps(steps, least=1):
    if not is_count(steps, least):
        raise ValueError(f"Too few steps. Expected an integer >= {least}. Received {steps!r}.")


@registered
class ELBO:
    """The loss -(E_q[log p(x|z)] - weighted KL), nats per example; with defaults exactly -elbo.

    Args:
        beta: weight of the local and the global KL: a number (beta-VAE, Higgins et al., 2017) or a
            Keras schedule of the training step (KL warm-up).
        free_bits: lambda >= 0 in nats per latent dimension. The KL of dimension d, averaged over
            the batch, counts as max(lambda, KL_d) (Kingma et al., 2016, eq. 15, with groups of
            one). Needs a posterior and a prior that factorise.
        capacity: target C of the local KL in nats, a number or a schedule. The loss then has
            beta |KL - C| in the place of beta KL (Burgess et al., 2018, eq. 8).
    """

    def __init__(self, beta=1.0, free_bits: float = 0.0, capacity=None):
        schedule = keras.optimizers.schedules.LearningRateSchedule
        for name, value, may_vary in (
            ("beta", beta, True),
            ("free_bits", free_bits, False),
            ("capacity", 0.0 if capacity is None else capacity, True),
        ):
            if may_vary and isinstance(value, schedule):
                continue
            if not is_number(value, 0):
                raise ValueError(
                    f"Impossible {name}. Expected a number >= 0"
                    f"{' or a Keras schedule' if may_vary else ''}. Received {value!r}."
                )
        if free_bits and capacity is not None:
            raise ValueError(
                "free_bits and capacity exclude each other. Expected at most one of them. Received "
                f"free_bits={free_bits}, capacity={capacity}."
            )
        self.beta, self.free_bits, self.capacity = (
            float(value) if is_number(value) else value for value in (beta, free_bits, capacity)
        )

    def __call__(self, terms: Terms, step) -> tf.Tensor:
        """Returns the scalar loss at training step `step`."""
        weight = terms.sample_weight
        log_likelihood = batch_mean(tf.reduce_mean(terms.log_likelihood, axis=0), weight)
        if self.free_bits:
            if terms.kl_per_dimension is None:
                raise ValueError(
                    "free_bits needs a KL of each latent dimension. Expected a diagonal normal "
                    "posterior and prior. Received a pair without (see kl_per_dimension)."
                )
            per_dimension = batch_mean(terms.kl_per_dimension, weight)
            kl_local = tf.reduce_sum(tf.maximum(per_dimension, self.free_bits))
        else:
            kl_local = batch_mean(terms.kl_local, weight)
        if self.capacity is not None:
            kl_local = tf.abs(kl_local - _at(self.capacity, step))
        kl = kl_local + terms.kl_global / terms.num_data
        return _at(self.beta, step) * kl - log_likelihood

    def get_config(self):
        """Returns the constructor's arguments, as JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            "beta": serialize(self.beta),
            "free_bits": self.free_bits,
            "capacity": serialize(self.capacity),
        }

    @classmethod
    def from_config(cls, config):
        """Returns the objective of `get_config`."""
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


def _at(value, step):
    return tf.cast(value(step), tf.float32) if callable(value) else value
