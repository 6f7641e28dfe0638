"""A weight on the total correlation of the codes that a discriminator finds (FactorVAE).

Kim & Mnih, "Disentangling by Factorising" (ICML 2018). TC = E_q(z)[log q(z) - log prod_d q(z_d)]:
of D that tells codes from codes permuted within every dimension, log D / (1 - D), its logit, is
the logarithm where D is at its best.
"""

from typing import Any

import keras
import tensorflow as tf

from tfp_vae.arguments import check_count, check_number
from tfp_vae.distributions.base import registered
from tfp_vae.networks import held
from tfp_vae.objectives.bound import BOUNDS
from tfp_vae.objectives.regularized import RegularizedBound, latent_of
from tfp_vae.objectives.terms import Terms
from tfp_vae.randomness import fold_in, uniform

_SEED = 20180216  # of the permutations, a stream of their own
_SLOPE = 0.2  # of leaky_relu, as in the paper


@BOUNDS.register("factor", "elbo with the total correlation of the codes by a discriminator")
@registered
class FactorVAE(RegularizedBound):
    """Minus the ELBO plus gamma E[logit D(z)] plus the loss of D: one loss, one pass backwards.

    D is held in the second term and the codes in the third, so that nobody trains against itself.
    D sees the first half of a batch as it is and the second half permuted, so that no code is on
    both sides. It starts undecided, at a total correlation of 0.

    Args:
        gamma: weight of the total correlation, >= 0.
        width: of the layers of D.
        depth: how many there are, of leaky ReLUs; the paper has 6 of 1,000 units on a GPU.
    """

    def __init__(self, gamma: float = 10.0, width: int = 256, depth: int = 3):
        self.gamma = check_number("gamma", gamma, 0)
        self.width, self.depth = check_count("width", width), check_count("depth", depth)
        self._discriminator: keras.Layer | None = None

    def network(self, model: keras.Model) -> "keras.Layer | None":
        """Returns D, codes [..., D] -> logits [..., 1], that the model trains and saves."""
        latents: Any = getattr(model, "latents", ())
        # Of more than one latent there is no D: `check` says so.
        return self.discriminator(latents[0].latent_dim) if len(latents) == 1 else None

    def discriminator(self, dims: int) -> keras.Layer:
        """Returns D of codes of so many numbers, made once.

        Raises:
            ValueError: if it was made for codes of another size.
        """
        if self._discriminator is None:
            found = _discriminator(self.width, self.depth)
            found.build((None, dims))
            self._discriminator = found
        known = self._discriminator.input_shape[-1]
        if known != dims:
            raise ValueError(
                f"The discriminator of this FactorVAE is of another model. Expected {known} numbers"
                f" of z, or a FactorVAE of its own for each model. Received {dims}."
            )
        return self._discriminator

    def logits(self, z: tf.Tensor, train: bool) -> tf.Tensor:
        """Returns log D / (1 - D) of codes, [S, B, D] -> [S, B].

        Args:
            z: codes.
            train: True for a derivative by the weights of D alone, False for one by z alone.
        """
        network = self.discriminator(z.shape[-1])
        flat = tf.reshape(tf.cast(z, tf.float32), [-1, z.shape[-1]])
        found = network(tf.stop_gradient(flat)) if train else held(network, flat)
        return tf.reshape(found, tf.shape(z)[:-1])

    def total_correlation(self, z: tf.Tensor) -> tf.Tensor:
        """Returns E[log q(z) - sum_d log q(z_d)] as D sees it, a scalar in nats.

        Args:
            z: codes, [S, B, D].
        """
        return _mean(self.logits(z, train=False))

    def discriminator_loss(self, z: tf.Tensor, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns -E[log D(z) + log(1 - D(permuted z))] / 2 of halves of the batch, in nats.

        Args:
            z: codes, [S, B, D].
            step: of the training, which the permutation is a function of.
        """
        count = tf.shape(z)[1]
        half = (count + 1) // 2
        real, others = z[:, :half], permuted(z[:, half:], step)
        verdicts = self.logits(tf.concat([real, others], axis=1), train=True)
        told = _mean(tf.math.softplus(-verdicts[:, :half]))
        return 0.5 * (told + _mean(tf.math.softplus(verdicts[:, half:])))

    def penalty(self, terms: Terms, step: "tf.Tensor | int") -> tf.Tensor:
        """Returns gamma TC and the loss of the discriminator."""
        z = latent_of(terms).value
        return self.gamma * self.total_correlation(z) + self.discriminator_loss(z, step)

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        return {"gamma": self.gamma, "width": self.width, "depth": self.depth}


def permuted(z: tf.Tensor, step: "tf.Tensor | int") -> tf.Tensor:
    """Returns codes of product of marginals: every dimension of [S, B, D] in an order of its own.

    Args:
        z: codes.
        step: of the training, which the orders are a function of.
    """
    key = fold_in(keras.ops.convert_to_tensor([_SEED, 0], "int32"), tf.cast(step, tf.int32))
    columns = tf.transpose(z, [0, 2, 1])
    order = tf.argsort(uniform(tf.shape(columns), key), axis=-1)
    return tf.transpose(tf.gather(columns, order, axis=2, batch_dims=2), [0, 2, 1])


def _discriminator(width: int, depth: int) -> keras.Sequential:
    dense = keras.layers.Dense
    hidden = []
    for _ in range(depth):
        hidden += [
            dense(width, kernel_initializer="he_normal", dtype="float32"),
            keras.layers.LeakyReLU(_SLOPE, dtype="float32"),
        ]
    verdict = dense(1, kernel_initializer="zeros", dtype="float32", name="verdict")
    return keras.Sequential([*hidden, verdict], name="discriminator")


def _mean(values: tf.Tensor) -> tf.Tensor:
    # The second half of a batch of one is empty.
    count = tf.cast(tf.size(values), values.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(values), count)
