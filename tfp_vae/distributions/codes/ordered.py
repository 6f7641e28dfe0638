"""Codes each of which depends on those before it."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfp_vae.distributions import draws
from tfp_vae.distributions.base import tfd
from tfp_vae.distributions.codes.books import Codebook
from tfp_vae.distributions.codes.masses import inverse, mass_at
from tfp_vae.distributions.draws import UNIFORM, Family, Noise
from tfp_vae.distributions.own import Own
from tfp_vae.distributions.sequential import one_by_one


class OrderedCodes(Own):
    """p(codes) = product of p(code t | codes before t), batch shape [].

    Args:
        book: what numbers they are.
        logits_of: a function of codes, int32 [N, T], that returns logits [N, T, K] of which those
            of place t do not depend on the codes from t on.
    """

    def __init__(self, book: Codebook, logits_of: Callable[[tf.Tensor], tf.Tensor]):
        self.book, self.logits_of = book, logits_of
        parameters = {"book": book, "logits_of": logits_of}
        super().__init__(parameters, "OrderedCodes", tfd.NOT_REPARAMETERIZED)

    def mass(self, index: tf.Tensor) -> tf.Tensor:
        """Returns log p of codes, int32 [..., T] -> [...], nats."""
        flat = tf.reshape(index, [-1, self.book.places])
        found = mass_at(tf.nn.log_softmax(self.logits_of(flat)), flat)
        return tf.reshape(found, tf.shape(index)[:-1])

    def _batch_shape(self):
        return tf.TensorShape([])

    def _batch_shape_tensor(self, **_):
        return tf.constant([], tf.int32)

    def _event_shape(self):
        return tf.TensorShape([self.book.size])

    def _event_shape_tensor(self):
        return tf.constant([self.book.size], tf.int32)


@draws.family(OrderedCodes)
class OrderedDraws(Family):
    """A uniform number for each code, one place after the other."""

    def noise(self, distribution: OrderedCodes) -> "tuple[Noise, ...]":
        """One uniform number per place."""
        return (Noise(UNIFORM, (distribution.book.places,)),)

    def transform(self, distribution: OrderedCodes, noise: tf.Tensor) -> "tuple[tf.Tensor, Any]":
        """Returns codes, by a pass of the network for each place."""
        book = distribution.book
        uniform = tf.reshape(noise, [-1, book.places])

        def step(place, index):
            logits = tf.gather(distribution.logits_of(index), place, axis=1)
            chosen = inverse(logits, tf.gather(uniform, place, axis=1))
            return tf.where(tf.range(book.places) == place, chosen[:, tf.newaxis], index)

        index = one_by_one(book.places, step, tf.zeros(tf.shape(uniform), tf.int32))
        index = tf.reshape(index, tf.shape(noise))
        return book.codes(index), lambda: distribution.mass(index)

    def log_prob(self, distribution: OrderedCodes, value: tf.Tensor) -> tf.Tensor:
        """Returns the log of the probability of the codes that numbers stand for, nats."""
        return distribution.mass(distribution.book.index(value))
