"""VAEs off the bound: the losses that train them, by name, are all that is reported of them."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae import objectives
from tfp_vae.models.vae import VAE, Pass
from tfp_vae.objectives import batch_mean


class OffBound(VAE):
    """A VAE's prior, encoder and decoder, trained on the sum of named losses that bound nothing.

    What is asked of a bound, such as `elbo`, is refused. A subclass gives `losses_of`.

    Attributes:
        loss_names: of the terms of the loss, metrics each.
        other_names: of what `losses_of` has beside them, metrics too.
    """

    on_bound = False
    loss_names: "tuple[str, ...]" = ()
    other_names: "tuple[str, ...]" = ()

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        name = type(self).__name__
        if self.condition or len(self.latents) > 1:
            raise ValueError(
                f"A {name} has one latent and no condition. Expected a prior and an encoder. "
                f"Received {len(self.latents)} latents and a condition of {self.condition.size}."
            )
        if self.bayesian_layers():
            raise ValueError(
                f"This {name} is on no bound, which the KL of weights would be a part of. Expected "
                f"layers whose weights are numbers. Received {len(self.bayesian_layers())} whose "
                "weights have a posterior."
            )

    def _track_bounds(self):
        if self._reported or not isinstance(self._objective, objectives.ELBO):
            bound = type((*self._reported, self._objective)[0]).__name__
            self._reported, self._objective = (), objectives.ELBO()  # which nobody asks
            raise ValueError(
                f"This {type(self).__name__} is trained on its own losses, and no bound is "
                f"reported of it. Expected no objective. Received {bound}."
            )
        super()._track_bounds()

    def build(self, input_shape: Any = None) -> None:
        """Builds all parts, once."""
        if self.built:
            return
        self.loss_trackers = {
            name: keras.metrics.Mean(name) for name in (*self.loss_names, *self.other_names)
        }
        super().build(input_shape)

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
        """Returns the terms of the loss by name, [B] each, and others beside.

        Args:
            x: examples, [B, ...].
            outputs: what `call` returned for them.
            key: stateless seed of further draws, int32 [2].
        """
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
            if training:
                y_pred = self.profiled(x, y, y_pred, sample_weight)
            found = self.losses_of(tf.cast(x, tf.float32), y_pred, key)
        for name, tracker in self.loss_trackers.items():
            tracker.update_state(found[name], sample_weight)
        self.elbo_tracker.batches.assign_add(1)  # of which the noise of an evaluation is a function
        centre = self.encoder.centre(y_pred.latents[0].posterior)
        self.active_units_trackers[0].update_state(centre)
        losses = [batch_mean(found[name], sample_weight) for name in self.loss_names]
        return self.of_replica(tf.add_n(losses), y_pred)

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
