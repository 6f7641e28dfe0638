"""log p(x|z) of many draws in training, some draws at a time: memory that is flat in their number.

What a gradient needs of a decoder is what its layers computed, for S B rows at once. Here it is
computed again when it is needed, for a few draws at a time, and forgotten: a third more products, and
room for those few alone. The bound, a function of [S, B] numbers, is what it was.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfp_vae import keras_private
from tfp_vae.models.fit import DEFAULT_BATCH_SIZE

# Parameters of the likelihood that are known at once in training, whatever the number of draws.
MOST_PARAMETERS = 2**24


def draws_at_once(decoder: keras.Layer, z: tf.Tensor) -> "int | None":
    """Returns how many of the draws z [S, B, D] are decoded at a time; None for all of them.

    All are where they fit into `MOST_PARAMETERS`, and where what a decoder does with a row depends
    on the others or is seen from outside: a likelihood or a layer with moments of the batch, with
    noise of its own, or with a loss of its own.
    """
    samples, batch = z.shape[0], z.shape[1] or DEFAULT_BATCH_SIZE
    if samples is None or samples * batch * decoder.output_size <= MOST_PARAMETERS:
        return None
    parts = keras_private.all_sublayers(decoder)
    random = any(getattr(each, "draws_noise", False) for each in parts)
    if random or decoder.non_trainable_variables or decoder.losses:
        return None
    most = MOST_PARAMETERS // (batch * decoder.output_size)
    # One shape of all parts, for XLA.
    return max(n for n in range(1, max(1, most) + 1) if samples % n == 0)


def streamed(log_prob: "Callable[[tf.Tensor], tf.Tensor]", z: tf.Tensor, count: int) -> tf.Tensor:
    """Returns log_prob(z), [S, B, D] -> [S, B], `count` draws at a time, forwards and backwards.

    Args:
        log_prob: of some of the draws, each by itself; its variables get their gradients.
        z: S draws, a multiple of `count`.
        count: of them at a time.
    """
    samples, size = z.shape[0], z.shape[-1]
    parts = samples // count

    def in_parts(values):
        return tf.reshape(values, tf.concat([[parts, count], tf.shape(values)[1:]], 0))

    def walk(body, *state):
        return tf.while_loop(
            lambda number, *_: number < parts,
            lambda number, *rest: (number + 1, *body(number, *rest)),
            (tf.constant(0), *state),
            maximum_iterations=parts,
            parallel_iterations=1,
        )[1:]

    def whole(array, *shape):
        return tf.reshape(array.stack(), shape)

    @tf.custom_gradient
    def run(z):
        batch, every = tf.shape(z)[1], in_parts(z)
        array = tf.TensorArray(tf.float32, parts, element_shape=[count, z.shape[1]])
        (found,) = walk(lambda i, found: (found.write(i, log_prob(every[i])),), array)

        def back(upstream, variables=()):
            weights = in_parts(upstream)

            def more(i, slopes, *sums):
                here = every[i]
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch([here, *variables])
                    value = log_prob(here)
                zero = tf.UnconnectedGradients.ZERO
                first, *others = tape.gradient(
                    value, [here, *variables], weights[i], unconnected_gradients=zero
                )
                return slopes.write(i, first), *map(tf.add, sums, others)

            slopes = tf.TensorArray(z.dtype, parts, element_shape=[count, *z.shape[1:]])
            zeros = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
            slopes, *sums = walk(more, slopes, *zeros)
            return whole(slopes, samples, batch, size), list(sums)

        return whole(found, samples, batch), back

    return run(z)
