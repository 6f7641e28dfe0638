"""What an encoder of codes is: a posterior over the codes of a codebook."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.codes.books import Codebook
from tfp_vae.distributions.codes.masses import Codes
from tfp_vae.distributions.encoders.base import Encoder
from tfp_vae.registry import Registry

registered = keras.saving.register_keras_serializable(package="tfp_vae.codes")
CODES = Registry("tfp_vae.distributions.codes", "kind of codes")


class CodeEncoder(Encoder):
    """q(codes|x): z are the numbers of T codes, [B, T E].

    A subclass gives `book`, `output_size` and `distribution(*parameters)`.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        places: T, codes of an example.
        size: T E.

    Attributes:
        reports_usage: whether perplexity and usage of the codes are metrics.
    """

    reports_usage = False

    def __init__(self, network: keras.Layer, places: int, size: int, **kwargs: Any):
        super().__init__(network, size, **kwargs)
        self.places = places

    @property
    def book(self) -> Codebook:
        """The codebook as it is now."""
        raise NotImplementedError

    @property
    def support(self) -> str:
        """The codes, in words: a prior over others has no mass where there are draws."""
        return support_of(self.book.places, self.book.count, self.book.width)

    def split(self, outputs: tf.Tensor) -> "list[tf.Tensor]":
        """Returns the projection as it is."""
        return [outputs]

    def codes(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the likeliest codes of examples, int32 [B, T]."""
        return self.codes_of(self(x, training=False))

    def codes_of(self, posterior: tfd.Distribution) -> tf.Tensor:
        """Returns the likeliest codes of a posterior, int32 [B, T]."""
        return self.book.index(self.centre(posterior))

    def used(self, posterior: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the codes of draws [..., B, T E] of a posterior, int32 [..., B, T]."""
        del posterior
        return self.book.index(value)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        del config["latent_dim"]
        return {**config, "places": self.places}


class LogitEncoder(CodeEncoder):
    """Codes with a logit each.

    Args:
        network: see `CodeEncoder`.
        places: T.
        size: T E.
        enumerate: whether all K^T codes are summed over, exactly, in the place of draws.
    """

    def __init__(
        self, network: keras.Layer, places: int, size: int, enumerate: bool = False, **kwargs: Any
    ):
        super().__init__(network, places, size, **kwargs)
        self.enumerates = bool(enumerate)
        total = self.book.count**places
        if self.enumerates and total > MOST_ENUMERATED:
            raise ValueError(
                f"There are too many codes to sum over. Expected at most {MOST_ENUMERATED}, or "
                "enumerate=False with gradient='vimco', 'loo' or 'score'. Received "
                f"{self.book.count} codes at {places} places, {total:.3g} in all."
            )

    @property
    def has_path(self) -> bool:
        """Whether a bound has its whole derivative at its draws: a sum has, draws of codes not."""
        return self.enumerates

    @property
    def output_size(self) -> int:
        """A logit for each code."""
        return self.places * self.book.count

    def distribution(self, logits: tf.Tensor) -> tfd.Distribution:
        """Returns `Codes` with these logits, [..., T K]."""
        return Codes(self.book, self.logits(logits))

    def logits(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns [..., T K] as [..., T, K]."""
        shape = [self.places, self.book.count]
        return tf.reshape(raw, tf.concat([tf.shape(raw)[:-1], shape], 0))

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {**super().get_config(), "enumerate": self.enumerates}


MOST_ENUMERATED = 1024


def support_of(places: int, count: int, width: int) -> str:
    """Returns where codes are, in words."""
    return f"{places} codes of {count}, {width} numbers each"
