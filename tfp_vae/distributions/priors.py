"""Priors p(z): calling one, without arguments, returns a `tfp.distributions` object."""

import keras
import tensorflow as tf

from tfp_vae.distributions.base import registered, tfd


class Prior(keras.Layer):
    """p(z) over latents of size `latent_dim`: `prior()` has batch shape [] and event shape [D].

    A subclass implements `distribution()` and may own variables (made in `build`).
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        if int(latent_dim) != latent_dim or latent_dim < 1:
            raise ValueError(
                f"latent_dim must be positive. Expected an integer >= 1. Received {latent_dim}."
            )
        self.latent_dim = int(latent_dim)

    def __call__(self) -> tfd.Distribution:
        """Returns the prior as a distribution."""
        # Keras calls a layer with at least one tensor; a prior is conditioned on nothing.
        if not self.built:
            self.build()
        return self.distribution()

    def build(self, input_shape=None):
        """Makes the variables; none here."""
        self.built = True

    def distribution(self) -> tfd.Distribution:
        """Returns the distribution."""
        raise NotImplementedError

    def get_config(self):
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "latent_dim": self.latent_dim}


@registered
class StandardNormal(Prior):
    """p(z) = N(0, I), the prior of Kingma & Welling (2014).

    Args:
        latent_dim: D.
    """

    def distribution(self):
        """Returns a `MultivariateNormalDiag` with event shape [D]."""
        return tfd.MultivariateNormalDiag(tf.zeros(self.latent_dim), tf.ones(self.latent_dim))
