"""What drawing the noise of the weights costs: layer by layer, in one draw, and not at all.

    python scripts/benchmarks/noise.py ROUNDS

writes a line of JSON. Counts seconds of the processor on one thread, not those of the clock, as the
differences are of a percent.
"""

import json
import sys
import time

import keras
import numpy as np
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import methods, randomness
from tfp_vae.layers.noise import ESTIMATOR, Noise, use

BATCH, STEPS, WIDTHS = 128, 40, (400, 400, 10)
# Of all draws of a step: pre-activations, or weights.
SHAPES = {
    "local": [(BATCH, width) for width in WIDTHS],
    "reparameterization": list(zip((784, *WIDTHS), WIDTHS, strict=False)),
}


class OneDraw(Noise):
    """Draws once for the whole network and cuts that up."""

    def __init__(self, key, mode, shapes):
        super().__init__(key, mode)
        sizes = [first * second for first, second in shapes]
        parts = tf.split(randomness.normal([sum(sizes)], self.key), sizes)
        self._parts = [tf.reshape(p, shape) for p, shape in zip(parts, shapes, strict=True)]

    def normal(self, layer, purpose, shape, axis=None):
        """Returns the next part."""
        return self._parts.pop(0)


class NoDraw(Noise):
    """Does all that noise is needed for, but draws none."""

    def normal(self, layer, purpose, shape, axis=None):
        """Returns ones."""
        return tf.ones(shape)


def training(estimator: str, noise):
    """Returns an epoch that returns its milliseconds per step; `noise` (key, mode) or None."""
    keras.utils.set_random_seed(0)
    dense = methods.ESTIMATORS[estimator][0]
    layers = [dense(width, "relu") for width in WIDTHS[:-1]]
    layers = [keras.layers.Flatten(), *layers, dense(WIDTHS[-1])]
    model = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Categorical(10))
    if noise is not None:
        model.weight_noise = lambda key, mode=ESTIMATOR: use(noise(key, mode))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (STEPS * BATCH, 28, 28, 1)).astype(np.uint8)
    split = tv.data.Split(images, tv.data.Kind.UNIT_INTERVAL, np.arange(len(images)) % 10)
    model.compile(optimizer="adam", steps_per_execution=STEPS, jit_compile=True)

    def block():
        started = time.process_time()
        model.fit(split, batch_size=BATCH, epochs=1, verbose=0)
        return 1e3 * (time.process_time() - started) / STEPS

    block()
    return block


def main():
    """Measures in turns."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = []
    for estimator, shapes in SHAPES.items():
        blocks = {
            "layer by layer": training(estimator, None),
            "one draw": training(estimator, lambda *key, s=shapes: OneDraw(*key, s)),
            "none": training(estimator, NoDraw),
        }
        found = {name: [] for name in blocks}
        for number in range(int(sys.argv[1])):
            for name in list(blocks)[:: 1 if number % 2 else -1]:
                found[name].append(blocks[name]())
        ours = np.array(found["layer by layer"])
        rows += [
            {
                "item": "N1",
                "estimator": estimator,
                "contestant": name,
                "milliseconds": float(np.median(times)),
                "ratio": float(np.median(ours / times)),
            }
            for name, times in found.items()
        ]
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
