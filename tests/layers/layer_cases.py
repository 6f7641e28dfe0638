"""The nine Bayesian layers, inputs for them, and many passes through one of them."""

import itertools

import keras
import numpy as np
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.layers.base import SCALE_SPEED, WEIGHT_SCALE_FLOOR
from tfp_vae.layers.noise import ESTIMATOR, Noise, use

MAPS = ("Dense", "Conv2D", "Conv1D")
ESTIMATORS = ("Reparameterization", "LocalReparameterization", "Flipout")
NAMES = [m + e for m, e in itertools.product(MAPS, ESTIMATORS)]
SHAPES = {"Dense": (4,), "Conv2D": (5, 4, 2), "Conv1D": (6, 2)}
STOCK = {
    "Dense": keras.layers.Dense,
    "Conv2D": keras.layers.Conv2D,
    "Conv1D": keras.layers.Conv1D,
}


def map_of(name: str) -> str:
    return next(m for m in MAPS if name.startswith(m))


def make(kind: str, units: int = 3, **options):
    """Returns an unbuilt layer; convolutions have kernels of 2."""
    sizes = () if kind.startswith("Dense") else (2,)
    return getattr(tv.layers, kind)(units, *sizes, **options)


def inputs(name: str, count: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, 17])
    return rng.normal(size=(count, *SHAPES[map_of(name)])).astype(np.float32)


def made(name: str, number: int = 0, units: int = 3, **options):
    """Returns a built layer whose every parameter is random, the same ones for a `number`."""
    layer = make(name, units, **options)
    layer.build((None, *SHAPES[map_of(name)]))
    randomize(layer, number)
    return layer


def randomize(layer, seed: int) -> None:
    rng = np.random.default_rng([seed, 23])
    for variable in layer.trainable_variables:
        fast = SCALE_SPEED if variable is layer.raw_scale else 1
        variable.assign(rng.normal(0.0, 0.7, variable.shape) / fast)


def softplus(raw) -> np.ndarray:
    return np.logaddexp(0, np.asarray(raw, np.float64))


def loc_and_scale(layer) -> "tuple[np.ndarray, np.ndarray]":
    """Returns mean and standard deviation of the weights, float64 [F, U], from the variables."""
    raw = SCALE_SPEED * np.float64(layer.raw_scale.numpy())
    return np.float64(layer.loc.numpy()), softplus(raw) + WEIGHT_SCALE_FLOOR


def gradient_of_scale(raw) -> np.ndarray:
    """Returns d scale / d raw."""
    return SCALE_SPEED / (1 + np.exp(-SCALE_SPEED * np.asarray(raw, np.float64)))


def stock_map(layer, x, weights, bias):
    """Returns the layer of Keras with `weights` [fan-in, U] and `bias` [U], applied to x."""
    name = map_of(type(layer).__name__)
    options = {}
    if name != "Dense":
        options = {
            "kernel_size": layer.kernel_size,
            "strides": layer.strides,
            "padding": layer.padding,
            "dilation_rate": layer.dilation_rate,
        }
    stock = STOCK[name](layer.units, **options)
    stock.build(x.shape)
    stock.set_weights([np.reshape(weights, stock.kernel.shape), bias])
    return np.float64(stock(x).numpy())


def repeat(function, count: int, seed: int = 0, mode: str = ESTIMATOR):
    """Returns the arrays of `function()` under `count` noises, stacked in front, float64."""

    def one(key):
        with use(Noise(key, mode)):
            return function()

    def example():
        with use(Noise(tf.zeros(2, tf.int32), mode)):
            return function()

    signature = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), example())

    @tf.function(autograph=False)
    def every(keys):
        return tf.map_fn(one, keys, fn_output_signature=signature)

    keys = tf.stack([tf.fill([count], seed), tf.range(count)], axis=1)
    return tf.nest.map_structure(lambda t: np.float64(t.numpy()), every(keys))


def mean_and_error(draws: np.ndarray) -> "tuple[np.ndarray, np.ndarray]":
    """Returns the mean over the first axis and its standard error."""
    return draws.mean(0), draws.std(0, ddof=1) / np.sqrt(len(draws))
