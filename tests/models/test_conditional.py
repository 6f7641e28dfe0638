"""The conditional VAE in Keras: what it is fed, what it gives, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.data import Kind, Split

SHAPE, CLASSES, COUNT = (4, 4, 1), 3, 24
LABELS = np.arange(COUNT) % CLASSES


def _split(images, **options):
    return Split(images, Kind.STATIC, **{"labels": LABELS, "name": "train", **options})


def _model(prior=None, planes=False, encoder=None, **options):
    networks = tv.networks
    network = networks.conv_encoder((4,), 6) if planes else networks.mlp([8])
    if "condition_dim" not in options:
        options = {"num_classes": CLASSES, **options}
    model = tv.ConditionalVAE(
        prior=prior or tv.priors.StandardNormal(2),
        encoder=encoder or tv.encoders.Gaussian(network, 2),
        decoder=tv.decoders.Bernoulli(networks.mlp([8]), SHAPE),
        join="planes" if planes else "flat",
        **options,
    )
    model.compile(optimizer="adam", jit_compile=False)
    return model


@pytest.fixture
def images(binary_images):
    return binary_images(COUNT)


FEEDS = {
    "split": lambda x, y: (_split(x), None),
    "arrays": lambda x, y: (x, y),
    "dataset": lambda x, y: (tf.data.Dataset.from_tensor_slices((x, y)).batch(8), None),
}


@pytest.mark.all_only
@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_every_way_to_give_data_gives_x_and_its_condition(images, feed):
    model = _model(num_samples=2)
    x, y = feed(images, LABELS.astype(np.int32))
    expected = model.evaluate(_split(images), batch_size=8, verbose=0, return_dict=True)
    options = {} if isinstance(x, tf.data.Dataset) else {"batch_size": 8}
    found = model.evaluate(x, y, verbose=0, return_dict=True, **options)
    assert found == pytest.approx(expected, rel=1e-5)
    validation = (x, y) if y is not None else x
    history = model.fit(x, y, validation_data=validation, epochs=2, verbose=0, **options).history
    assert np.all(np.isfinite([*history["elbo"], *history["val_elbo"]]))
    assert int(model.optimizer.iterations) == 6


def test_sample_weights_train_with_a_condition(images):
    model = _model()
    model.fit(images, LABELS, sample_weight=np.ones(COUNT), batch_size=8, verbose=0)
    assert int(model.optimizer.iterations) == 3


@pytest.mark.all_only
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="flat", marks=pytest.mark.all_only),
        pytest.param({"planes": True}, id="planes", marks=pytest.mark.all_only),
        pytest.param(
            {"prior": lambda: tv.priors.ClassNormal(2, CLASSES), "decoder_sees_condition": False},
            id="class_prior",
            marks=pytest.mark.all_only,
        ),
        pytest.param(
            {"prior": lambda: tv.priors.ConditionalNormal(tv.networks.mlp([4]), 2)},
            id="prior_network",
        ),
    ],
)
def test_a_reloaded_model_is_the_same_and_trains_on(images, tmp_path, options):
    options = {**options}
    if "prior" in options:
        options["prior"] = options["prior"]()
    model = _model(**options)
    model.fit(_split(images), batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    for one, other in zip(
        model.bounds(_split(images), 5), again.bounds(_split(images), 5), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    histories = [m.fit(_split(images), batch_size=8, verbose=0).history for m in (model, again)]
    assert histories[0] == histories[1]


def test_what_is_seen_of_the_condition_moves_posterior_likelihood_and_prior(images):
    model = _model(prior=tv.priors.ClassNormal(2, CLASSES))
    z = tf.ones([5, 4, 2])
    same, other = np.zeros(4, int), np.ones(4, int)
    for function in (
        lambda y: model.at_mean().posterior(images[:4], y).mean(),
        lambda y: model.at_mean().likelihood(z, y).mean(),
        lambda y: model.at_mean().prior(y).mean(),
    ):
        assert np.abs(function(same) - function(other)).max() > 1e-3
        np.testing.assert_array_equal(function(same), function(same))
    assert model.at_mean().likelihood(z, same).batch_shape == (5, 4)
    blind = _model(prior=tv.priors.ClassNormal(2, CLASSES), decoder_sees_condition=False)
    one, two = (blind.at_mean().likelihood(z, y).mean() for y in (same, other))
    np.testing.assert_array_equal(one, two)


def test_the_gradient_reaches_every_weight_also_those_of_the_prior(images):
    model = _model(prior=tv.priors.ClassNormal(2, CLASSES))
    inputs = (tf.constant(images), tf.constant(LABELS))
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        loss = model.compute_loss(x=inputs, y=inputs[1], y_pred=outputs)
    for weight, gradient in zip(
        model.trainable_variables,
        tape.gradient(loss, [v.value for v in model.trainable_variables]),
        strict=True,
    ):
        assert gradient is not None and np.any(np.asarray(gradient) != 0), weight.path


@pytest.mark.all_only
def test_class_frequencies_are_those_of_the_training_data_and_scale_the_posterior(images):
    labels = np.array([0] * 16 + [1] * 6 + [2] * 2)
    model = _model()
    model.fit(_split(images, labels=labels), batch_size=8, verbose=0)
    expected = np.array([17, 7, 3]) / 27
    np.testing.assert_allclose(np.exp(model.log_class_prior), expected, rtol=1e-5)
    log_joint = model.class_log_evidence(images[:5], 10) + np.log(expected)
    probs = np.exp(log_joint - log_joint.max(1, keepdims=True))
    predictive = model.predictive(images[:5], 10)
    np.testing.assert_allclose(predictive.probs, probs / probs.sum(1, keepdims=True), atol=1e-4)
    assert predictive.is_categorical and predictive.batch_shape == (5,)


def test_predict_generate_and_reconstruct_take_the_condition(images):
    model = _model(prior=tv.priors.ClassNormal(2, CLASSES))
    split = _split(images)
    found = model.predict(split, batch_size=10, verbose=0)
    np.testing.assert_allclose(found, model.reconstruct(images, LABELS), atol=1e-6)
    new = model.generate(7, seed=1)
    assert new["given"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert new["mean"].shape == new["sample"].shape == (7, *SHAPE)
    again = model.generate(7, seed=1, given=new["given"])
    np.testing.assert_array_equal(new["sample"], again["sample"])
    # The class moves the centre of z: with all else equal, the mean of z is that of its class.
    many = model.generate(3000, seed=2)
    for k in range(CLASSES):
        z, centre = many["z"][many["given"] == k], model.prior.loc[k]
        assert np.all(np.abs(z.mean(0) - centre) < 5 / np.sqrt(len(z)))


@pytest.mark.all_only
def test_a_vector_of_targets_is_a_condition(images):
    targets = np.random.default_rng(0).normal(size=(COUNT, 2)).astype(np.float32)
    model = _model(condition_dim=2)
    split = _split(images, labels=None, targets=targets)
    model.fit(split, batch_size=8, verbose=0)
    assert np.all(np.isfinite(model.log_evidence(split, 50)))
    with pytest.raises(ValueError, match=r"no classes to tell apart.*condition of size 2"):
        model.predictive(images)
    with pytest.raises(ValueError, match=r"has a condition.*Expected 3 of them.*Received none"):
        model.generate(3)


REFUSED = {
    "no_condition": ({"num_classes": None}, r"class or a vector.*num_classes=None"),
    "both": ({"condition_dim": 2, "num_classes": 3}, r"class or a vector.*one of them"),
    "no_class": ({"num_classes": 0}, r"class or a vector.*integer >= 1"),
    "blind": ({"decoder_sees_condition": False}, r"no effect.*ClassNormal.*StandardNormal"),
    "classes": ({"prior": tv.priors.ClassNormal, "k": 2}, r"differ in their classes.*3.*of 2"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_a_condition_that_is_none_is_refused(options, message):
    options = {**options}
    if "prior" in options:
        options["prior"] = options["prior"](2, options.pop("k"))
    with pytest.raises(ValueError, match=message):
        _model(**options)


def test_a_plain_vae_has_no_use_for_a_conditional_prior(make_vae):
    with pytest.raises(ValueError, match=r"nothing that its prior.*ConditionalVAE.*ClassNormal"):
        tv.VAE(
            prior=tv.priors.ClassNormal(2, 3),
            encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
            decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), SHAPE),
        )


def test_data_without_their_condition_are_refused(images):
    model = _model()
    for x, message in (
        (_split(images, labels=None), r"lack their condition.*labels from 0 to 2.*none"),
        (_split(images, labels=LABELS + 1), r"lack their condition.*Received 1 to 3"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(x, verbose=0)
    with pytest.raises(ValueError, match=r"lack their condition.*none"):
        model.fit(images, verbose=0)
    generator = ((images[:4], LABELS[:4]) for _ in range(9))
    with pytest.raises(ValueError, match=r"a condition for every example.*generator"):
        model.fit(generator, steps_per_epoch=2, verbose=0)
    vector = _model(condition_dim=2)
    with pytest.raises(ValueError, match=r"targets of shape \(N, 2\).*Received shape \(24, 3\)"):
        vector.fit(_split(images, labels=None, targets=np.zeros((COUNT, 3))), verbose=0)
    assert int(model.optimizer.iterations) == 0


def test_an_unknown_join_and_planes_without_an_image_are_refused():
    with pytest.raises(ValueError, match=r"Unknown join.*flat, planes.*'sum'"):
        tv.ConditionalVAE(
            tv.priors.StandardNormal(2),
            tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
            tv.decoders.Bernoulli(tv.networks.mlp([4]), SHAPE),
            num_classes=3,
            join="sum",
        )
    with pytest.raises(ValueError, match=r"Planes are added to images.*\(5,\)"):
        tv.ConditionalVAE(
            tv.priors.StandardNormal(2),
            tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
            tv.decoders.Normal(tv.networks.mlp([4]), (5,)),
            num_classes=3,
            join="planes",
        )


@pytest.mark.all_only
def test_bayesian_layers_bring_their_kl(images):
    network = keras.Sequential([tv.layers.DenseLocalReparameterization(8, "relu")])
    model = _model(encoder=tv.encoders.Gaussian(tv.networks.mlp([8]), 2))
    model = tv.ConditionalVAE(
        tv.priors.StandardNormal(2),
        tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
        tv.decoders.Bernoulli(network, SHAPE),
        num_classes=CLASSES,
    )
    model.compile(optimizer="adam", jit_compile=False)
    history = model.fit(_split(images), batch_size=8, verbose=0).history
    assert model.num_data == COUNT
    assert history["kl"][0] > float(model.kl_divergence()) / COUNT > 0


def test_what_is_defined_for_p_of_x_refuses_a_condition(images):
    model, observed = _model(), np.ones(SHAPE, bool)
    evaluation = tv.evaluation
    for function in (
        lambda: evaluation.vae_scores(model, _split(images), names=("elbo",)),
        lambda: evaluation.likelihood_regret(model, _split(images)),
        lambda: evaluation.marginal(model, _split(images).values(), observed),
    ):
        with pytest.raises(ValueError, match=r"is one of p\(x\).*without.*ConditionalVAE"):
            function()


@pytest.mark.all_only
@pytest.mark.parametrize(
    "planes", [False, pytest.param(True, marks=pytest.mark.all_only)], ids=["flat", "planes"]
)
def test_it_learns_when_compiled_with_xla(images, planes, monkeypatch):
    model = _model(planes=planes)
    monkeypatch.setattr(tv.ConditionalVAE, "supports_jit", True)  # with convolutions: as on a GPU
    model.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=True)
    assert model.jit_compile
    history = model.fit(_split(images), batch_size=12, epochs=4, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert history["loss"][-1] < history["loss"][0]


CONDITIONS = {
    "a class beyond the last": (np.full(6, CLASSES), f"no such classes.*0 to {CLASSES - 1}"),
    "no label": (np.full(6, -1), "no such classes.*-1 to -1"),
    "NaN": (np.full(6, np.nan), "no such classes"),
    "half a class": (np.full(6, 0.5), "not class numbers"),
    "too few": (np.arange(4) % CLASSES, "do not fit the examples. Expected 6.*Received 4"),
    "none": (None, "lack their condition.*x alone"),
    "a number": (np.array(1), "no such classes"),
}


@pytest.mark.parametrize("what", CONDITIONS)
def test_a_condition_given_by_hand_is_looked_at(images, what):
    model, x = _model(), images[:6]
    given, message = CONDITIONS[what]
    ways = [lambda: model.encode(x, given), lambda: model.reconstruct(x, given)]
    ways += [lambda: model.interpolate(x, x, 2, given)]
    if what != "too few":  # of which the examples say how many there should be
        ways += [lambda: model((x, given)) if given is not None else model(x)]
    if what not in ("none", "too few"):
        ways += [lambda: model.generate(6, given=given)]
    for way in ways:
        with pytest.raises(ValueError, match=message):
            way()


def test_a_condition_given_by_hand_has_every_usual_form(images):
    model, x, y = _model(), images[:6], np.arange(6) % CLASSES
    expected = model.encode(x, y)
    for given in (y[:, np.newaxis], y.astype(np.float32), np.eye(CLASSES)[y], y.tolist()):
        np.testing.assert_array_equal(model.encode(x, given), expected)
        assert model.generate(6, given=given)["given"].tolist() == y.tolist()
    names = np.array(["a", "b", "c", "d"][:CLASSES])
    for way in (model.encode, lambda x, given: model((x, given))):
        with pytest.raises(ValueError, match=r"labels are text.*class_names="):
            way(x, ["b"] * 6)  # which nobody numbered
    model.class_names = tuple(names)
    np.testing.assert_array_equal(model.encode(x, names[y]), expected)
    np.testing.assert_array_equal(
        model((x, names[y].tolist()), seed=1).posterior.mean(),
        model((x, tf.constant(y)), seed=1).posterior.mean(),
    )
    vector = tv.distributions.conditions.Vector(2)
    assert vector.look(np.ones((3, 2))).dtype == np.float32
    for given in (np.ones(3), np.ones((3, 4)), np.full((3, 2), np.inf)):
        with pytest.raises(ValueError, match=r"another shape|not finite"):
            vector.look(given)
