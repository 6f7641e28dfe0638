"""The evidence lower bound, and the losses that weigh its KL.

    elbo = mean_B( E_q[log p(x|z,w)] - KL(q(z|x) || p(z)) ) - KL(q(w) || p(w)) / N

in nats per example, up is better. Sum over event axes happened in the distributions; here is the
mean over samples and over the batch, and nothing else. Only the *loss* may weight the KL; `elbo`
never does.
"""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_choice, check_number, is_number
from tfp_vae.distributions.base import registered
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.gradients.base import Gradient
from tfp_vae.objectives.terms import LatentTerms, Terms, batch_mean
from tfp_vae.objectives.weighted import WeightedBound, mean_of

FREE_BITS_PER = ("dimension", "level")


def elbo(terms: Terms) -> tf.Tensor:
    """Returns the evidence lower bound of each example, [B] (Kingma & Welling, 2014, eq. 3)."""
    return terms.reconstruction() - terms.kl() - terms.weights.per_example()


@BOUNDS.register("elbo", "evidence lower bound, E log p(x|z) - KL")
@registered
class ELBO(WeightedBound):
    """The bound elbo, and the loss -(E_q[log p(x|z)] - weighted KL); with defaults exactly -elbo.

    Args:
        beta: weight of the local and the global KL: a number (beta-VAE, Higgins et al., 2017) or a
            Keras schedule of the training step (KL warm-up).
        free_bits: lambda >= 0 in nats per latent dimension. The KL of dimension d, averaged over
            the batch, counts as max(lambda, KL_d) (Kingma et al., 2016, eq. 15, with groups of
            one). Needs a posterior and a prior that factorise; without a closed form the KL of a
            dimension is that of the draws.
        free_bits_per: "dimension", or "level": the KL of a latent variable as a whole, averaged
            over the batch, counts as max(lambda, KL), of any posterior and prior.
        capacity: target C of the local KL in nats, a number or a schedule. The loss then has
            beta |KL - C| in the place of beta KL (Burgess et al., 2018, eq. 8).
        gradient: a name of `objectives.gradients.GRADIENTS`; with "path" the KL is in closed form
            where there is one, with others it is that of the draws.
    """

    name = "elbo"

    def __init__(
        self,
        beta: Any = 1.0,
        free_bits: float = 0.0,
        capacity: Any = None,
        gradient: "Gradient | str" = "path",
        free_bits_per: str = "dimension",
    ):
        super().__init__(gradient)
        self.beta = number_or_schedule("beta", beta)
        self.free_bits = check_number("free_bits", free_bits, 0)
        self.free_bits_per = check_choice("free_bits_per", free_bits_per, FREE_BITS_PER)
        self.capacity = None if capacity is None else number_or_schedule("capacity", capacity)
        if free_bits and capacity is not None:
            raise ValueError(
                "free_bits and capacity exclude each other. Expected at most one of them. Received "
                f"free_bits={free_bits}, capacity={capacity}."
            )
        if self.gradient.name != "path" and (free_bits or capacity is not None):
            raise ValueError(
                "free_bits and capacity act on the KL, of which other estimators see draws. "
                "Expected them with gradient='path'. Received "
                f"gradient={self.gradient.name!r}."
            )

    def __call__(self, terms: Terms) -> tf.Tensor:
        """Returns the evidence lower bound of each example, [B], nats: every KL has weight 1."""
        return elbo(terms)

    def local(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns the mean log weight, [B]: the KL is that of the draws."""
        return mean_of(log_weights, log_shares)

    def path_ratio(self, log_weights: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
        """Returns 1: a mean has no second derivative."""
        return tf.ones_like(log_weights)

    def check(self, model: keras.Model) -> None:
        """Raises `ValueError` for an estimator that the latents do not allow."""
        if self.gradient.name != "path" or getattr(model, "has_latents", False):
            # Of weights alone there is an ELBO, too.
            super().check(model)

    def loss(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns the scalar loss at training step `step`."""
        weight = terms.sample_weight
        if self.gradient.name != "path":
            found = self.gradient.surrogate(self, terms, self.kl_weight(step))
            return self.kl_weight(step) * terms.weights.per_example() - batch_mean(found, weight)
        log_likelihood = batch_mean(terms.reconstruction(), weight)
        if self.free_bits:
            kl_local = tf.add_n([self._free(terms, latent) for latent in terms.latents])
        else:
            kl_local = batch_mean(terms.kl(), weight)
        if self.capacity is not None:
            kl_local = tf.abs(kl_local - value_at(self.capacity, step))
        kl = kl_local + terms.weights.per_example()
        return self.kl_weight(step) * kl - log_likelihood

    def kl_weight(self, step: "tf.Tensor | int") -> "tf.Tensor | float":
        """Returns `beta` at training step `step`."""
        return value_at(self.beta, step)

    def _free(self, terms: Terms, latent: LatentTerms) -> tf.Tensor:
        """Returns the KL of a latent with each dimension at lambda or more, a scalar."""
        if self.free_bits_per == "level":
            kl = batch_mean(terms.mean(latent.kl()), terms.sample_weight)
            return tf.maximum(kl, self.free_bits)
        per_dimension = latent.kl_per_dimension()
        if per_dimension is None:
            raise ValueError(
                "free_bits needs a KL of each latent dimension. Expected a posterior and a prior "
                f"of {latent.name} whose dimensions are independent, such as diagonal normals; "
                "free_bits_per='level', capacity=... and a warm-up of beta hold the whole KL. "
                "Received "
                f"{_pair(latent)}."
            )
        each = tf.reduce_mean(per_dimension, axis=0)
        return tf.reduce_sum(tf.maximum(batch_mean(each, terms.sample_weight), self.free_bits))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "beta": serialize(self.beta),
            "free_bits": self.free_bits,
            "free_bits_per": self.free_bits_per,
            "capacity": serialize(self.capacity),
        }


def number_or_schedule(name: str, value: Any) -> Any:
    """Returns a schedule as it is, or a number >= 0; raises `ValueError` for anything else."""
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value
    if not is_number(value, 0):
        raise ValueError(
            f"Impossible {name}. Expected a number >= 0 or a Keras schedule. Received {value!r}."
        )
    return float(value)


def _pair(latent: LatentTerms) -> str:
    """Returns the classes of q and p, of a latent that has them."""
    found = [getattr(latent, name, None) for name in ("posterior", "prior")]
    if None in found:
        return "a latent of which only the KL is known"
    return " and ".join(f"a {type(each).__name__}" for each in found)


def value_at(value: Any, step: "tf.Tensor | int") -> Any:
    """Returns a number, or the value of a schedule at a training step."""
    return tf.cast(value(step), tf.float32) if callable(value) else value
