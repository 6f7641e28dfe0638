"""Vector quantisation with a codebook of moving averages."""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae import randomness
from tfp_vae.arguments import check_count, check_number
from tfp_vae.distributions.base import tfd
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
    |h - code|^2, summed over T and E and averaged over the batch, is added to the loss: it is
    `penalty` of q(z|x), which a `VAE` adds. Codes are
    moving averages of the h that they are nearest to (appendix A.1). They start at outputs of the
    encoder for the first batch; every `every` steps those with less than `revival` of an equal
    share start again at outputs of a batch. Replicas share what they see: codes are those that one
    device would have for the whole batch.

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
        """Returns the numbers of the nearest codes, and which they are.

        In training codes move, and the commitment is returned behind.
        """
        (raw,), behind = parameters, []
        if training:
            rows = tf.stop_gradient(tf.reshape(raw, [-1, self.width]))
            place = _place_in_batch(rows)
            self._start(rows, place)
        book = self.book
        nearest = book.nearest(tf.stop_gradient(book.cut(raw)))
        codes = tf.stop_gradient(book.joined(book.numbers(nearest)))
        if training:
            distance = tf.reduce_sum(tf.square(raw - codes), axis=-1)
            # No loss of the layer: replicas, which wait for each other here, would share a list.
            behind.append(self.commitment * tf.reduce_mean(distance))
            self._move(rows, tf.reshape(nearest, [-1]), place)
        return [raw + tf.stop_gradient(codes - raw), nearest, *behind]

    def _some(self, rows, place, purpose):
        """Returns K rows of the whole batch, each once where there are as many."""
        key = fold_in(self.seed, purpose, tf.cast(tf.convert_to_tensor(self.seen), tf.int32))
        (before, total), here = place, tf.shape(rows)[0]
        order = tf.argsort(randomness.uniform([total], key))
        wanted = tf.gather(order, tf.range(self.count) % total) - before
        is_mine = tf.logical_and(wanted >= 0, wanted < here)
        # Rows of other replicas are zeros here, so that the sum has each from where it is.
        padded = tf.concat([rows, tf.zeros([1, self.width], rows.dtype)], axis=0)
        (found,) = _sum_over_replicas(tf.gather(padded, tf.where(is_mine, wanted, here)))
        return found

    def _start(self, rows, place):
        is_first = tf.convert_to_tensor(self.seen) < 0.5
        table = tf.convert_to_tensor(self.table)
        start = self._some(rows, place, _START)
        self.table.assign(tf.where(is_first, start, table))
        self.sums.assign(tf.where(is_first, start, tf.convert_to_tensor(self.sums)))
        self.uses.assign(tf.where(is_first, 1.0, tf.convert_to_tensor(self.uses)))

    def _move(self, rows, nearest, place):
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
            fresh = self._some(rows, place, _REVIVAL)
            uses = tf.where(dead, share, uses)
            sums = tf.where(dead[:, tf.newaxis], share * fresh, sums)
        # A code that nothing was near to for long stays where it was.
        kept = tf.convert_to_tensor(self.table)
        found = sums / tf.maximum(uses, _TINY)[:, tf.newaxis]
        self.table.assign(tf.where((uses > _TINY)[:, tf.newaxis], found, kept))
        self.uses.assign(uses)
        self.sums.assign(sums)

    def distribution(
        self,
        value: tf.Tensor,
        index: "tf.Tensor | None" = None,
        penalty: "tf.Tensor | None" = None,
    ) -> Point:
        """Returns a `Point` at codes [..., T E]."""
        return Point(value, index=index, penalty=penalty)

    def used(self, posterior: tfd.Distribution, value: tf.Tensor) -> tf.Tensor:
        """Returns the codes that were chosen, before the table moved; see the base."""
        index = getattr(posterior, "index", None)
        return super().used(posterior, value) if index is None else index

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        names = ("count", "width", "commitment", "decay", "revival", "every", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _replicas():
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def _sum_over_replicas(*values):
    # Of shapes that no batch changes: a collective operation in a loop has one shape.
    context = _replicas()
    if context is None:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, list(values))


def _place_in_batch(rows):
    """Returns how many rows of the batch are before these, and how many there are: int32 scalars.

    A part of a batch may have fewer rows than there are codes, which would start as copies.
    """
    here, context = tf.shape(rows)[0], _replicas()
    if context is None:
        return tf.constant(0), here
    index = context.replica_id_in_sync_group
    mine = tf.one_hot(index, context.num_replicas_in_sync) * tf.cast(here, tf.float32)
    (counts,) = _sum_over_replicas(mine)
    counts = tf.cast(counts, tf.int32)
    return tf.gather(tf.cumsum(counts, exclusive=True), index), tf.reduce_sum(counts)
