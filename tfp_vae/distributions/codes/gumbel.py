"""Categorical latents whose draws are relaxed in training."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.codes.base import CODES, registered
from tfp_vae.distributions.codes.categorical import Categorical
from tfp_vae.distributions.codes.masses import Codes, Relaxed


@CODES.register("gumbel", "categorical, relaxed in training (Gumbel-softmax)")
@registered
class GumbelSoftmax(Categorical):
    """A `Categorical` that is trained by draws with slopes (Jang et al., ICLR 2017).

    In training a draw is relaxed at a temperature; the loss of it is no bound, because the decoder
    sees no code and the KL is that of codes. Metrics, evaluation and all else have codes. The
    temperature falls from `temperature` to `last_temperature` within `steps` training steps, by the
    same factor in each.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        places: T.
        categories: K.
        temperature: at the start, above 0.
        last_temperature: at the end.
        steps: of the fall; 0 to stay at `temperature`.
        straight_through: whether draws are codes in training too, with the slope of relaxed ones.
    """

    def __init__(
        self,
        network: keras.Layer,
        places: int,
        categories: int = 10,
        temperature: float = 1.0,
        last_temperature: float = 0.5,
        steps: int = 0,
        straight_through: bool = False,
        **kwargs: Any,
    ):
        kwargs.pop("enumerate", None)
        super().__init__(network, places, categories, **kwargs)
        self.first = check_number("temperature", temperature, above=0)
        self.last = check_number("last_temperature", last_temperature, above=0)
        self.steps = check_count("steps", steps, 0)
        self.straight_through = bool(straight_through)

    @property
    def has_path(self) -> bool:
        """Whether draws have slopes: in training."""
        return True

    def build(self, input_shape: Any) -> None:
        """Builds network and projection, and the count of training steps."""
        self.seen = self.add_weight(
            name="seen", shape=(), initializer="zeros", dtype="float32", trainable=False,
            autocast=False, aggregation="only_first_replica",
        )  # fmt: skip
        super().build(input_shape)

    @property
    def temperature(self) -> tf.Tensor:
        """The temperature of the next training step, a float32 scalar."""
        if not self.steps:
            return tf.constant(self.first)
        share = tf.minimum(tf.convert_to_tensor(self.seen) / self.steps, 1.0)
        return self.first * tf.pow(self.last / self.first, share)

    def call(self, inputs: tf.Tensor, training: "bool | None" = None) -> tfd.Distribution:
        """Returns `Codes`, in training `Relaxed` ones."""
        found = super().call(inputs, training)
        if not training:
            return found
        temperature = self.temperature
        self.seen.assign_add(1.0)
        return self.relaxed(found, temperature)

    def relaxed(self, found: Codes, temperature: tf.Tensor) -> tfd.Distribution:
        """Returns the distribution of relaxed draws."""
        return Relaxed(self.book, found.logits, temperature, self.straight_through)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        del config["enumerate"]
        own = {"temperature": self.first, "last_temperature": self.last, "steps": self.steps}
        return {**config, **own, "straight_through": self.straight_through}
