"""The VAE under Keras: what is trained, what is reported, what is repeatable."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from loop_cases import small_vae
from training.training_cases import Again

import tfp_vae as tv
from tfp_vae import objectives
from tfp_vae.data import Kind, Split
from tfp_vae.models import graphs

tfd = tfp.distributions
# The XLA program of a VAE is that of its graph (tests/models/test_loop.py), which is cheaper.
DEAR = [pytest.mark.all_only, pytest.mark.dear(reason="XLA is slow at half precision on CPUs")]
XLA = pytest.param(True, marks=pytest.mark.all_only)


def _fit(vae, x, **options):
    options = {"batch_size": 16, "epochs": 2, "verbose": 0, **options}
    jit = options.pop("jit_compile", False)
    vae.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=jit)
    return vae.fit(x, **options).history


def _again(vae, **options):
    vae.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=False, **options)
    return Again(vae)


def test_parts_are_tfp_distributions_when_called(make_vae, binary_images):
    vae, x = make_vae(), binary_images(3)
    posterior, prior = vae.encoder(x), vae.prior()
    likelihood = vae.decoder(posterior.sample(5, seed=[0, 0]))
    assert isinstance(posterior, tfd.MultivariateNormalDiag)
    assert isinstance(prior, tfd.MultivariateNormalDiag)
    assert isinstance(likelihood, tfd.Independent)
    assert isinstance(likelihood.distribution, tfd.Bernoulli)
    assert (posterior.batch_shape, posterior.event_shape) == ((3,), (2,))
    assert (likelihood.batch_shape, likelihood.event_shape) == ((5, 3), (4, 4, 1))


def test_loss_is_the_mean_of_the_sum_over_pixels_plus_the_kl_once(make_vae, binary_images):
    vae, x = make_vae(num_samples=3), binary_images(10)
    vae.compile()
    outputs = vae(x)
    posterior, z, likelihood = outputs.posterior, outputs.z, outputs.likelihood
    logits = likelihood.distribution.logits.numpy().astype(np.float64)
    per_pixel = x * logits - np.logaddexp(0, logits)  # [S, B, H, W, C]
    loc, scale = posterior.mean().numpy(), posterior.stddev().numpy()
    kl = 0.5 * np.sum(scale**2 + loc**2 - 1 - 2 * np.log(scale), axis=1)
    expected = -np.mean(per_pixel.sum((2, 3, 4)).mean(0) - kl)
    loss = vae.compute_loss(x=tf.constant(x), y_pred=outputs, training=False)
    assert z.shape == (3, 10, 2)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    logs = vae.evaluate(x, verbose=0, return_dict=True, batch_size=10)
    assert logs["loss"] == pytest.approx(-logs["elbo"], rel=1e-6)
    assert logs["elbo"] == pytest.approx(logs["reconstruction"] - logs["kl"], rel=1e-6)
    assert logs["kl"] == pytest.approx(kl.mean(), rel=1e-5)


def test_doubling_the_image_area_doubles_the_reconstruction_term(make_vae, binary_images):
    x = binary_images(20)
    logs = {}
    for repeat in (1, 2):
        images = np.concatenate([x] * repeat, axis=1)
        vae = make_vae(shape=(4 * repeat, 4, 1))
        # Decoders that ignore z and give every pixel the same logit.
        kernel, _ = vae.decoder.projection.get_weights()
        vae.decoder.projection.set_weights([0 * kernel, np.full(kernel.shape[1], 0.3)])
        vae.compile()
        logs[repeat] = vae.evaluate(images, verbose=0, return_dict=True)
    assert logs[2]["reconstruction"] == pytest.approx(2 * logs[1]["reconstruction"], rel=1e-6)


@pytest.mark.all_only
@pytest.mark.parametrize("jit_compile", [False, XLA], ids=["graph", "xla"])
def test_short_last_batch_does_not_shift_any_metric(make_vae, binary_images, jit_compile):
    x = binary_images(50)
    x[-2:] = 1  # the two of the short batch are unlike the rest
    vae = make_vae()
    # Without noise of z, so that the batch size changes nothing else.
    kernel, bias = vae.encoder.projection.get_weights()
    bias[2:] = -50
    kernel[:, 2:] = 0
    vae.encoder.projection.set_weights([kernel, bias])
    vae.compile(jit_compile=jit_compile)
    whole = vae.evaluate(x, batch_size=50, verbose=0, return_dict=True)
    for batch_size in (16, 48, 7):
        parts = vae.evaluate(x, batch_size=batch_size, verbose=0, return_dict=True)
        assert parts.keys() == whole.keys()
        for name in whole:
            assert parts[name] == pytest.approx(whole[name], rel=1e-4), name


def test_metric_elbo_does_not_move_with_beta(make_vae, binary_images):
    x = binary_images(40)
    logs = {}
    for beta in (1.0, 0.0, 7.0):
        keras.utils.set_random_seed(3)
        vae = make_vae(objective=objectives.ELBO(beta=beta))
        vae.compile()
        logs[beta] = vae.evaluate(x, verbose=0, return_dict=True)
    assert logs[0.0]["elbo"] == logs[1.0]["elbo"] == logs[7.0]["elbo"]
    assert logs[0.0]["loss"] == pytest.approx(-logs[0.0]["reconstruction"], rel=1e-6)
    assert logs[7.0]["loss"] > logs[1.0]["loss"] > logs[0.0]["loss"]


def test_bits_per_dim_is_the_bound_in_bits_over_the_pixels(make_vae, binary_images):
    vae = make_vae()
    vae.compile()
    logs = vae.evaluate(binary_images(20), verbose=0, return_dict=True)
    assert logs["bits_per_dim"] == pytest.approx(-logs["elbo"] / (16 * math.log(2)), rel=1e-6)


def test_bits_per_dim_is_not_reported_for_densities(make_vae):
    vae = make_vae(decoder=tv.decoders.Normal)
    vae.compile()
    x = np.random.default_rng(0).random((20, 4, 4, 1), np.float32)
    assert "bits_per_dim" not in vae.evaluate(x, verbose=0, return_dict=True)


def test_active_units_count_the_latents_whose_mean_moves_with_the_data(make_vae, binary_images):
    vae, x = make_vae(latent_dim=4), binary_images(200)
    kernel, bias = vae.encoder.projection.get_weights()
    kernel[:, :4] *= np.array([3.0, 1e-3, 3.0, 0.0])
    vae.encoder.projection.set_weights([kernel, bias + 5])  # a large mean is not activity
    vae.compile()
    logs = vae.evaluate(x, batch_size=64, verbose=0, return_dict=True)
    variance = vae.encoder(x).mean().numpy().astype(np.float64).var(0)
    assert logs["active_units"] == np.sum(variance > 0.01) == 2
    np.testing.assert_allclose(
        vae.active_units_trackers[0].variance(), variance, rtol=1e-3, atol=1e-6
    )


@pytest.mark.all_only
@pytest.mark.parametrize("jit_compile", [False, XLA], ids=["graph", "xla"])
@pytest.mark.dear(reason="three trainings, each compiled by XLA")
def test_same_seed_gives_the_same_history_and_another_seed_alone_another(
    make_vae, binary_images, jit_compile
):
    x = binary_images(50)
    histories = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(0)  # the same weights: the noise alone differs
        vae = make_vae(seed=seed)
        histories.append(_fit(vae, x, jit_compile=jit_compile))
    assert histories[0] == histories[1]
    assert histories[0]["elbo"] != histories[2]["elbo"]


def test_samples_of_one_call_and_of_successive_steps_differ(make_vae, binary_images):
    vae, x = make_vae(num_samples=4), binary_images(3)
    vae.compile()
    with vae.stepping():
        first = vae(x, training=True).z.numpy()
    assert len(np.unique(first[:, 0, 0])) == 4
    assert len(np.unique(first[0, :, 0])) == 3
    vae.optimizer.iterations.assign_add(1)
    with vae.stepping():
        assert np.all(vae(x, training=True).z.numpy() != first)


def test_samples_have_the_mean_and_spread_of_the_posterior(make_vae, binary_images):
    vae, x = make_vae(num_samples=20_000), binary_images(2)
    outputs = vae(x)
    posterior, z = outputs.posterior, outputs.z
    z = (z.numpy() - posterior.mean().numpy()) / posterior.stddev().numpy()
    assert np.all(np.abs(z.mean(0)) < 4 / math.sqrt(len(z)))
    assert np.all(np.abs(z.var(0) - 1) < 4 * math.sqrt(2 / len(z)))


def test_every_evaluation_sees_the_same_noise_and_training_does_not_disturb_it(
    make_vae, binary_images
):
    vae, x = make_vae(), binary_images(40)
    vae.compile()
    first = vae.evaluate(x, batch_size=16, verbose=0)
    assert vae.evaluate(x, batch_size=16, verbose=0) == first
    vae.optimizer.iterations.assign_add(5)
    assert vae.evaluate(x, batch_size=16, verbose=0) == first


def test_validation_does_not_disturb_training(make_vae, binary_images):
    x, start = binary_images(50), _again(make_vae())
    histories = []
    for validation in (None, x[:13]):
        options = {"validation_data": validation, "epochs": 2, "batch_size": 16, "verbose": 0}
        histories.append(start().fit(x, **options).history["elbo"])
    assert histories[0] == histories[1]


@pytest.mark.always(reason="the state of fit")
def test_training_in_two_calls_equals_training_in_one(make_vae):
    # New order and new binarisation in every epoch, also of the second call.
    split = Split(np.random.default_rng(0).random((50, 4, 4, 1)), Kind.DYNAMIC)
    start = _again(make_vae())

    def run(*calls):
        vae, elbo = start(), []
        for options in calls:
            elbo += vae.fit(split, batch_size=16, verbose=0, **options).history["elbo"]
        return elbo

    whole = run({"epochs": 4})
    assert run({"epochs": 2}, {"epochs": 4, "initial_epoch": 2}) == whole
    assert run({"epochs": 1}, {"epochs": 3}) == whole


@pytest.mark.all_only
def test_steps_per_execution_does_not_change_the_run(make_vae, binary_images):
    x = binary_images(50)
    starts, weights = {}, []
    for steps, traced in ((1, 1), (3, 3), (100, 3)):  # many steps are one loop, however many
        if traced not in starts:
            keras.utils.set_random_seed(0)
            starts[traced] = _again(make_vae(), steps_per_execution=traced)
        vae = starts[traced]()
        vae.steps_per_execution = steps
        vae.fit(x, batch_size=16, epochs=3, verbose=0)
        assert int(vae.optimizer.iterations) == 12
        weights.append(vae.get_weights())
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.always(reason="the one run under XLA")
def test_eager_graph_and_xla_agree_on_the_bound_within_monte_carlo_error(make_vae, binary_images):
    x = binary_images(200)
    vae = make_vae(num_samples=200)
    bounds = []
    for options in ({"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}):
        vae.compile(**options)
        bounds.append(vae.evaluate(x, batch_size=200, verbose=0, return_dict=True)["elbo"])
    per_sample = vae(x).likelihood.log_prob(x).numpy()
    error = per_sample.std(0).mean() / math.sqrt(200 * 200)
    assert np.ptp(bounds) < 6 * error


@pytest.mark.parametrize(
    ("policy", "jit"),
    [
        ("mixed_bfloat16", False),
        ("mixed_float16", False),
        pytest.param("mixed_bfloat16", True, marks=DEAR),
    ],
    ids=["mixed_bfloat16", "mixed_float16", "mixed_bfloat16-xla"],
)
def test_mixed_precision_trains_with_float32_bounds(make_vae, binary_images, policy, jit):
    x = binary_images(200)
    keras.config.set_dtype_policy(policy)
    vae = make_vae(hidden=(32,))
    history = _fit(vae, x, epochs=5, jit_compile=jit)
    assert history["elbo"][-1] > history["elbo"][0]
    assert vae.encoder.network.layers[-1].compute_dtype == policy.removeprefix("mixed_")
    assert vae.elbo(x[:5], 3).dtype == np.float32
    # The bound is not a multiple of the step of the half-precision type at its size.
    assert float(np.float16(history["elbo"][-1])) != history["elbo"][-1]


def test_gradient_equals_finite_differences(make_vae, binary_images):
    vae, x = make_vae(num_samples=2, hidden=(5,)), tf.constant(binary_images(6))
    vae.compile()

    def loss():
        return vae.compute_loss(x=x, y_pred=vae(x, seed=4), training=True)

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, vae.trainable_variables)
    rng = np.random.default_rng(0)
    for variable, gradient in zip(vae.trainable_variables, gradients, strict=True):
        start = variable.numpy()
        direction = rng.normal(size=start.shape)
        direction /= np.linalg.norm(direction)
        ends = []
        for step in (1e-2, -1e-2):
            variable.assign(start + step * direction)
            ends.append(float(loss()))
        variable.assign(start)
        slope = (ends[0] - ends[1]) / 2e-2
        # float32 values near 10 carry 1e-6; the step's curvature the rest.
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=2e-2, abs=2e-3)


def test_gradient_through_samples_is_that_of_the_closed_form():
    # x|z ~ N(z, 1) with an encoder N(a x, s^2): d/da of E_q[log p(x|z)] - KL is x^2 (1 - 2 a).
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(1),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([]), 1),
        decoder=tv.decoders.Normal(tv.networks.mlp([]), (1,), scale=1.0),
        num_samples=50_000,
    )
    vae.encoder.projection.set_weights([np.array([[0.2, 0.0]]), np.array([0.0, 0.3])])
    vae.decoder.projection.set_weights([np.array([[1.0]]), np.array([0.0])])
    vae.compile()
    x = tf.constant([[1.5]])
    with tf.GradientTape() as tape:
        loss = vae.compute_loss(x=x, y_pred=vae(x), training=True)
    gradient = -tape.gradient(loss, vae.encoder.projection.kernel).numpy()[0, 0]
    spread = math.log1p(math.exp(0.3))
    error = spread * 1.5 / math.sqrt(50_000)  # of mean_s x (x - z_s)
    assert abs(gradient - 1.5**2 * (1 - 2 * 0.2)) < 4 * error


def test_sample_weights_of_zero_leave_an_example_out(make_vae, binary_images):
    x = binary_images(20)
    weight = np.r_[np.ones(10), np.zeros(10)].astype(np.float32)
    vae = make_vae()
    vae.compile()
    weighted = vae.evaluate(x, sample_weight=weight, batch_size=20, verbose=0, return_dict=True)
    # The noise is keyed by the batch: the same posterior draws, with and without weights.
    vae.reset_metrics()
    with vae.stepping():
        outputs = vae(x, training=False)
    every = objectives.elbo(vae.terms(x, None, outputs))
    assert weighted["elbo"] == pytest.approx(float(tf.reduce_mean(every[:10])), rel=1e-5)
    assert weighted["loss"] == pytest.approx(-weighted["elbo"] / 2)  # Keras divides by 20


def test_keras_callbacks_and_logs_work(make_vae, binary_images, tmp_path):
    x, vae = binary_images(50), make_vae()
    vae.compile(optimizer="adam")
    callbacks = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_elbo", mode="max"),
        keras.callbacks.EarlyStopping(monitor="val_elbo", mode="max", patience=1),
        keras.callbacks.TensorBoard(tmp_path / "board"),
        keras.callbacks.TerminateOnNaN(),
    ]
    history = vae.fit(
        x, validation_data=x[:9], batch_size=16, epochs=2, callbacks=callbacks, verbose=0
    ).history
    names = {"loss", "elbo", "reconstruction", "kl", "bits_per_dim", "active_units"}
    assert set(history) == names | {f"val_{name}" for name in names}
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 3
    assert "val_elbo" in rows[0]
    assert list((tmp_path / "board" / "train").iterdir())
    assert tv.load(tmp_path / "best.keras").optimizer.iterations > 0


def test_predict_returns_reconstructions_as_tensors(make_vae, binary_images):
    vae, x = make_vae(), binary_images(37)
    vae.compile()
    predicted = vae.predict(x, batch_size=16, verbose=0)
    assert predicted.shape == x.shape
    np.testing.assert_allclose(predicted, vae.reconstruct(x), rtol=1e-5, atol=1e-6)
    assert np.all((predicted > 0) & (predicted < 1))


@pytest.mark.all_only
def test_datasets_arrays_and_splits_are_the_same_data(make_vae, binary_images):
    x = binary_images(40)
    vae = make_vae()
    vae.compile()
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(16)
    results = [
        vae.evaluate(data, batch_size=size, verbose=0)
        for data, size in [(x, 16), (Split(x, Kind.STATIC), 16), (dataset, None)]
    ]
    assert results[0] == results[1] == results[2]
    vae.fit(dataset, epochs=1, verbose=0)


def test_steps_per_epoch_beyond_one_pass_goes_on_with_the_next(make_vae, binary_images):
    vae = make_vae()
    vae.compile(optimizer="adam")
    vae.fit(binary_images(40), batch_size=16, epochs=3, steps_per_epoch=5, verbose=0)
    assert int(vae.optimizer.iterations) == 15


@pytest.mark.all_only
def test_accumulated_gradients_see_new_noise_for_every_batch(make_vae, binary_images):
    vae, x = make_vae(), binary_images(64)
    vae.compile(
        optimizer=keras.optimizers.Adam(1e-3, gradient_accumulation_steps=4), jit_compile=False
    )
    keys = []
    for _ in range(3):
        vae.train_on_batch(x[:16])
        with vae.stepping():
            keys.append(tuple(vae.noise_key(True).numpy()))
    assert len(set(keys)) == 3


def test_evaluation_noise_is_keyed_by_the_batch_whatever_the_weights(make_vae, binary_images):
    vae, x = make_vae(), binary_images(12)
    vae.compile()
    draws = {}
    for name, weight in {
        "small": np.full(12, 0.1),
        "none": np.zeros(12),
        "one": np.ones(12),
    }.items():
        vae.reset_metrics()
        draws[name] = []
        for start in (0, 4, 8):
            batch, weights = x[start : start + 4], weight[start : start + 4]
            with vae.stepping():  # as `evaluate` does
                outputs = vae(batch, training=False)
                vae.compute_loss(x=batch, y_pred=outputs, sample_weight=weights, training=False)
            draws[name].append(outputs.z.numpy())
    np.testing.assert_array_equal(draws["small"], draws["one"])
    np.testing.assert_array_equal(draws["none"], draws["one"])
    assert np.any(draws["one"][0] != draws["one"][1])


@pytest.mark.all_only
def test_validation_weights_count_without_targets(make_vae, binary_images):
    x = binary_images(20)
    weight = np.r_[np.zeros(10), np.full(10, 2.0)].astype(np.float32)
    start, logs = _again(make_vae()), {}
    for name, data in {"weighted": (x, None, weight), "alone": x}.items():
        logs[name] = start().fit(x, validation_data=data, batch_size=20, verbose=0).history
    assert logs["weighted"]["val_elbo"] != pytest.approx(logs["alone"]["val_elbo"], abs=1e-4)
    assert logs["weighted"]["elbo"] == logs["alone"]["elbo"]


@pytest.mark.all_only
def test_one_callback_and_positional_arguments_are_taken_as_by_keras(make_vae, binary_images):
    vae, x = make_vae(), binary_images(40)
    vae.compile(optimizer="adam")
    history = vae.fit(x, None, 16, 2, 0, keras.callbacks.TerminateOnNaN())
    assert len(history.history["elbo"]) == 2
    assert vae.predict(x, 16, 0).shape == x.shape
    assert len(vae.fit(x, batch_size=16, validation_split=0.25, verbose=0).history["val_elbo"]) == 1


@pytest.mark.parametrize("scale", [1, 255], ids=["dim", "bright"])
def test_bytes_are_the_same_numbers_in_every_batch_and_integer_type(scale):
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([3]), 2),
        decoder=tv.decoders.DiscretizedLogistic(tv.networks.mlp([3]), (2, 2, 1)),
    )
    x = np.array([0, 1, 0, scale], np.uint8).reshape(1, 2, 2, 1)
    for dtype in (np.uint8, np.int64):
        np.testing.assert_allclose(vae.as_split(x.astype(dtype)).values(), x / 255.0, rtol=1e-6)


def test_array_of_another_scale_than_the_training_data_is_refused(make_vae):
    vae = make_vae(decoder=tv.decoders.Normal, data_kind="unit_interval")
    with pytest.raises(ValueError, match=r"out of range.*\[0, 1\].*unit_interval"):
        vae.elbo(255 * GREY.astype(np.float32), 2)
    assert vae.as_split((255 * GREY).astype(np.int64)).kind is Kind.UNIT_INTERVAL


# Keras reloads a layer without `build` with this warning, and rightly.
@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer:UserWarning")
@pytest.mark.parametrize(
    "network",
    [
        pytest.param("functional", marks=pytest.mark.all_only),
        "sequential_with_batchnorm",
        "subclassed",
    ],
)
def test_any_keras_network_may_be_supplied(binary_images, tmp_path, network):
    @keras.saving.register_keras_serializable(package="test")
    class Own(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(6, "relu")

        def call(self, inputs):
            return self.dense(
                tf.reshape(inputs, [tf.shape(inputs)[0], math.prod(inputs.shape[1:])])
            )

    def make(shape):
        if network == "subclassed":
            return Own()
        if network == "functional":
            inputs = keras.Input(shape)
            return keras.Model(inputs, keras.layers.Dense(6)(keras.layers.Flatten()(inputs)))
        return keras.Sequential(
            [
                keras.layers.Flatten(),
                keras.layers.Dense(6),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.2),
            ]
        )

    x = binary_images(60)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(make((4, 4, 1)), 2),
        decoder=tv.decoders.Bernoulli(make((2,)), (4, 4, 1)),
    )
    history = _fit(vae, x, epochs=5)
    assert history["elbo"][-1] > history["elbo"][0]
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras", trusted=("test",))
    np.testing.assert_array_equal(vae.reconstruct(x[:5]), again.reconstruct(x[:5]))


def test_batch_normalisation_moves_once_per_step(binary_images):
    x = binary_images(16)
    norm = keras.layers.BatchNormalization(momentum=0.5)
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(keras.Sequential([keras.layers.Flatten(), norm]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1)),
    )
    _fit(vae, x, epochs=1)
    np.testing.assert_allclose(
        norm.moving_mean, 0.5 * x.reshape(16, 16).mean(0), rtol=1e-5, atol=1e-6
    )


def test_regularisers_of_a_network_are_part_of_the_loss_and_not_of_the_bound(binary_images):
    x = binary_images(16)
    network = keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L2(2.0)),
        ]
    )
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(network, 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), (4, 4, 1)),
    )
    vae.compile()
    logs = vae.evaluate(x, verbose=0, return_dict=True)
    penalty = 2 * np.sum(network.layers[-1].get_weights()[0] ** 2)
    assert logs["loss"] == pytest.approx(-logs["elbo"] + penalty, rel=1e-5)


@pytest.mark.parametrize(
    ("jit", "kind", "scale"),
    [
        pytest.param(
            jit,
            kind,
            scale,
            marks=[pytest.mark.all_only] * (jit or (kind == "shared") != (scale > 1)),
            id=f"{'xla' if jit else 'graph'}-{kind}-{name}",
        )
        for jit in (False, True)
        for kind in ("shared", "per_pixel")
        for name, scale in (("plain", 1.0), ("times_1e4", 1e4))
    ],
)
def test_no_nan_with_constant_pixels_and_large_inputs(make_vae, scale, kind, jit):
    x = scale * np.random.default_rng(0).normal(size=(64, 4, 4, 1)).astype(np.float32)
    x[:, 0] = 0.0  # constant pixels, which a learned scale would love to shrink on
    x[0] = 0.0
    vae = make_vae(decoder=lambda net, shape: tv.decoders.Normal(net, shape, scale=kind))
    history = _fit(vae, x, epochs=20, jit_compile=jit)
    assert all(np.all(np.isfinite(values)) for values in history.values())
    assert np.all(np.isfinite(vae.log_evidence(x, 20)))


@pytest.mark.all_only
@pytest.mark.parametrize(
    "encoder",
    [
        pytest.param(tv.encoders.Gaussian, marks=pytest.mark.all_only),
        tv.encoders.FullGaussian,
    ],
)
def test_no_nan_with_two_hundred_latents(make_vae, binary_images, encoder):
    x = binary_images(64)
    x[0] = 0.0  # an all-black image
    vae = make_vae(latent_dim=200, encoder=encoder)
    history = _fit(vae, x, epochs=10)
    assert all(np.all(np.isfinite(values)) for values in history.values())
    assert np.all(np.isfinite(vae.log_evidence(x, 20)))


@pytest.mark.all_only
def test_free_bits_and_capacity_pull_the_kl_where_they_should(make_vae, binary_images):
    x = binary_images(400)
    kl = {}
    for name, objective in {
        "beta_50": objectives.ELBO(beta=50.0),
        "free_bits": objectives.ELBO(beta=50.0, free_bits=0.5),
        "capacity": objectives.ELBO(beta=50.0, capacity=2.0),
    }.items():
        keras.utils.set_random_seed(0)
        vae = make_vae(objective=objective)
        kl[name] = _fit(vae, x, epochs=20, batch_size=50)["kl"][-1]
    assert kl["beta_50"] < 0.05
    assert kl["free_bits"] > 0.5  # half a nat costs nothing in each of two dimensions
    assert kl["capacity"] == pytest.approx(2.0, abs=0.3)


def test_log_likelihood_has_one_value_per_example_for_odd_sample_counts(make_vae, binary_images):
    vae, x = make_vae(), binary_images(23)

    def evidence(num_samples, seed=0):
        return vae.log_evidence(x, num_samples, proposal="encoder", seed=seed)

    many = evidence(3000)
    assert many.shape == (23,)
    for num_samples in (1, 37, 2049):
        few = np.mean([evidence(num_samples, s) for s in range(3)], axis=0)
        assert few.shape == (23,)
        assert np.mean(few) < np.mean(many) + 0.05


def test_streamed_bounds_equal_those_of_the_objective_on_all_samples_at_once(
    make_vae, binary_images
):
    vae, x = make_vae(), binary_images(5)
    bounds = vae.bounds(x, 4000)
    terms = vae.terms(x, None, vae(x, num_samples=4000, seed=8))
    log_w = terms.log_weights().numpy().astype(np.float64)
    once = objectives.importance_weighted_bound(terms).numpy()
    size = np.exp(2 * np.logaddexp.reduce(log_w) - np.logaddexp.reduce(2 * log_w))
    error = np.sqrt(1 / np.minimum(bounds.effective_sample_size, size))
    assert np.all(np.abs(bounds.log_evidence - once) < 5 * error)
    spread = terms.log_likelihood.numpy().std(0) * math.sqrt(2 / 4000)
    assert np.all(np.abs(bounds.elbo - objectives.elbo(terms)) < 5 * spread)


def test_more_samples_run_through_the_same_compiled_loop(make_vae, binary_images):
    # One graph with one chunk size, so memory cannot depend on S.
    vae, x = make_vae(), binary_images(4)
    for num_samples in (1000, 5000, 20_000):
        vae.bounds(x, num_samples)
    graph = graphs.compiled(vae, "bounds", None, lambda: None)
    assert graph.experimental_get_tracing_count() == 1


def test_bounds_report_progress_up_to_the_last_example(make_vae, binary_images):
    vae, seen = make_vae(), []
    vae.bounds(binary_images(25), 2, batch_size=10, progress=lambda *counts: seen.append(counts))
    assert seen == [(10, 25), (20, 25), (25, 25)]


def test_generate_follows_its_seed(make_vae):
    vae = make_vae()
    first, again, other = (vae.generate(5, seed) for seed in (1, 1, 2))
    assert first["z"].shape == (5, 2)
    assert first["mean"].shape == first["sample"].shape == (5, 4, 4, 1)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert np.any(first[name] != other[name])
    assert set(np.unique(first["sample"])) <= {0.0, 1.0}


GREY = np.linspace(0, 1, 160).reshape(10, 4, 4, 1)
BAD_DATA = {
    "grey": (GREY, r"grey.*\(1\).*\(2\).*\(3\)"),
    "grey_bytes": ((255 * GREY).astype(np.uint8), r"grey.*\(1\).*\(2\).*\(3\)"),
    "real": (5 * GREY, r"does not fit real"),
    "wrong_shape": (np.zeros((10, 5, 4, 1)), r"wrong shape.*\(4, 4, 1\).*\(5, 4, 1\)"),
    "wrong_channels": (np.zeros((10, 4, 4, 3)), r"wrong shape.*\(4, 4, 1\).*\(4, 4, 3\)"),
    "nan": (np.full((10, 4, 4, 1), np.nan), r"not finite.*index \(0, 0, 0, 0\)"),
    "empty": (np.zeros((0, 4, 4, 1)), r"empty"),
}


@pytest.fixture(scope="module")
def untrained():
    """Returns a compiled VAE, which nothing trains: it is told what it refuses."""
    vae = small_vae()
    vae.compile(optimizer="adam")
    return vae


@pytest.mark.parametrize(("x", "message"), BAD_DATA.values(), ids=BAD_DATA)
@pytest.mark.parametrize("as_tensor", [False, True], ids=["array", "tensor"])
@pytest.mark.parametrize(
    "use", ["fit", "evaluate", "predict", "log_evidence", "validation", "validation_pair"]
)
def test_bad_data_are_refused_before_anything_is_trained(
    untrained, binary_images, x, message, use, as_tensor
):
    x = tf.constant(x) if as_tensor else x
    vae = untrained
    vae.data_kind = vae.num_data = None  # which good data beside bad ones have set
    with pytest.raises(ValueError, match=message):
        if use == "validation":
            vae.fit(binary_images(10), validation_data=x, verbose=0)
        elif use == "validation_pair":
            vae.fit(binary_images(10), validation_data=(x, None), verbose=0)
        elif use == "log_evidence":
            vae.log_evidence(x, 2)
        else:
            getattr(vae, use)(x)
    assert int(vae.optimizer.iterations) == 0


def test_bad_datasets_are_refused_by_their_first_batch(make_vae):
    vae = make_vae()
    vae.compile(optimizer="adam")
    with pytest.raises(ValueError, match=r"grey.*\(1\)"):
        vae.fit(tf.data.Dataset.from_tensor_slices(GREY.astype(np.float32)).batch(5))


def test_datasets_of_bytes_have_the_scale_of_arrays_of_bytes():
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([3]), 2),
        decoder=tv.decoders.DiscretizedLogistic(tv.networks.mlp([3]), (4, 4, 1)),
    )
    vae.compile(optimizer="adam")
    images = (255 * GREY).astype(np.uint8)
    data = vae.intake.inputs(tf.data.Dataset.from_tensor_slices(images).batch(5), "given")
    np.testing.assert_array_equal(next(iter(data)), vae.as_split(images).values()[:5])


@pytest.mark.parametrize(
    "options",
    [
        {"num_samples": 0},
        {"num_samples": 1.5},
        {"seed": -1},
        {"seed": 2**31},
        {"data_kind": "grey"},
    ],
    ids=str,
)
def test_impossible_models_are_refused(make_vae, options):
    with pytest.raises(ValueError, match=r"Received|is not a valid"):
        make_vae(**options)


def test_decoder_built_for_another_latent_size_is_refused():
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([3]), (4, 4, 1))
    decoder.build((None, 5))
    with pytest.raises(ValueError, match=r"built for other.*Expected.*\(5,\).*Received.*\(2,\)"):
        tv.VAE(tv.priors.StandardNormal(2), tv.encoders.Gaussian(tv.networks.mlp([3]), 2), decoder)


@pytest.mark.parametrize(
    "use",
    [
        lambda vae, x: vae.generate(0),
        lambda vae, x: vae.bounds(x, 0),
        lambda vae, x: vae.bounds(x, 5, batch_size=0),
        lambda vae, x: vae.log_evidence(tf.data.Dataset.from_tensors(x), 5),
        lambda vae, x: vae.fit(tf.data.Dataset.from_tensors({"image": x})),
        lambda vae, x: vae.fit(Split(x, Kind.STATIC), sample_weight=np.ones(9)),
        lambda vae, x: vae.save("model.h5"),
    ],
    ids=["generate_none", "no_samples", "no_batch", "dataset", "dictionary", "weights", "h5"],
)
def test_impossible_calls_are_refused_in_one_line(make_vae, binary_images, use):
    vae = make_vae()
    vae.compile(optimizer="adam")
    with pytest.raises(ValueError, match=r"^[^\n]*Expected[^\n]*Received[^\n]*$"):
        use(vae, binary_images(10))


def test_log_likelihood_warns_of_a_low_effective_sample_size(make_vae, binary_images):
    with pytest.warns(UserWarning, match=r"effective sample size is low.*unknown amount"):
        make_vae().log_evidence(binary_images(10), 1)


def test_encoder_and_prior_of_different_size_are_refused():
    with pytest.raises(ValueError, match=r"differ in latent size.*Expected.*Received"):
        tv.VAE(
            prior=tv.priors.StandardNormal(3),
            encoder=tv.encoders.Gaussian(tv.networks.mlp([3]), 2),
            decoder=tv.decoders.Bernoulli(tv.networks.mlp([3]), (4, 4, 1)),
        )


@pytest.mark.parametrize("size", [10, 784, 5000])
def test_log_p_decodes_what_fits_into_caches_at_a_time_and_on_a_gpu_what_fits(size, monkeypatch):
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([2]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([2]), (size,)),
    )
    vae.build((None, size))
    rows = {}
    for gpus in ([], ["a GPU"]):
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind, found=gpus: found)
        batch, chunk = vae.batch_and_chunk(100, 1000, 5000)
        assert batch == 100 or batch == vae.rows_at_once < 100
        rows[len(gpus)] = batch * chunk
    assert rows[0] <= max(2**19 / size, 100)
    assert rows[1] <= vae.rows_at_once
    assert rows[1] > rows[0] or size != 784


def test_a_model_of_one_latent_says_prior_and_encoder_in_its_config(make_vae):
    vae = make_vae()
    config = vae.get_config()
    assert "latents" not in config
    assert config["prior"]["class_name"] == "StandardNormal"
    latents = keras.saving.serialize_keras_object(list(vae.latents))
    short = {key: value for key, value in config.items() if key not in ("prior", "encoder")}
    for each in (config, short | {"latents": latents}):
        assert tv.VAE.from_config(each).get_config() == config
