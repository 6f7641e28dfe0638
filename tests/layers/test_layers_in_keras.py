"""Bayesian layers in stock Keras: compile and fit, XLA, half precision, saving."""

import keras
import layer_cases as cases
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.layers import priors
from tfp_vae.layers.base import raw_scale_of
from tfp_vae.layers.noise import MEAN, SHARED, Noise, use

KL_WEIGHT = 0.01


@keras.saving.register_keras_serializable(package="test")
class Subclassed(keras.Model):
    def __init__(self, hidden, output, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.output_layer = hidden, output
        self.flatten = keras.layers.Flatten()

    def call(self, x):
        return self.output_layer(self.flatten(self.hidden(x)))


def _model(style, name, **options):
    """Returns a model of two Bayesian layers, the second one dense."""
    hidden = cases.make(name, activation="tanh", kl_weight=KL_WEIGHT, **options)
    dense = "Dense" + name.removeprefix(cases.map_of(name))
    output = getattr(tv.layers, dense)(1, kl_weight=KL_WEIGHT, **options)
    if style == "subclassed":
        return Subclassed(hidden, output)
    if style == "sequential":
        return keras.Sequential([hidden, keras.layers.Flatten(), output])
    start = keras.Input(cases.SHAPES[cases.map_of(name)])
    return keras.Model(start, output(keras.layers.Flatten()(hidden(start))))


def _bayesian(model):
    return [la for la in model._flatten_layers() if isinstance(la, tv.layers.BayesianLayer)]


STYLES = ("sequential", "functional", "subclassed")
STOCK = [
    pytest.param(STYLES[i % 3], name, marks=[pytest.mark.all_only] * name.startswith("Conv1D"))
    for i, name in enumerate(cases.NAMES)
]
STOCK += [(style, "DenseReparameterization") for style in STYLES[1:]]


@pytest.mark.parametrize(("style", "name"), STOCK)
def test_stock_fit_adds_kl_weight_times_the_kl_once(style, name, base_seed):
    model, x = _model(style, name), cases.inputs(name, 12, base_seed)
    y = np.random.default_rng(base_seed).normal(size=(12, 1)).astype(np.float32)
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    with use(Noise(tf.constant([0, 0]), MEAN)):  # no noise in what the loss is made of
        error = np.mean((model(x).numpy() - y) ** 2)
        trained = model.fit(x, y, batch_size=12, verbose=0).history["loss"][0]
        evaluated = model.evaluate(x, y, batch_size=4, verbose=0)
    kl = sum(float(layer.kl_divergence()) for layer in _bayesian(model))
    assert len(_bayesian(model)) == 2
    assert trained == pytest.approx(error + KL_WEIGHT * kl, rel=1e-5)
    assert evaluated == pytest.approx(error + KL_WEIGHT * kl, rel=1e-5)


@pytest.mark.all_only
@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(name, marks=[pytest.mark.all_only] * (name == "Reparameterization"))
        for name in cases.ESTIMATORS
    ],
)
def test_stock_training_learns_and_draws_anew_at_every_pass(estimator, base_seed):
    name = "Dense" + estimator
    x = cases.inputs(name, 64, base_seed)
    y = 2 * x.mean(axis=1)[:, None] + 1
    model = _model("sequential", name, prior="student_t")
    for layer in _bayesian(model):
        layer.kl_weight = 1e-3
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    history = model.fit(x, y, batch_size=16, epochs=10, verbose=0).history["loss"]
    assert history[-1] < 0.6 * history[0]
    assert np.mean(model(x) != model(x)) > 0.9


@pytest.mark.all_only
@pytest.mark.slow
def test_stock_training_compiles_with_xla(request, base_seed):
    images = [
        tv.layers.Conv2DReparameterization(2, 3, kl_weight=1e-3),
        tv.layers.Conv2DLocalReparameterization(2, 3, padding="same", kl_weight=1e-3),
    ]
    model = keras.Sequential(
        [
            *(images if request.config.getoption("whole") else []),
            keras.layers.Flatten(),
            keras.layers.Reshape((-1, 1)),
            tv.layers.Conv1DFlipout(1, 4, strides=3, kl_weight=1e-3, prior="scale_mixture"),
            keras.layers.Flatten(),
            tv.layers.DenseReparameterization(1, covariance=1, kl_weight=1e-3),
        ]
    )
    x = np.random.default_rng(base_seed).normal(size=(8, 7, 7, 1)).astype(np.float32)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse", jit_compile=True)
    history = model.fit(x, 0 * x[:, 0, 0] + 3, batch_size=8, epochs=30, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.all_only
def test_covariances_are_built_inside_a_graph_too():
    for covariance in ("full", 2):
        model = _model("subclassed", "DenseReparameterization", covariance=covariance)
        assert model(keras.KerasTensor((None, 4))).shape == (None, 1)
        assert np.isfinite(float(model.hidden.kl_divergence()))


def test_shapes_are_known_before_a_layer_is_built():
    for name in cases.NAMES:
        layer = cases.make(name)
        shape = (None, *cases.SHAPES[cases.map_of(name)])
        known = layer.compute_output_shape(shape)
        assert keras.Sequential([keras.Input(shape[1:]), layer]).output_shape == known


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        *((name, "mixed_float16") for name in cases.NAMES),
        *(
            pytest.param(name, "mixed_bfloat16", marks=[pytest.mark.all_only] * (i > 0))
            for i, name in enumerate(cases.NAMES)
        ),
    ],
)
def test_half_precision_keeps_weights_and_kl_in_float32_and_gradients_finite(
    name, policy, base_seed
):
    reference = cases.made(name, base_seed, bayesian_bias=True)
    keras.config.set_dtype_policy(policy)
    layer = cases.made(name, base_seed, bayesian_bias=True)
    x = cases.inputs(name, 4, base_seed)
    layer.raw_scale.assign_sub(tf.fill(layer.raw_scale.shape, 0.6))  # small scales, near 0.002
    reference.raw_scale.assign(layer.raw_scale)
    for values in (x, np.zeros_like(x)):
        with tf.GradientTape() as tape:
            outputs = layer(values)
            total = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2) + layer.kl_divergence()
        assert outputs.dtype == policy.removeprefix("mixed_")
        for gradient in tape.gradient(total, layer.trainable_variables):
            assert np.all(np.isfinite(gradient))
    assert {v.dtype for v in layer.variables if v.name != "seed_generator_state"} == {"float32"}
    assert layer.kl_divergence().dtype == layer.posterior.dtype == tf.float32
    assert float(layer.kl_divergence()) == pytest.approx(float(reference.kl_divergence()), rel=1e-6)
    # The noise is not lost to rounding: float16 has no number for the square of 0.0002.
    layer.raw_scale.assign(tf.fill(layer.raw_scale.shape, raw_scale_of(2e-4)))
    layer.loc.assign(tf.zeros(layer.loc.shape))
    draws = cases.repeat(lambda: tf.cast(layer(x), tf.float32), 300, base_seed)
    keras.config.set_dtype_policy("float32")
    squares = cases.stock_map(layer, x**2, np.ones((layer.fan_in, 3)), np.ones(3))
    ratio = draws.var(0) / (2e-4**2 * squares)
    assert abs(ratio.mean() - 1) < 5 * np.sqrt(2 / 300)


@pytest.mark.all_only
@pytest.mark.parametrize(
    "policy", [pytest.param("mixed_bfloat16", marks=pytest.mark.all_only), "mixed_float16"]
)
def test_half_precision_trains_in_stock_keras(policy, base_seed):
    x = cases.inputs("Dense", 64, base_seed)
    y = x.sum(axis=1, keepdims=True)
    keras.config.set_dtype_policy(policy)
    hidden = tv.layers.DenseLocalReparameterization(5, "tanh", kl_weight=KL_WEIGHT)
    model = keras.Sequential([hidden, tv.layers.DenseFlipout(1, kl_weight=KL_WEIGHT)])
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
    history = model.fit(x, y, batch_size=16, epochs=8, verbose=0).history["loss"]
    assert np.all(np.isfinite(history))
    assert history[-1] < history[0]


SAVED_PRIORS = {
    "number": 0.3,
    "fan_in": lambda: priors.Normal("fan_in", learned=True),
    "mixture": lambda: priors.ScaleMixture(0.5, ratio=0.1, weight=0.3, learned=True),
    "student_t": lambda: priors.StudentT(0.5, df=5.0),
    "horseshoe": "horseshoe",
}
# One of each estimator and of each map; the layers alone come back in tests/testing.
OFTEN = ("DenseReparameterization", "Conv1DLocalReparameterization", "Conv2DFlipout")
SAVED = [
    pytest.param(name, "diagonal", marks=[pytest.mark.all_only] * (name not in OFTEN))
    for name in cases.NAMES
]
SAVED += [("DenseReparameterization", "full"), ("Conv1DReparameterization", 2)]


@pytest.mark.parametrize(("name", "covariance"), SAVED)
def test_every_layer_comes_back_from_a_file_as_it_was(name, covariance, tmp_path, base_seed):
    """One model with the layer under every prior, each on the inputs."""
    x = cases.inputs(name, 3, base_seed)
    start = keras.Input(x.shape[1:])
    layers = [
        cases.make(
            name,
            name=f"with_{label}",
            activation="tanh",
            prior=prior() if callable(prior) else prior,
            covariance=covariance,
            bayesian_bias=i % 2 == 0,
            initial_scale=0.2,
            kl_weight=0.5,
            seed=3,
            **({} if name.startswith("Dense") else {"padding": "same", "dilation_rate": 2}),
        )
        for i, (label, prior) in enumerate(SAVED_PRIORS.items())
    ]
    model = keras.Model(start, [layer(start) for layer in layers])
    for i, layer in enumerate(layers):
        cases.randomize(layer, base_seed + i)
    noise = Noise(tf.constant([1, 2]), SHARED)
    with use(noise):
        expected = [output.numpy() for output in model(x)]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    with use(Noise(tf.constant([1, 2]), SHARED)):
        found = again(x)
    for layer, before, after in zip(layers, expected, found, strict=True):
        loaded = again.get_layer(layer.name)
        assert type(loaded) is type(layer)
        assert loaded.get_config() == layer.get_config()
        np.testing.assert_array_equal(after, before)
        w = layer.posterior.sample(seed=[1, 1])
        np.testing.assert_array_equal(loaded.posterior.log_prob(w), layer.posterior.log_prob(w))
        np.testing.assert_array_equal(loaded.prior.log_prob(w), layer.prior.log_prob(w))
