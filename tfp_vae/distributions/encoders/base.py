"""What an encoder is: a network and a posterior, with all that others have to know of it."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count, lacks
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import REAL, ConditionalDistribution, tfd
from tfp_vae.registry import Registry

# A package of its own: there are a Mixture of priors, one of posteriors and one of networks.
registered = keras.saving.register_keras_serializable(package="tfp_vae.encoders")
ENCODERS = Registry("tfp_vae.distributions.encoders", "posterior", first=("diagonal", "full"))


class Encoder(ConditionalDistribution):
    """q(z|x): [B, ...] -> a distribution with batch shape [B] and event shape [D].

    A subclass gives `parameters_per_event` (or `output_size` and `split`) and
    `distribution(*parameters)`. What is known of its class in `distributions.draws` is how it is
    drawn from in all modes and exported; `centre` may be overridden.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        latent_dim: D.

    Attributes:
        support: where its density is: `REAL`, `BOX` or `SPHERE` of `distributions.base`; of codes
            which ones, in words.
        uses_prior: whether q(z|x) is made with p(z) of its model, see `given_prior`; called alone
            it is what the network says.
        sees_above: whether the network of a latent below others has them beside x.
        has_path: whether the derivative of a bound goes through its draws.
        draws_once: whether every draw for an example is the same one.
        enumerates: whether all values are summed over in the place of draws.
    """

    support: str = REAL
    uses_prior: bool = False
    sees_above: bool = True
    has_path: bool = True
    draws_once: bool = False
    enumerates: bool = False

    def __init__(self, network: keras.Layer, latent_dim: int, **kwargs: Any):
        latent_dim = check_count("latent_dim", latent_dim)
        super().__init__(network, (latent_dim,), **kwargs)
        self.latent_dim = latent_dim

    def centre(self, posterior: tfd.Distribution) -> tf.Tensor:
        """Returns the point that stands for q(z|x) in encodings and pictures, [B, D].

        The mean, or where a flow carries the centre of its base.

        Raises:
            ValueError: if there is none.
        """
        return draws.centre(posterior)

    def given_prior(self, own: tfd.Distribution, prior: tfd.Distribution) -> tfd.Distribution:
        """Returns q(z|x) of one that `uses_prior`.

        Args:
            own: what the network says, batch shape [B] or [S, B].
            prior: p(z) or p(z|above), a normal of independent latents.
        """
        raise lacks(self, "given_prior(own, prior)", "q(z|x), as it uses_prior")

    def check_batch(self, batch_size: int) -> None:
        """Raises `ValueError` if training does not go with such batches; here with all it does."""

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        del config["event_shape"]
        return {**config, "latent_dim": self.latent_dim}
