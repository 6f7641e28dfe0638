"""Losses of the ELBO with a penalty on what the codes of a batch are together."""

import abc
from typing import Any

import keras
import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.priors import StandardNormal
from tfp_vae.objectives.bound import Bound
from tfp_vae.objectives.elbo import elbo
from tfp_vae.objectives.gradients.base import posterior_of
from tfp_vae.objectives.terms import Latent, Terms, batch_mean


class RegularizedBound(Bound):
    """Minus the ELBO plus a penalty; its value is the ELBO, under that name.

    Attributes:
        needs_parameters: whether the penalty is of means and scales of q(z|x), whose dimensions
            are independent then.
        needs_standard_normal: whether it holds the codes against p(z) = N(0, I).
    """

    name = "elbo"
    needs_parameters = False
    needs_standard_normal = False

    def __call__(self, terms: Terms) -> tf.Tensor:
        """Returns the evidence lower bound of each example, [B], nats."""
        return elbo(terms)

    @abc.abstractmethod
    def penalty(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns what is added to minus the ELBO, a scalar in nats per example."""

    def loss(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns the scalar loss at training step `step`."""
        return self.penalty(terms, step) - batch_mean(elbo(terms), terms.sample_weight)

    def check(self, model: keras.Model) -> None:
        """Raises `ValueError` for a model whose latents, p(z) or q(z|x) the penalty is not of."""
        latents: Any = getattr(model, "latents", ())
        name = type(self).__name__
        if len(latents) != 1:
            raise ValueError(
                f"{name} has a penalty on the codes of one latent. Expected a VAE with one. "
                f"Received a {type(model).__name__} with {len(latents)}."
            )
        prior = latents[0].prior
        if self.needs_standard_normal and not isinstance(prior, StandardNormal):
            raise ValueError(
                f"{name} holds the codes against a standard normal. Expected "
                f"priors.StandardNormal (--latent_prior=standard). Received a "
                f"{type(prior).__name__}."
            )
        if self.needs_parameters:
            independent(posterior_of(model))


def latent_of(terms: Terms) -> Latent:
    """Returns the one latent of the terms; raises `ValueError` if there are no draws of one."""
    found = terms.latents[0] if len(terms.latents) == 1 else None
    if not isinstance(found, Latent):
        raise ValueError(
            "The penalty is of the codes of one latent. Expected terms with its draws. Received "
            f"{[latent.name for latent in terms.latents]}."
        )
    return found


def members_of(terms: Terms) -> tfd.Distribution:
    """Returns q(z_d|x), batch shape [B, D]; raises `ValueError` where they are not independent."""
    return independent(latent_of(terms).posterior)


def independent(posterior: tfd.Distribution) -> tfd.Distribution:
    """Returns the members of q(z|x), as `members_of`."""
    found = draws.members(posterior)
    if found is None or found.batch_shape.rank != 2:
        raise ValueError(
            "The penalty is of independent dimensions of q(z|x). Expected an encoder such as "
            "encoders.Gaussian (--posterior=diagonal). Received a "
            f"{type(posterior).__name__}."
        )
    return found
