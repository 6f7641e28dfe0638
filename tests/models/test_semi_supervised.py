"""M2: labels for some examples, one bound for all."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.data import UNLABELLED, Kind, Split, keep_labels

SHAPE, CLASSES, COUNT = (4, 4, 1), 3, 24
LABELS = np.arange(COUNT) % CLASSES
FEW = np.where(np.arange(COUNT) < 6, LABELS, UNLABELLED)


def _split(images, labels=FEW, name="train"):
    return Split(images, Kind.STATIC, labels, name=name)


def _model(**options):
    plain = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    parts = {
        "prior": tv.priors.StandardNormal(2),
        "encoder": tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
        "decoder": tv.decoders.Bernoulli(tv.networks.mlp([8]), SHAPE),
        "classifier": plain,
        "num_classes": CLASSES,
    }
    model = tv.M2(**(parts | options))
    model.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=False)
    return model


@pytest.fixture
def images(binary_images):
    return binary_images(COUNT)


def _supervised_twin(model):
    twin = tv.ConditionalVAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([8]), SHAPE),
        num_classes=CLASSES,
    )
    twin.encoder.set_weights(model.encoder.get_weights())
    twin.decoder.set_weights(model.decoder.get_weights())
    twin.log_class_prior.assign(model.log_class_prior)
    twin.compile(jit_compile=False)
    return twin


@pytest.mark.always(reason="the bound of M2 against a closed form")
def test_with_all_labels_the_bound_is_the_supervised_one_plus_log_p_of_the_class(images):
    model = _model(num_samples=400)
    model.log_class_prior.assign(np.log([0.5, 0.3, 0.2]))
    twin = _supervised_twin(model)
    outputs = model((images, LABELS), seed=1)
    found = tv.objectives.elbo(model.terms((images, LABELS), LABELS, outputs))
    bounds = twin.bounds(_split(images, LABELS), 4000, seed=2)
    expected = bounds.elbo + np.log([0.5, 0.3, 0.2])[LABELS]
    error = 3 * float(np.std(twin.elbo(_split(images, LABELS), 1) - bounds.elbo)) / np.sqrt(400)
    np.testing.assert_allclose(found, expected, atol=2 * error)


def test_without_labels_the_bound_is_the_expectation_over_classes_plus_an_entropy(images):
    model = _model(num_samples=3)
    none = np.full(COUNT, UNLABELLED)
    outputs = model((images, none), seed=1)
    found = tv.objectives.elbo(model.terms((images, none), none, outputs)).numpy()
    q = np.asarray(tf.nn.softmax(outputs.recognition.logits))
    given = [
        tv.objectives.elbo(model.terms((images, y), y, outputs)).numpy()
        for y in (np.full(COUNT, k) for k in range(CLASSES))
    ]
    expected = (q * np.stack(given, 1)).sum(1) - (q * np.log(q)).sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_a_batch_of_both_sorts_has_for_each_example_the_bound_of_its_sort(images):
    model = _model()
    outputs = model((images, FEW), seed=1)

    def bound(labels):
        return tv.objectives.elbo(model.terms((images, labels), labels, outputs)).numpy()

    known = FEW != UNLABELLED
    np.testing.assert_allclose(bound(FEW)[known], bound(LABELS)[known], rtol=1e-5)
    none = bound(np.full(COUNT, UNLABELLED))
    np.testing.assert_allclose(bound(FEW)[~known], none[~known], rtol=1e-5)


def test_gradients_reach_the_classifier_from_both_sorts(images):
    model = _model(alpha=0.0)
    for labels, reached in ((FEW, True), (LABELS, False)):
        x = (tf.constant(images), tf.constant(labels))
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=x[1], y_pred=model(x, training=True))
        gradient = tape.gradient(loss, model.classifier.trainable_variables[0].value)
        # A class that is known leaves nothing to recognise: only alpha teaches by it.
        assert bool(np.any(np.asarray(gradient) != 0)) is reached
    model = _model(alpha=2.0)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x=x, y=x[1], y_pred=model(x, training=True))
    kernel = model.classifier.trainable_variables[0].value
    found = tape.gradient(loss, kernel)
    with tf.GradientTape() as tape:
        log_q = model.recognition(tf.constant(images)).log_prob(LABELS)
        loss = -2.0 * tf.reduce_mean(log_q)
    np.testing.assert_allclose(found, tape.gradient(loss, kernel), rtol=1e-4, atol=1e-6)


def test_each_batch_has_both_sorts_and_weights_make_its_mean_that_of_all_data(images):
    model = _model(labelled_share=0.25)
    split = _split(images)
    batches = list(model.feed(split, 8).dataset(0))
    assert len(batches) == model.batches_per_epoch(split, 8) == 3
    seen = []
    for x, y, weight in batches:
        known = y.numpy() != UNLABELLED
        assert (known.sum(), len(known)) == (2, 8)
        assert float(tf.reduce_mean(weight)) == pytest.approx(1.0)
        assert float(tf.reduce_sum(weight[known])) / 8 == pytest.approx(6 / 24)
        seen.extend(x.numpy()[~known])
    unlabelled = images[FEW == UNLABELLED]
    np.testing.assert_array_equal(
        np.sort(np.reshape(seen, (18, -1)), axis=0), np.sort(unlabelled.reshape(18, -1), axis=0)
    )
    # Labelled ones come back in turn: three batches of two are all six.
    labels = np.concatenate([y[y != UNLABELLED] for _, y, _ in batches])
    assert sorted(labels.tolist()) == sorted(FEW[:6].tolist())
    again = [x.numpy() for x, _, _ in model.feed(split, 8).dataset(0)]
    other = [x.numpy() for x, _, _ in model.feed(split, 8).dataset(1)]
    np.testing.assert_array_equal(again, [x.numpy() for x, _, _ in batches])
    assert not np.array_equal(again, other)


def test_a_classifier_that_augments_does_so_in_training_only(images):
    augmenting = keras.Sequential(
        [keras.layers.RandomTranslation(0.5, 0.5), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model = _model(classifier=augmenting)
    probs = model.classify(images).probs
    np.testing.assert_array_equal(model.classify(images).probs, probs)
    in_training = tf.nn.softmax(model.recognition(images, training=True).logits)
    assert not np.allclose(in_training, probs)


@pytest.mark.all_only
@pytest.mark.parametrize(
    "labels",
    [pytest.param(FEW, id="few"), pytest.param(LABELS, id="all", marks=pytest.mark.all_only)],
)
def test_training_validates_saves_and_goes_on(images, tmp_path, labels):
    model = _model()
    split = _split(images, labels)
    history = model.fit(
        split, validation_data=_split(images, LABELS), batch_size=8, epochs=2, verbose=0
    ).history
    assert {"elbo", "accuracy", "val_accuracy", "val_elbo"} <= {*history}
    assert np.all(np.isfinite([v[-1] for v in history.values()]))
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    histories = [m.fit(split, batch_size=8, verbose=0).history for m in (model, again)]
    assert histories[0] == histories[1]
    probs = model.classify(images, batch_size=7)
    np.testing.assert_allclose(
        probs.probs, tf.nn.softmax(model.recognition(images).logits), rtol=1e-5
    )
    accuracy = model.evaluate(_split(images, LABELS), verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx(np.mean(np.argmax(probs.probs, 1) == LABELS), abs=1e-6)


@pytest.mark.all_only
def test_recognition_learns_from_unlabelled_examples_what_the_generative_model_knows(base_seed):
    """p(x|y) = N(+-m, I) is known and fixed: q(y|x) has to become p(y|x) without a label."""
    rng = np.random.default_rng([base_seed, 3])
    classes = np.arange(300) % 2
    centre = np.array([0.8, 0.4])
    x = rng.normal(size=(300, 2)) + np.where(classes, 1.0, -1.0)[:, None] * centre
    labels = np.where(np.arange(300) < 2, classes, UNLABELLED)  # not used: alpha is 0
    model = tv.M2(
        prior=tv.priors.ClassNormal(2, 2, learned_scale=False),
        encoder=tv.encoders.FullGaussian(tv.networks.mlp([]), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp([]), (2,), scale=0.6),
        classifier=keras.Sequential([keras.layers.Dense(2)]),
        num_classes=2,
        decoder_sees_condition=False,
        alpha=0.0,
        num_samples=4,
        seed=base_seed,
    )
    model.prior.loc.assign(np.stack([-centre, centre]) / 0.8)
    model.decoder.projection.set_weights([0.8 * np.eye(2), np.zeros(2)])  # 0.8^2 + 0.6^2 = 1
    model.prior.trainable = model.decoder.trainable = False
    rate = keras.optimizers.schedules.CosineDecay(0.05, 400)
    model.compile(optimizer=keras.optimizers.Adam(rate), steps_per_execution=10, jit_compile=False)
    model.fit(Split(x, Kind.REAL, labels, name="train"), batch_size=30, epochs=20, verbose=0)
    expected = 1 / (1 + np.exp(-2 * x @ centre))  # equal frequencies
    found = model.classify(x.astype(np.float32)).probs[:, 1]
    np.testing.assert_allclose(found, expected, atol=0.06)


def test_keep_labels_keeps_as_many_of_each_class(images):
    kept = keep_labels(_split(images, LABELS), 7, seed=1)
    known = kept.labels != UNLABELLED
    assert known.sum() == 7
    assert sorted(np.bincount(kept.labels[known])) == [2, 2, 3]
    np.testing.assert_array_equal(kept.labels[known], LABELS[known])
    np.testing.assert_array_equal(kept.values(), images)
    assert not np.array_equal(kept.labels, keep_labels(_split(images, LABELS), 7, seed=2).labels)
    everything = keep_labels(_split(images, LABELS), COUNT)
    np.testing.assert_array_equal(everything.labels, LABELS)
    for split, count in ((_split(images, LABELS), 2), (_split(images, None), 3)):
        with pytest.raises(ValueError, match=rf"cannot keep so many.*Received {count}"):
            keep_labels(split, count)


REFUSED = {
    "alpha": ({"alpha": -1.0}, r"Impossible alpha.*>= 0.*-1.0"),
    "share": ({"labelled_share": 1.0}, r"Impossible labelled_share.*Received 1.0"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        _model(**options)


def test_data_that_teach_no_class_or_have_none_where_it_is_needed_are_refused(images):
    model = _model()
    with pytest.raises(ValueError, match=r"No train example has a class.*-1 for all 24"):
        model.fit(_split(images, np.full(COUNT, UNLABELLED)), verbose=0)
    with pytest.raises(ValueError, match=r"both|with a class and without.*at least 2.*Received 1"):
        model.fit(_split(images), batch_size=1, verbose=0)
    with pytest.raises(ValueError, match=r"given the class needs it.*Received 18 without"):
        model.bounds(_split(images), 2)
    plain = _supervised_twin(model)
    with pytest.raises(ValueError, match=r"lack their condition.*0 to 2.*Received -1 to 2"):
        plain.evaluate(_split(images), verbose=0)
    with pytest.raises(ValueError, match=r"classifier does not fit.*\(B, 3\).*\(None, 4\)"):
        tv.M2(
            tv.priors.StandardNormal(2),
            tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
            tv.decoders.Bernoulli(tv.networks.mlp([8]), SHAPE),
            classifier=keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)]),
            num_classes=3,
        )


@pytest.mark.all_only
def test_it_learns_when_compiled_with_xla(images):
    model = _model(alpha=1.0)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=True)
    history = model.fit(_split(images), batch_size=12, epochs=4, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert history["loss"][-1] < history["loss"][0]


def _exact_log_evidence(model, x, labels):
    """Returns log p(x), or log p(x, y) of known classes, of a model with one latent: a grid."""
    grid = np.linspace(-8, 8, 4001, dtype=np.float32)[:, np.newaxis]
    log_prior = -0.5 * grid[:, 0] ** 2 - 0.5 * np.log(2 * np.pi) + np.log(16 / 4000)
    columns = []
    for label in range(CLASSES):
        given = np.full(len(grid), label)
        likelihood = model.at_mean().likelihood(grid, given)
        each = likelihood.log_prob(x[:, np.newaxis]).numpy()  # [N, grid]
        columns.append(np.logaddexp.reduce(each + log_prior, axis=1))
    joint = np.stack(columns, axis=1) + model.log_class_prior.numpy()
    known = np.take_along_axis(joint, np.maximum(labels, 0)[:, np.newaxis], 1)[:, 0]
    return np.where(labels >= 0, known, np.logaddexp.reduce(joint, axis=1))


@pytest.mark.parametrize("labels", [FEW, np.full(COUNT, UNLABELLED)], ids=["some", "none"])
def test_the_importance_weighted_bound_sums_over_classes_and_reaches_log_p(images, labels):
    keras.utils.set_random_seed(3)
    # A recognition that is wrong and a decoder that depends on the class: averaging the terms of
    # the classes before the logarithm stays far below.
    model = _model(
        prior=tv.priors.StandardNormal(1),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([8]), 1),
        decoder=tv.decoders.Bernoulli(
            keras.Sequential([keras.layers.Dense(8, "tanh", kernel_initializer="he_normal")]),
            SHAPE,
        ),
        num_samples=2000,
    )
    model.decoder.projection.set_weights([2 * w for w in model.decoder.projection.get_weights()])
    # A proposal wider than the prior, so that the weights are bounded and their error is known.
    kernel, bias = model.encoder.projection.get_weights()
    wide = np.array([0.0, np.log(np.expm1(1.3))], np.float32)
    model.encoder.projection.set_weights([0 * kernel, 0 * bias + wide])
    exact = _exact_log_evidence(model, images, labels)
    outputs = model((images, labels), seed=1)
    terms = model.terms((images, labels), labels, outputs)
    elbo = tv.objectives.elbo(terms).numpy()
    found = tv.objectives.importance_weighted_bound(terms).numpy()
    weights = terms.log_mass + terms.log_weights()
    share = np.exp(weights - np.logaddexp.reduce(weights, axis=0))
    error = np.sqrt(np.sum(share**2, axis=0))  # relative, of a mean of weights
    assert np.all(np.abs(found - exact) < 5 * error + 1e-3)
    assert np.mean(exact - elbo) > 0.1 and np.mean(found) > np.mean(elbo) + 0.1
