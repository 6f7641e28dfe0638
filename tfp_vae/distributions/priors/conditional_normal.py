"""A normal prior by a network of the condition, of the latents above, or of both."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.distributions.base import registered, tfd
from tfp_vae.distributions.encoders import Gaussian
from tfp_vae.distributions.priors.base import Context, Prior, Spec


@registered
class ConditionalNormal(Prior):
    """p(z|c) = N(loc(c), diag(scale(c))^2) by a network, as in Sohn et al. (2015).

    Below other latents c is what lies above, with the condition beside it: p(z_l | z_>l, c).

    Args:
        network: Keras layer or model, [B, C] -> [B, F].
        latent_dim: D.
    """

    def __init__(self, network: keras.Layer, latent_dim: int, **kwargs: Any):
        super().__init__(latent_dim, **kwargs)
        self.head = Gaussian(network, latent_dim)

    def build(self, spec: "Spec | None" = None) -> None:
        """Makes the variables; raises `ValueError` if made for conditions of another size."""
        if spec is not None:
            size = sum(spec.above_dims) + spec.condition_size
            if not size:
                raise ValueError(
                    "This prior has nothing to be conditioned on. Expected a model with a "
                    "condition, such as a ConditionalVAE, or a latent below another one. Received "
                    "neither."
                )
            self.head.build_for((None, size))
        self.built = True

    def distribution(self, context: Context) -> tfd.MultivariateNormalDiag:
        """Returns a `MultivariateNormalDiag`, batch shape [B] or [S, B]."""
        parts = [*context.above]
        if context.given is not None:
            given = tf.cast(context.given, tf.float32)
            if parts:
                lead = tf.shape(parts[0])[:-1]
                given = tf.broadcast_to(given, tf.concat([lead, [given.shape[-1]]], 0))
            parts.append(given)
        return self.head(parts[0] if len(parts) == 1 else tf.concat(parts, axis=-1))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        network = keras.saving.serialize_keras_object(self.head.network)
        return {**super().get_config(), "network": network}

    @classmethod
    def from_config(cls, config: dict) -> "ConditionalNormal":
        """Returns the layer of `get_config`."""
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})
