"""Saved models come back whole; files that are not models of ours give one line and no harm."""

import os
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import objectives
from tfp_vae.data import Kind, Split

DECODERS = {
    "bernoulli": (tv.decoders.Bernoulli, {}, Kind.STATIC),
    "continuous_bernoulli": (tv.decoders.ContinuousBernoulli, {}, Kind.UNIT_INTERVAL),
    "normal_fixed": (tv.decoders.Normal, {"scale": 0.2}, Kind.UNIT_INTERVAL),
    "normal_shared": (tv.decoders.Normal, {"scale": "shared"}, Kind.UNIT_INTERVAL),
    "normal_per_pixel": (tv.decoders.Normal, {"scale": "per_pixel"}, Kind.REAL),
    "discretized_logistic": (tv.decoders.DiscretizedLogistic, {}, Kind.EIGHT_BIT),
    "categorical": (tv.decoders.Categorical, {}, Kind.EIGHT_BIT),
}


def _split(kind: Kind, count: int = 40) -> Split:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (count, 4, 4, 1)).astype(np.uint8)
    return Split(
        np.where(values < 128, 0, 255).astype(np.uint8) if kind.is_binary else values, kind
    )


def _model(name="bernoulli", encoder=tv.encoders.Gaussian, network="mlp", **options):
    make, arguments, _ = DECODERS[name]
    if network == "conv":
        encode = tv.networks.conv_encoder((4,), 8)
        decode = tv.networks.conv_decoder((4, 4, 1), (4,), 8)
    else:
        encode, decode = tv.networks.mlp([8], "tanh"), tv.networks.mlp([8], "leaky_relu")
    return tv.VAE(
        prior=tv.priors.StandardNormal(3),
        encoder=encoder(encode, 3),
        decoder=make(decode, (4, 4, 1), **arguments),
        **options,
    )


def _usual(name):
    """Returns marks: heads come back alone in tests/distributions/test_heads.py, too."""
    return () if name in ("bernoulli", "normal_shared") else pytest.mark.all_only


@pytest.mark.parametrize(
    ("name", "encoder", "network"),
    [
        *(pytest.param(n, tv.encoders.Gaussian, "mlp", marks=_usual(n)) for n in DECODERS),
        pytest.param("bernoulli", tv.encoders.FullGaussian, "mlp", marks=pytest.mark.all_only),
        ("discretized_logistic", tv.encoders.FullGaussian, "conv"),
    ],
    ids=[*DECODERS, "full_covariance", "full_covariance_convolutional"],
)
@pytest.mark.always(reason="the one round trip through a file with training after it")
def test_every_class_comes_back_to_the_last_bit_and_training_goes_on(
    tmp_path, name, encoder, network
):
    split = _split(DECODERS[name][2])
    vae = _model(name, encoder, network, seed=7, num_samples=2)
    # Compiled by XLA once: what a file brings back does not depend on it.
    jit = "auto" if (name, encoder) == ("bernoulli", tv.encoders.Gaussian) else False
    vae.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=jit)
    vae.fit(split, batch_size=20, epochs=2, verbose=0)
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")

    x = split.values()
    one, other = vae(x, seed=1), again(x, seed=1)
    np.testing.assert_array_equal(one.posterior.mean(), other.posterior.mean())
    np.testing.assert_array_equal(one.z, other.z)
    for before, after in zip(vae.weights, again.weights, strict=True):
        np.testing.assert_array_equal(before, after)
    if jit:  # functions of the same weights, which take a second to trace
        for before, after in zip(vae.bounds(x, 50)[:3], again.bounds(x, 50)[:3], strict=True):
            np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(vae.reconstruct(x), again.reconstruct(x))
    assert (again.seed, again.num_samples, again.data_kind) == (7, 2, split.kind)
    assert int(again.optimizer.iterations) == 4
    for a, b in zip(vae.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)

    # The same third epoch, in the model that was never saved and in the one that came back.
    histories = [
        model.fit(split, batch_size=20, initial_epoch=2, epochs=3, verbose=0).history
        for model in (vae, again)
    ]
    assert histories[0] == histories[1]
    assert int(again.optimizer.iterations) == 6


def test_objective_with_its_schedule_comes_back(tmp_path):
    objective = objectives.ELBO(beta=objectives.Cyclical(10, 0.4), capacity=3.0)
    vae = _model(objective=objective)
    vae.compile(optimizer="adam")
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras").objective
    assert isinstance(again, objectives.ELBO)
    assert (again.capacity, again.beta.steps, again.beta.ramp) == (3.0, 10, 0.4)


def test_a_model_that_was_never_compiled_comes_back(tmp_path):
    vae = _model()
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    assert not again.compiled
    np.testing.assert_array_equal(vae.generate(4)["mean"], again.generate(4)["mean"])


def test_mixed_precision_comes_back(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    vae = _model()
    x = _split(Kind.STATIC).values()
    vae.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    again = tv.load(tmp_path / "model.keras")
    assert again.encoder.network.layers[-1].compute_dtype == "bfloat16"
    np.testing.assert_array_equal(vae.reconstruct(x), again.reconstruct(x))


def test_saved_model_has_no_lambda_and_no_pickle(tmp_path):
    _model().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        names = archive.namelist()
        config = archive.read("config.json").decode()
    assert sorted(names) == ["config.json", "metadata.json", "model.weights.h5"]
    assert "Lambda" not in config
    assert "__lambda__" not in config


def test_saving_that_fails_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    vae = _model()
    vae.save(path)
    before = path.read_bytes()

    def fail(self, target, *_, **__):
        with open(target, "wb") as file:
            file.write(b"half a model")
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(OSError, match="No space"):
        vae.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.keras"]


@pytest.mark.parametrize("form", ["tf_saved_model", "onnx"])
def test_the_export_of_keras_is_refused_by_name(tmp_path, form):
    latent = tv.LatentVariable("z", tv.priors.StandardNormal(1), _encoder())
    model = tv.VAE(latents=[latent], decoder=tv.decoders.Bernoulli(tv.networks.mlp([2]), (2, 1)))
    with pytest.raises(ValueError, match=r"tfp_vae\.export\.export.*Received VAE.export"):
        model.export(tmp_path / "x", format=form)
    assert not [*tmp_path.iterdir()]
    spec, archive = [tf.TensorSpec((None, 2))], keras.export.ExportArchive()
    bnn = tv.BayesianNetwork(keras.Sequential([tv.layers.DenseFlipout(1)]), tv.likelihoods.Normal())
    for way, name in (
        (lambda: archive.track(model), "ExportArchive of a VAE"),
        (lambda: archive.track_and_add_endpoint("serve", model, spec), "ExportArchive of a VAE"),
        (lambda: _calling(bnn, spec).write_out(tmp_path / "x"), "Archive of a BayesianNetwork"),
        (lambda: tf.saved_model.save(bnn, str(tmp_path / "x")), "save of a BayesianNetwork"),
        (lambda: tf.saved_model.save(_holding(model), str(tmp_path / "x")), "save of a VAE"),
    ):
        with pytest.raises(ValueError, match=rf"tfp_vae\.export\.export.*Received.*{name}"):
            way()
    with pytest.raises(ValueError, match=r"litert.*Received VAE.quantize\('int8'\)"):
        model.quantize("int8")
    assert not [*tmp_path.iterdir()]
    with pytest.raises(ValueError, match=r"name of a latent.*Expected.*Received"):
        tv.LatentVariable('z" }', tv.priors.StandardNormal(1), _encoder())


@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_the_export_of_keras_to_runtimes_without_noise_is_refused_for_layers_that_draw(
    tmp_path, form
):
    inside = keras.Sequential([tv.layers.MonteCarloDropout(0.5), tv.layers.Standardize()])
    model = keras.Sequential([keras.Input((2,)), inside, tv.layers.DenseFlipout(1)])
    names = rf"to {form} has no noise for DenseFlipout, MonteCarloDropout"
    with pytest.raises(ValueError, match=names + r"\. Expected tfp_vae\.export\.export.*Received"):
        model.export(tmp_path / "x", format=form)
    assert not [*tmp_path.iterdir()]


def _calling(model, spec):
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serve", lambda x: model(x).mean(), spec)
    return archive


def _holding(model):
    module = tf.Module()
    module.model = model
    return module


def _encoder():
    return tv.encoders.Gaussian(tv.networks.mlp([2]), 1)


@pytest.mark.parametrize("name", ["model.h5", "model.tf", "model"])
def test_saving_in_another_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"Expected.*\.keras.*Received"):
        _model().save(tmp_path / name)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_legacy_hdf5_is_refused_with_the_reason(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(ValueError, match=r"legacy HDF5.*may run code.*Expected.*Received"):
        tv.load(path)


def test_missing_model_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Expected.*Received"):
        tv.load(tmp_path / "none.keras")


def test_truncated_and_damaged_models_are_refused(tmp_path):
    path, bad = tmp_path / "model.keras", tmp_path / "bad.keras"
    _model().save(path)
    whole = path.read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        bad.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"(truncated|damaged).*Expected.*Received"):
            tv.load(bad)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF  # in the middle of the weights
    bad.write_bytes(flipped)
    with pytest.raises(ValueError, match=r"Expected.*Received"):
        tv.load(bad)


def test_a_keras_model_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "dense.keras"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(path)
    with pytest.raises(ValueError, match=r"not one of our models.*Expected.*Received"):
        tv.load(path)


def test_a_zip_without_a_model_is_refused(tmp_path):
    path = tmp_path / "zip.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(ValueError, match=r"not a model file.*Expected.*Received"):
        tv.load(path)
