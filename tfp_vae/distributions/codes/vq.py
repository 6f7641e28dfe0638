"""Vector quantisation with a codebook of moving averages."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae import randomness
from tfp_vae.arguments import check_count, check_number
from tfp_vae.distributions.codes.base import CODES, CodeEncoder, registered
from tfp_vae.distributions.codes.books import Table
from tfp_vae.distributions.codes.masses import Point
from tfp_vae.randomness import fold_in

_TINY = 1e-5  # codes, so that one without any has a place
_START, _REVIVAL = 0, 1


@CODES.register("vq", "vector quantisation: rows of a learned table")
@registered
class VectorQuantized(CodeEncoder):
    """Each of T vectors h(x) is put at the nearest of K codes (van den Oord et al., 2017).

    q(z|x) is a point mass: beside a prior over codes the ELBO is log p(x|z) + log p(codes). What
    flows back to z goes on to h (straight through), and in training `commitment` times
    |h - code|^2, summed over T and E and averaged over the batch, is added to the loss. Codes are
    moving averages of the h that they are nearest to (appendix A.1). They start at outputs of the
    encoder for the first batch; every `every` steps those with less than `revival` of an equal
    share start again at outputs of a batch. Replicas sum what they see.

    Args:
        network: Keras layer or model, [B, ...] -> [B, F].
        places: T.
        count: K.
        width: E.
        commitment: weight of the distance, in nats per unit of |h - code|^2.
        decay: of the moving averages; 0 is one step of k-means.
        revival: share of an equal share of use below which a code starts again; 0 for never.
        every: training steps between two such looks.
        seed: of which outputs codes start at.
    """

    reports_usage = draws_once = True

    def __init__(
        self,
        network: keras.Layer,
        places: int,
        count: int = 128,
        width: int = 8,
        commitment: float = 0.25,
        decay: float = 0.99,
        revival: float = 0.1,
        every: int = 20,
        seed: int = 0,
        **kwargs: Any,
    ):
        places = check_count("places", places)
        self.count, self.width = check_count("count", count, 2), check_count("width", width)
        super().__init__(network, places, places * width, **kwargs)
        self.commitment = check_number("commitment", commitment, 0)
        self.decay = check_number("decay", decay, 0, below=1)
        self.revival = check_number("revival", revival, 0, below=1)
        self.every, self.seed = check_count("every", every), check_count("seed", seed, 0)

    def build(self, input_shape: Any) -> None:
        """Builds network, projection and codebook."""

        def add(name: str, shape: tuple, start: Any) -> Any:
            # Every replica computes the same, of sums over all of them.
            return self.add_weight(
                name=name, shape=shape, initializer=start, dtype="float32", trainable=False,
                autocast=False, aggregation="only_first_replica",
            )  # fmt: skip

        self.table = add("table", (self.count, self.width), "random_normal")
        self.uses = add("uses", (self.count,), "zeros")
        self.sums = add("sums", (self.count, self.width), "zeros")
        self.seen = add("seen", (), "zeros")
        super().build(input_shape)

    @property
    def book(self) -> Table:
        """The codebook as it is now; before it is built, one of zeros."""
        table = self.table if self.built else tf.zeros([self.count, self.width])
        return Table(self.places, tf.convert_to_tensor(table))

    @property
    def output_size(self) -> int:
        """E numbers of each place."""
        return self.latent_dim

    def check_batch(self, batch_size: int) -> None:
        """Raises `ValueError` if a batch has too few outputs for all codes to start at."""
        if self.count > batch_size * self.places:
            raise ValueError(
                "There are more codes than a batch can start. Expected at most "
                f"{batch_size * self.places}, batch size {batch_size} times {self.places} places. "
                f"Received {self.count}."
            )

    def prepared(self, parameters: "list[tf.Tensor]", training: "bool | None") -> "list[tf.Tensor]":
        """Returns the numbers of the nearest codes; in training codes move."""
        (raw,) = parameters
        if training:
            rows = tf.stop_gradient(tf.reshape(raw, [-1, self.width]))
            self._start(rows)
        book = self.book
        nearest = book.nearest(tf.stop_gradient(book.cut(raw)))
        codes = tf.stop_gradient(book.joined(book.numbers(nearest)))
        if training:
            distance = tf.reduce_sum(tf.square(raw - codes), axis=-1)
            self.add_loss(self.commitment * tf.reduce_mean(distance))
            self._move(rows, tf.reshape(nearest, [-1]))
        return [raw + tf.stop_gradient(codes - raw)]

    def _some(self, rows, purpose):
        """Returns K rows, each once where there are as many."""
        count = tf.shape(rows)[0]
        key = fold_in(self.seed, purpose, tf.cast(tf.convert_to_tensor(self.seen), tf.int32))
        order = tf.argsort(randomness.uniform([count], key))
        return tf.gather(rows, tf.gather(order, tf.range(self.count) % count))

    def _start(self, rows):
        is_first = tf.convert_to_tensor(self.seen) < 0.5
        table = tf.convert_to_tensor(self.table)
        start = _of_first_replica(self._some(rows, _START))
        self.table.assign(tf.where(is_first, start, table))
        self.sums.assign(tf.where(is_first, start, tf.convert_to_tensor(self.sums)))
        self.uses.assign(tf.where(is_first, 1.0, tf.convert_to_tensor(self.uses)))

    def _move(self, rows, nearest):
        chosen = tf.one_hot(nearest, self.count)
        counts, sums = _sum_over_replicas(
            tf.reduce_sum(chosen, axis=0), tf.matmul(chosen, rows, transpose_a=True)
        )
        g = self.decay
        uses = g * tf.convert_to_tensor(self.uses) + (1 - g) * counts
        sums = g * tf.convert_to_tensor(self.sums) + (1 - g) * sums
        total = tf.reduce_sum(uses)
        self.seen.assign_add(1.0)
        if self.revival:
            share = total / self.count
            seen = tf.convert_to_tensor(self.seen)
            now = tf.equal(tf.math.floormod(seen, float(self.every)), 0.0)
            dead = tf.logical_and(now, uses < self.revival * share)
            fresh = _of_first_replica(self._some(rows, _REVIVAL))
            uses = tf.where(dead, share, uses)
            sums = tf.where(dead[:, tf.newaxis], share * fresh, sums)
        # A code that nothing was near to for long stays where it was.
        kept = tf.convert_to_tensor(self.table)
        found = sums / tf.maximum(uses, _TINY)[:, tf.newaxis]
        self.table.assign(tf.where((uses > _TINY)[:, tf.newaxis], found, kept))
        self.uses.assign(uses)
        self.sums.assign(sums)

    def distribution(self, value: tf.Tensor) -> Point:
        """Returns a `Point` at codes [..., T E]."""
        return Point(value)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        names = ("count", "width", "commitment", "decay", "revival", "every", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _replicas():
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def _sum_over_replicas(*values):
    context = _replicas()
    if context is None:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(values))


def _of_first_replica(value):
    """Returns the value of the first replica on all of them."""
    context = _replicas()
    if context is None:
        return value
    mine = tf.cast(tf.equal(context.replica_id_in_sync_group, 0), value.dtype)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value * mine)
