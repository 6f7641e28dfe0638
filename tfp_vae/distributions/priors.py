"""Priors p(z): calling one, without arguments, returns a `tfp.distributions` object.

A prior p(z|c) of a conditional model is called with the condition.
"""

import keras
import tensorflow as tf

from tfp_vae.arguments import is_count
from tfp_vae.distributions.base import inverse_positive, positive, registered, tfd
from tfp_vae.distributions.encoders import Gaussian


class Prior(keras.Layer):
    """p(z) over latents of size `latent_dim`: `prior()` has batch shape [] and event shape [D].

    A subclass implements `distribution()` and may own variables (made in `build`).
    """

    def __init__(self, latent_dim: int, **kwargs):
        super().__init__(**kwargs)
        if not is_count(latent_dim):
            raise ValueError(
                f"latent_dim must be positive. Expected an integer >= 1. Received {latent_dim!r}."
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


class ConditionalPrior(Prior):
    """p(z|c): `prior(c)` with c [B, C] has batch shape [B] and event shape [D].

    A subclass implements `distribution(condition)` and `build`.
    """

    def __call__(self, condition) -> tfd.Distribution:
        """Returns the prior given conditions [B, C]."""
        return self.distribution(condition)

    def build_for(self, condition_dim: int) -> None:
        """Makes the variables for conditions of C numbers, or raises `ValueError`."""
        raise NotImplementedError

    def distribution(self, condition) -> tfd.Distribution:
        """Returns the distribution given conditions [B, C]."""
        raise NotImplementedError


@registered
class ClassNormal(ConditionalPrior):
    """p(z|y) = N(loc_y, diag(scale_y)^2) with a learned centre per class.

    Args:
        latent_dim: D.
        num_classes: K; the condition is one-hot.
        learned_scale: whether each class has scales of its own; otherwise they are 1.
    """

    def __init__(self, latent_dim: int, num_classes: int, learned_scale: bool = True, **kwargs):
        super().__init__(latent_dim, **kwargs)
        if not is_count(num_classes):
            raise ValueError(
                f"num_classes must be positive. Expected an integer >= 1. Received {num_classes!r}."
            )
        self.num_classes, self.learned_scale = int(num_classes), bool(learned_scale)

    def build(self, input_shape=None):
        """Makes the centres [K, D] and, if learned, the scales [K, D]."""
        options = {"shape": (self.num_classes, self.latent_dim), "autocast": False}
        # Centres of their own from the start, or the classes would have nothing to drift apart by;
        # one class has nobody to be apart from.
        apart = keras.initializers.RandomNormal(1.0) if self.num_classes > 1 else "zeros"
        self.loc = self.add_weight(name="loc", initializer=apart, **options)
        if self.learned_scale:
            start = keras.initializers.Constant(inverse_positive(1.0))
            self.raw_scale = self.add_weight(name="raw_scale", initializer=start, **options)
        self.built = True

    def build_for(self, condition_dim):
        """Makes the variables, or raises `ValueError` if the classes are of another number."""
        if condition_dim != self.num_classes:
            raise ValueError(
                "Prior and model differ in their classes. Expected a prior of "
                f"{condition_dim} classes. Received one of {self.num_classes}."
            )
        if not self.built:
            self.build()

    def distribution(self, condition):
        """Returns a `MultivariateNormalDiag` given one-hot classes [B, K]."""
        condition = tf.cast(condition, tf.float32)
        loc = tf.matmul(condition, tf.convert_to_tensor(self.loc))
        if not self.learned_scale:
            return tfd.MultivariateNormalDiag(loc, tf.ones_like(loc))
        scale = positive(tf.convert_to_tensor(self.raw_scale))
        return tfd.MultivariateNormalDiag(loc, tf.matmul(condition, scale))

    def get_config(self):
        """Returns the constructor's arguments, as JSON."""
        own = {"num_classes": self.num_classes, "learned_scale": self.learned_scale}
        return {**super().get_config(), **own}


@registered
class ConditionalNormal(ConditionalPrior):
    """p(z|c) = N(loc(c), diag(scale(c))^2) by a network, as in Sohn et al. (2015).

    Args:
        network: Keras layer or model, [B, C] -> [B, F].
        latent_dim: D.
    """

    def __init__(self, network: keras.Layer, latent_dim: int, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.head = Gaussian(network, latent_dim)

    def build_for(self, condition_dim):
        """Makes the variables, or raises `ValueError` if made for conditions of another size."""
        self.head.build_for((None, condition_dim))
        self.built = True

    def distribution(self, condition):
        """Returns a `MultivariateNormalDiag` given conditions [B, C]."""
        return self.head(condition)

    def get_config(self):
        """Returns the constructor's arguments, as JSON."""
        network = keras.saving.serialize_keras_object(self.head.network)
        return {**super().get_config(), "network": network}

    @classmethod
    def from_config(cls, config):
        """Returns the layer of `get_config`."""
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})
