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
from tfp_vae.models.vae import VAE, Pass
from tfp_vae.networks import held, output_shape
from tfp_vae.objectives import batch_mean
from tfp_vae.randomness import fold_in

_PRIOR, _STOPPED = 3, 4  # folded into the key of a batch


class Adversarial(VAE):
    """A VAE's prior, encoder and decoder, and a discriminator; not trained on a bound.

    Args:
        prior: p(z), that is drawn from.
        encoder: q(z|x).
        decoder: p(x|z).
        discriminator: a Keras layer or model, [B, ...] -> features [B, F].
        weight: of what fools the discriminator.
        **kwargs: see `VAE`.

    What is asked of a bound, such as `elbo`, is refused. A subclass gives `losses_of`.
    """

    parts = (*VAE.parts, "discriminator")
    on_bound = False
    off_bound = (
        "not on the bound: the training is adversarial, and no number here bounds log p(x) or can "
        "be compared with one that does"
    )
    loss_names: "tuple[str, ...]" = ()

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
        if self.condition or len(self.latents) > 1:
            raise ValueError(
                f"A {name} has one latent and no condition. Expected a prior and an encoder. "
                f"Received {len(self.latents)} latents and a condition of {self.condition.size}."
            )

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
        self.loss_trackers = {
            name: keras.metrics.Mean(name) for name in (*self.loss_names, "told_apart")
        }
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
            made: logits of others, [B].
        """
        loss = tf.math.softplus(-real) + tf.math.softplus(made)
        right = tf.cast(real > 0, tf.float32) + tf.cast(made <= 0, tf.float32)
        return loss, 0.5 * right

    # What Keras asks for.

    def call(
        self,
        x: tf.Tensor,
        training: "bool | None" = None,
        num_samples: "int | None" = None,
        seed: "int | None" = None,
    ) -> Pass:
        """Returns a draw of z for each example, and the likelihood given it."""
        return super().call(x, training, num_samples or 1, seed)

    def losses_of(self, x: tf.Tensor, outputs: Pass, key: tf.Tensor) -> "dict[str, tf.Tensor]":
        """Returns the terms of the loss by name, [B] each; "told_apart" beside them is none."""
        raise NotImplementedError

    @tf.autograph.experimental.do_not_convert
    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: "tf.Tensor | None" = None,
        training: "bool | None" = True,
    ) -> tf.Tensor:
        """Returns the one loss of all parts, and updates the metrics."""
        key = self.noise_key(training)
        with self.at(key):
            found = self.losses_of(tf.cast(x, tf.float32), y_pred, key)
        for name, tracker in self.loss_trackers.items():
            tracker.update_state(found[name], sample_weight)
        self.elbo_tracker.batches.assign_add(1)  # of which the noise of an evaluation is a function
        centre = self.encoder.centre(y_pred.latents[0].posterior)
        self.active_units_trackers[0].update_state(centre)
        losses = [batch_mean(found[name], sample_weight) for name in self.loss_names]
        return self.of_replica(tf.add_n(losses))

    @property
    def metrics(self) -> "list[keras.metrics.Metric]":
        """Those of `VAE` that are no bound or part of one, and the terms of the loss."""
        own = list(getattr(self, "loss_trackers", {}).values())
        gone = ("elbo", "kl", self.expected_name, "bits_per_dim")
        others = [each for each in super().metrics if each.name not in gone]
        return [*[each for each in others if all(each is not one for one in own)], *own]

    def reset_metrics(self) -> None:
        """Starts a new pass."""
        super().reset_metrics()
        self.elbo_tracker.reset_state()

    def directions(self) -> "dict[str, str]":
        """Returns "min" for every term of the loss; of the others more is no better or worse."""
        return {"loss": "min", **{name: "min" for name in self.loss_names}}

    # What is no bound.

    def bounds(self, *args: Any, **kwargs: Any) -> Any:
        """Raises `ValueError`: there is no bound."""
        raise ValueError(
            f"A {type(self).__name__} is {self.off_bound}. Expected a VAE for bounds. Received a "
            f"{type(self).__name__}."
        )

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
        loss, told_apart = self.discriminator_loss(*tf.split(verdicts, 2))
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
        loss, told_apart = self.discriminator_loss(real, tf.reduce_mean(others, 0))
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
    return draws.sample(prior, [count], fold_in(key, _PRIOR))
