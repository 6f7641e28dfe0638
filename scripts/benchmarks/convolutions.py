"""Where a step of V3 goes: its convolutions, forwards and back, and other ways to them."""

import time

import numpy as np

BATCH = 128


def _gradients(function, shape, *weights):
    """Returns a graph of the value and of the gradients in the input and the weights."""
    import tensorflow as tf

    x = tf.random.stateless_normal(shape, [0, 0])
    variables = [tf.Variable(0.1 * tf.random.stateless_normal(w, [0, 1])) for w in weights]

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x, *(tf.convert_to_tensor(v) for v in variables))
        return tape.gradient(y, [x, *variables], output_gradients=tf.ones_like(y))

    return step


def _ways() -> "dict[str, tuple]":
    """Returns {way: (floating-point operations of a step, the step)}."""
    import tensorflow as tf

    found = {}

    def add(name, function, shape, *weights, products=0):
        flops = 6 * BATCH * products
        found[name] = (flops, _gradients(function, (BATCH, *shape), *weights))

    def convolution(x, kernel):
        return tf.nn.conv2d(x, kernel, 2, "SAME")

    def subpixel(x, kernel):
        return tf.nn.depth_to_space(tf.nn.conv2d(x, kernel, 1, "SAME"), 2)

    def relu(x, bias):
        return tf.nn.relu(tf.nn.bias_add(x, bias))

    compiled = tf.function(relu, jit_compile=True, autograph=False)
    for size, before, after in ((28, 1, 32), (14, 32, 64)):
        cost = (size // 2) ** 2 * 9 * before * after
        name = f"convolution, {size}x{size}x{before} to {after}"
        add(name, convolution, (size, size, before), (3, 3, before, after), products=cost)
    for size, before, after in ((7, 64, 64), (14, 64, 32)):
        cost, shape = size**2 * 9 * before * after, (size, size, before)
        out = [BATCH, 2 * size, 2 * size, after]
        add(
            f"transposed, {size}x{size}x{before} to {after}",
            lambda x, kernel, out=out: tf.nn.conv2d_transpose(x, kernel, out, 2, "SAME"),
            *(shape, (3, 3, after, before)),
            products=cost,
        )
        add(
            f"the same as subpixel products, {size}x{size}x{before} to {after}",
            *(subpixel, shape, (2, 2, before, 4 * after)),
            products=cost,
        )
    for size, filters in ((28, 32), (14, 64)):
        shape = (size, size, filters)
        add(f"bias and ReLU, {size}x{size}x{filters}", relu, shape, (filters,))
        add(f"the same by XLA, {size}x{size}x{filters}", compiled, shape, (filters,))
    add(
        "1x1 to 1, 28x28x32",
        lambda x, kernel: tf.matmul(tf.reshape(x, [-1, 32]), kernel),
        *((28, 28, 32), (32, 1)),
        products=28 * 28 * 32,
    )
    return found


def measure_convolutions(rounds: int) -> list[dict]:
    """Returns milliseconds of each part of a batch of 128, forwards and back; medians of rounds."""
    print("\nC1: parts of a step of V3", flush=True)
    ways, times = _ways(), {}
    for number in range(rounds + 1):  # the first traces and compiles
        for name, (_, step) in ways.items():
            started = time.perf_counter()
            for gradient in step():
                gradient.numpy()
            if number:
                times.setdefault(name, []).append(time.perf_counter() - started)
    return [
        {
            "item": "C1",
            "contestant": name,
            "milliseconds": 1000 * float(np.median(times[name])),
            "gflops": flops / float(np.median(times[name])) / 1e9,
        }
        for name, (flops, _) in ways.items()
    ]
