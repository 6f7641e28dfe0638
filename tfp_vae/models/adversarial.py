"""Autoencoders that are trained against a discriminator: none of their numbers is a bound.

One loss, and one pass backwards, trains all parts in stock `fit`: the discriminator sees examples
and latents through which nothing flows back, everybody else sees it with its weights held.
"""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_number, check_type
from tfp_vae.distributions import draws
from tfp_vae.distributions.base import registered, tfd
from tfp_vae.models.off_bound import OffBound
from tfp_vae.models.vae import Pass
from tfp_vae.networks import held, output_shape
from tfp_vae.randomness import fold_in

_PRIOR, _STOPPED = 3, 4  # folded into the key of a batch


class Adversarial(OffBound):
    """A VAE's prior, encoder and decoder, and a discriminator; not trained on a bound.

    Args:
        prior: p(z), that is drawn from.
        encoder: q(z|x).
        decoder: p(x|z).
        discriminator: a Keras layer or model, [B, ...] -> features [B, F].
        weight: of what fools the discriminator.
        **kwargs: see `VAE`.

    See `OffBound`. A subclass gives `losses_of`.
    """

    parts = (*OffBound.parts, "discriminator")
    off_bound = (
        "not on the bound: the training is adversarial, and no number here bounds log p(x) or can "
        "be compared with one that does"
    )
    other_names = ("told_apart",)

    def __init__(
        self,
        prior: Any = None,
        encoder: Any = None,
        decoder: Any = None,
        discriminator: "keras.Layer | None" = None,
        weight: float = 1.0,
        **kwargs: Any,
    ):
        name = type(self).__name__
        self.discriminator = check_type("discriminator", discriminator, keras.Layer, name)
        self.weight = check_number("weight", weight, 0)
        super().__init__(prior, encoder, decoder, **kwargs)

    def _named_parts(self, latents, decoder):
        return [*super()._named_parts(latents, decoder), ("the discriminator", self.discriminator)]

    def shape_of_judged(self) -> "tuple[int, ...]":
        """Returns the shape of what the discriminator sees, without the batch."""
        raise NotImplementedError

    def build(self, input_shape: Any = None) -> None:
        """Builds all parts, once."""
        if self.built:
            return
        owner = f"{type(self).__name__}.discriminator"
        features = output_shape(self.discriminator, (None, *self.shape_of_judged()), owner)
        self.verdict = keras.layers.Dense(1, name="verdict", dtype="float32")
        self.verdict.build(features)
        super().build(input_shape)

    # The discriminator.

    def judged(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the logit that values are real, [B, ...] -> [B]; trains the discriminator."""
        return self.verdict(tf.cast(self.discriminator(values), tf.float32))[:, 0]

    def features_held(self, values: tf.Tensor) -> tf.Tensor:
        """Returns features of the discriminator with its weights held, [B, ...] -> [B, F]."""
        return tf.cast(held(self.discriminator, values), tf.float32)

    def judged_held(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the logit with the weights of the discriminator held, [B]."""
        return held(self.verdict, self.features_held(values))[:, 0]

    def discriminator_loss(self, real: tf.Tensor, made: tf.Tensor) -> "tuple[tf.Tensor, tf.Tensor]":
        """Returns the loss of the discriminator and the share that it tells apart, [B] each.

        Args:
            real: logits of real values, [B].
            made: logits of M others beside each, [M, B]; they count as much as the real one.
        """
        loss = tf.math.softplus(-real) + tf.reduce_mean(tf.math.softplus(made), axis=0)
        caught = tf.reduce_mean(tf.cast(made <= 0, tf.float32), axis=0)
        return loss, 0.5 * (tf.cast(real > 0, tf.float32) + caught)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        return {**config, "weight": self.weight}


@registered
class AAE(Adversarial):
    """An adversarial autoencoder (Makhzani et al., 2016): z is told from draws of p(z).

    loss = -log p(x|z) + weight softplus(-D(z)) + softplus(-D(z_p)) + softplus(D(z)), with D
    held in the second term and z in the third. See `Adversarial` for the arguments; the
    discriminator is a network of z, [B, D] -> [B, F].
    """

    loss_names = ("distortion", "fooling", "discriminator")

    def shape_of_judged(self) -> "tuple[int, ...]":
        """Returns (D,)."""
        return (self.latents[0].latent_dim,)

    def losses_of(self, x: tf.Tensor, outputs: Pass, key: tf.Tensor) -> "dict[str, tf.Tensor]":
        """Returns distortion (nats), what fools the discriminator, and the loss of that."""
        z = outputs.z[0]
        drawn = _from_prior(self.at(key).prior(), tf.shape(z)[0], key)
        verdicts = self.judged(tf.concat([drawn, tf.stop_gradient(z)], 0))
        real, others = tf.split(verdicts, 2)
        loss, told_apart = self.discriminator_loss(real, others[tf.newaxis])
        return {
            "distortion": -outputs.likelihood.log_prob(x)[0],
            "fooling": self.weight * tf.math.softplus(-self.judged_held(z)),
            "discriminator": loss,
            "told_apart": told_apart,
        }


@registered
class VAEGAN(Adversarial):
    """A VAE whose likelihood is that of features of a discriminator of x (Larsen et al., 2016).

    loss = KL(q(z|x) || p(z)) + |f(x) - f(x')|^2 / 2 + weight softplus(-D(made)) + loss of D, where
    x' and what is made from p(z) are means of p(x|z), f are the features that D judges by, D is
    held in all but its own loss, and what fools D trains the decoder alone. See `Adversarial` for
    the arguments; the discriminator is a network of x, [B, ...] -> f [B, F].
    """

    loss_names = ("rate", "feature_distance", "fooling", "discriminator")

    def shape_of_judged(self) -> "tuple[int, ...]":
        """Returns the shape of an example."""
        return self.decoder.event_shape

    def losses_of(self, x: tf.Tensor, outputs: Pass, key: tf.Tensor) -> "dict[str, tf.Tensor]":
        """Returns rate (nats), the distance of features, what fools D, and the loss of that."""
        z, count = outputs.z[0], tf.shape(x)[0]
        drawn = _from_prior(self.at(key).prior(), count, key)
        latents = tf.concat([tf.stop_gradient(z), drawn], 0)
        made = self.at(fold_in(key, _STOPPED)).likelihood(latents).mean()
        rebuilt = outputs.likelihood.mean()[0]
        held = tf.stop_gradient(made)
        verdicts = self.judged(tf.concat([x, held], 0))
        real, others = verdicts[:count], tf.reshape(verdicts[count:], [2, count])
        loss, told_apart = self.discriminator_loss(real, others)
        features = self.features_held(tf.concat([x, rebuilt], 0))
        distance = tf.square(features[:count] - features[count:])
        fooling = tf.reshape(tf.math.softplus(-self.judged_held(made)), [2, count])
        return {
            "rate": tf.reduce_mean(outputs.latents[0].kl(), axis=0) * tf.ones([count]),
            "feature_distance": 0.5 * tf.reduce_sum(distance, axis=-1),
            "fooling": self.weight * tf.reduce_mean(fooling, axis=0),
            "discriminator": loss,
            "told_apart": told_apart,
        }


def _from_prior(prior: tfd.Distribution, count: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    # A draw beside each example: replicas have parts of those of the batch, not the same ones.
    return draws.sample(prior, [count], fold_in(key, _PRIOR), examples=True)
