"""Where the noise of a pass through a network comes from.

Keras calls layers as `layer(x, training)`: there is no argument for a seed or for "the same weights
for the whole pass". So the caller opens `with use(Noise(key))` around the call, and every random
layer asks `of(self)`. Without such a caller a layer of a plain Keras model falls back on its own
seed generator; a layer that a model of this package owns raises, because a draw that nobody keyed
would differ from call to call in secret.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfp_vae import keras_private, randomness
from tfp_vae.arguments import check_choice

ESTIMATOR, SHARED, MEAN = "estimator", "shared", "mean"
# Ways of Keras to write a graph that can draw.
_CAN_DRAW = ("tf_saved_model", "keras.export.ExportArchive")
_OF_ALL = 2**29  # folded into the key of what all layers of a pass share
_active = threading.local()


class Noise:
    """The noise of one pass: a pure function of a key, the layer that asks and what it asks for.

    Args:
        key: stateless seed, int32 [2].
        mode: "estimator": the noise that the layer's gradient estimator is defined by, such as
            independent noise per example. "shared": one draw of all weights for the whole pass,
            one function from the posterior, which is what prediction asks for. "mean": no noise,
            every weight at its posterior mean.
        member: (index, count) inside a `tf.vectorized_map` over `count` members. Their noise is
            drawn in one operation, which has no index in it, and then cut up: vectorising
            stateless random operations is beyond `tf.vectorized_map`.
        numbers: of the layers by their ids; others are numbered as they are first asked.
        draw: which of the draws of a prediction this is, for layers that are one of finitely many
            functions: they take turns.
    """

    def __init__(
        self,
        key: tf.Tensor,
        mode: str = ESTIMATOR,
        member: "tuple | None" = None,
        numbers: "dict[int, int] | None" = None,
        draw: "tf.Tensor | int | None" = None,
    ):
        check_choice("mode of noise", mode, (ESTIMATOR, SHARED, MEAN))
        self.key, self.mode, self.member = key, mode, member
        self.draw = draw
        self._numbers: dict[int, int] = dict(numbers or {})

    def _number(self, layer: keras.Layer, purpose: int) -> int:
        # By order of first use, which a reload keeps; a layer used twice has its noise twice: one
        # layer is one set of weights.
        number = self._numbers.setdefault(id(layer), len(self._numbers))
        return 8 * number + purpose

    def _draw(self, sampler, number, name, shape, axis):
        del name  # of who asks, for errors
        key = randomness.fold_in(self.key, number)
        if self.member is None:
            return sampler(shape, key, axis)
        index, count = self.member
        axis = None if axis is None else axis + 1
        return tf.gather(sampler(tf.concat([[count], shape], 0), key, axis), index)

    # `axis` is that of the examples, where every example has noise of its own.

    def normal(
        self, layer: keras.Layer, purpose: int, shape: Any, axis: "int | None" = None
    ) -> tf.Tensor:
        """Returns standard normal numbers, float32."""
        return self._draw(randomness.normal, self._number(layer, purpose), layer.name, shape, axis)

    def uniform(
        self, layer: keras.Layer, purpose: int, shape: Any, axis: "int | None" = None
    ) -> tf.Tensor:
        """Returns uniform numbers in [0, 1), float32."""
        return self._draw(randomness.uniform, self._number(layer, purpose), layer.name, shape, axis)

    def signs(
        self, layer: keras.Layer, purpose: int, shape: Any, axis: "int | None" = None
    ) -> tf.Tensor:
        """Returns -1 and 1 with probability 1/2 each, float32."""
        return 1.0 - 2.0 * tf.round(self.uniform(layer, purpose, shape, axis))

    def choice(self, count: int, shape: Any = (), axis: "int | None" = None) -> tf.Tensor:
        """Returns numbers below `count`, int32, the same ones for every layer of the pass.

        Args:
            count: of what is chosen from, such as the members of an ensemble of weights.
            shape: of the numbers; (): one for the whole pass, which draws take in turn.
            axis: see `normal`.
        """
        one = isinstance(shape, tuple | list) and not shape
        if one and self.draw is not None:
            return tf.math.floormod(tf.cast(self.draw, tf.int32), count)
        uniform = self._draw(randomness.uniform, _OF_ALL, "a member", [1] if one else shape, axis)
        chosen = tf.minimum(tf.cast(uniform * count, tf.int32), count - 1)
        return chosen[0] if one else chosen


class FrozenNoise(Noise):
    """Noise that is drawn when a graph is traced: constants in it, for runtimes that cannot draw.

    The numbers are those that `Noise` would give for the same key.
    """

    def _draw(self, sampler, number, name, shape, axis):
        static = tf.get_static_value(tf.convert_to_tensor(shape))
        if static is None:
            raise ValueError(
                f"The noise of {name} cannot be frozen. Expected a shape that does not "
                f"depend on the batch. Received {shape}."
            )
        with tf.init_scope():
            return super()._draw(sampler, number, name, static, axis)


@contextlib.contextmanager
def use(noise: Noise) -> Iterator[Noise]:
    """Makes `noise` what the layers called inside the block draw from."""
    before = getattr(_active, "noise", None)
    _active.noise = noise
    try:
        yield noise
    finally:
        _active.noise = before


def current() -> "Noise | None":
    """Returns the noise of the innermost open block, or None."""
    return getattr(_active, "noise", None)


def own(layer: keras.layers.Layer, owner: str) -> None:
    """Says that `owner` hands out the noise of a layer: without an open draw the layer raises."""
    layer._noise_owner = owner


def of(layer: keras.layers.Layer) -> Noise:
    """Returns the noise of the caller, or fresh noise from the layer's own seed generator.

    Raises:
        ValueError: if the layer belongs to a model of this package and no draw is open.
    """
    noise = getattr(_active, "noise", None)
    if noise is not None:
        return noise
    owner = getattr(layer, "_noise_owner", None)
    if owner is not None:
        raise ValueError(
            f"No draw is open for the random layer {layer.name}, which belongs to a {owner}. "
            "Expected a call inside `with model.at(seed):`, or of a method of the model. Received "
            "a call of the layer or its network alone."
        )
    state = tf.convert_to_tensor(layer.seed_generator.next())
    return Noise(tf.cast(tf.math.floormod(state, 2**31 - 1), tf.int32))


def _refuse_export(model: keras.Layer, form: str) -> None:
    """Refuses what Keras would write with noise that no runtime, or every call alike, draws."""
    noisy = {
        type(layer).__name__
        for layer in keras_private.all_sublayers(model)
        if getattr(layer, "draws_noise", False)
    }
    if noisy and form not in _CAN_DRAW:
        received = form if "." in form else f"{type(model).__name__}.export(format={form!r})"
        raise ValueError(
            f"Keras' own export to {form} has no noise for {', '.join(sorted(noisy))}. Expected "
            "tfp_vae.export.export(tfp_vae.BayesianNetwork(model, likelihood), data, folder, "
            f"formats), whose files hold draws of the weights. Received {received}."
        )


keras_private.before_export(_refuse_export)
