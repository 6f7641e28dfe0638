"""What a BayesianNetwork refuses, in one line, before anything is trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.data import Kind, Split

X = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
COUNTS = np.arange(10.0)
LABELS = np.arange(10) % 3


def _network(likelihood, layer=None):
    layer = layer or tv.layers.DenseFlipout(likelihood.num_features)
    bnn = tv.BayesianNetwork(keras.Sequential([layer]), likelihood)
    bnn.compile(optimizer="adam")
    return bnn


def _with(values, index, value):
    values = values.astype(np.float64) if isinstance(value, float) else values.copy()
    values[index] = value
    return values


CLASSES, REAL, POISSON = (
    lambda: tv.likelihoods.Categorical(3),
    tv.likelihoods.Normal,
    tv.likelihoods.Poisson,
)
TARGETS = {
    "label_too_high": (CLASSES, X, _with(LABELS, 4, 3), r"outside.*0 to 2.*Received 3 at index 4"),
    "negative_label": (CLASSES, X, _with(LABELS, 4, -1), r"outside the classes.*Received -1"),
    "half_labels": (CLASSES, X, LABELS + 0.5, r"not class numbers.*integers.*Received 0.5"),
    "one_class": (CLASSES, X, 0 * LABELS + 1, r"nothing to tell apart.*Received 1 for all 10"),
    "no_labels": (CLASSES, X, None, r"needs classes.*Expected.*labels.*Received"),
    "one_hot": (CLASSES, X, np.eye(10, dtype=int), r"outside the classes.*0 to 2.*Received 3"),
    "nan_target": (REAL, X, _with(COUNTS, 3, np.nan), r"not finite.*nan at index \(3,\)"),
    "constant": (REAL, X, 0 * COUNTS + 0.1, r"do not vary.*Received 0.1 for all 10"),
    "no_targets": (REAL, X, None, r"real targets.*Expected.*targets.*Received"),
    "columns": (REAL, X, X[:, :2], r"one target per example.*\(N,\).*\(10, 2\)"),
    "too_few": (REAL, X, COUNTS[:9], r"do not fit.*\(10,\).*Received shape \(9,\)"),
    "half_a_count": (POISSON, X, _with(COUNTS, 2, 0.5), r"not counts.*Received 0.5 at index 2"),
    "negative_count": (POISSON, X, _with(COUNTS, 5, -1.0), r"not counts.*Received -1 at index 5"),
    "no_count": (POISSON, X, 0 * COUNTS, r"counts are all zero.*Expected.*Received"),
    "nan_input": (REAL, _with(X, (2, 1), np.nan), COUNTS, r"not finite.*index \(2, 1\)"),
}


@pytest.mark.parametrize(("likelihood", "x", "y", "message"), TARGETS.values(), ids=TARGETS)
def test_targets_without_a_probability_are_refused(likelihood, x, y, message):
    bnn = _network(likelihood())
    with pytest.raises(ValueError, match=message):
        bnn.fit(x, y, verbose=0)
    assert int(bnn.optimizer.iterations) == 0


def test_splits_for_another_task_are_refused():
    labelled = Split(X, Kind.REAL, labels=LABELS)
    regression = Split(X, Kind.REAL, targets=COUNTS)
    with pytest.raises(ValueError, match=r"likelihood of real targets.*Received one with class"):
        _network(REAL()).fit(labelled)
    with pytest.raises(ValueError, match=r"needs classes.*Received one with real targets"):
        _network(CLASSES()).fit(regression)


def test_validation_and_evaluation_targets_are_looked_at_too():
    bnn, bad = _network(CLASSES()), _with(LABELS, 0, 7)
    with pytest.raises(ValueError, match=r"validation labels are outside.*Received 7"):
        bnn.fit(X, LABELS, validation_data=(X, bad), verbose=0)
    with pytest.raises(ValueError, match=r"evaluation labels are outside.*Received 7"):
        bnn.evaluate(X, bad, verbose=0)
    with pytest.raises(ValueError, match=r"training batch labels are outside.*Received 7"):
        bnn.fit(tf.data.Dataset.from_tensors((X, bad)), verbose=0)
    with pytest.raises(ValueError, match=r"no targets.*\(x, y\).*Received x alone"):
        bnn.fit(tf.data.Dataset.from_tensors(X), verbose=0)
    assert int(bnn.optimizer.iterations) == 0


def test_inputs_of_another_shape_than_the_network_is_for_are_refused():
    bnn = _network(REAL())
    bnn.fit(X, COUNTS, verbose=0)
    for use in (
        lambda: bnn.fit(X[:, :2], COUNTS),
        lambda: bnn.evaluate(X[:, :2], COUNTS),
        lambda: bnn.predict(X[:, :2]),
        lambda: bnn.predictive(X[:, :2]),
    ):
        with pytest.raises(ValueError, match=r"wrong shape.*\(3,\).*built for.*Received \(2,\)"):
            use()


def test_a_layer_that_adds_its_own_kl_is_refused():
    bnn = _network(REAL(), tv.layers.DenseFlipout(1, kl_weight=0.1))
    with pytest.raises(ValueError, match=r"counted twice.*kl_weight=None.*Received 0.1"):
        bnn.fit(X, COUNTS, verbose=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "mlp"}, r"needs a network.*Layer, such as keras\.Seq.*'mlp'"),
        ({"likelihood": "normal"}, r"a likelihood.*Head, such as.*Categorical\(10\).*'normal'"),
        ({"likelihood": tv.likelihoods.Normal}, r"a likelihood.*the class Normal.*\(\.\.\."),
        ({"num_samples": 0}, r"Impossible num_samples.*Received 0"),
        ({"num_predictive_samples": 1.5}, r"Impossible num_predictive_samples.*Received 1.5"),
        ({"weight_prior": "flat"}, r"Unusable prior.*Received 'flat'"),
        ({"num_data": 0}, r"Impossible num_data.*Received 0"),
        ({"seed": -1}, r"Unusable seed.*Received -1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_impossible_networks_are_refused(options, message):
    given = {"network": keras.layers.Dense(1), "likelihood": tv.likelihoods.Normal(), **options}
    with pytest.raises(ValueError, match=message):
        tv.BayesianNetwork(**given)


def test_network_and_likelihood_have_to_fit():
    bnn = tv.BayesianNetwork(keras.layers.Dense(1), tv.likelihoods.Normal("per_example"))
    with pytest.raises(
        ValueError, match=r"do not fit.*\(B, 2\), as NormalInUnits needs.*\(None, 1\)"
    ):
        bnn.build((None, 3))
    deep = tv.BayesianNetwork(keras.layers.Dense(1), tv.likelihoods.Normal())
    with pytest.raises(ValueError, match=r"do not fit.*Received \(None, 4, 1\)"):
        deep.build((None, 4, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tv.likelihoods.Categorical(1), r"Impossible num_classes.*>= 2.*Received 1"),
        (lambda: tv.likelihoods.Categorical(2.5), r"Impossible num_classes.*Received 2.5"),
        (lambda: tv.likelihoods.Normal("learned"), r"Unknown scale.*Received 'learned'"),
        (lambda: tv.likelihoods.Normal(0.0), r"Unknown scale.*> 0.*Received 0.0"),
        (lambda: tv.likelihoods.Normal(True), r"Unknown scale.*Received True"),
    ],
    ids=["one_class", "half_a_class", "name", "zero", "true"],
)
def test_impossible_likelihoods_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("num_samples", [0, 1.5])
def test_impossible_numbers_of_draws_are_refused(num_samples):
    bnn = _network(REAL())
    with pytest.raises(ValueError, match=r"Impossible num_samples.*Expected.*Received"):
        bnn.predictive(X, num_samples)
    with pytest.raises(ValueError, match=r"cannot be used.*Expected.*Received list"):
        bnn.predictive(X.tolist())


def test_probabilities_of_real_targets_are_refused():
    with pytest.raises(ValueError, match=r"Only classes.*Expected.*classifier.*Received.*Normal"):
        _ = _network(REAL()).predictive(X, 2).probs


def test_a_dataset_gives_no_units_and_the_model_says_so():
    x, y = 100 + X, 50 + COUNTS.astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(5)

    def network():
        layers = [tv.layers.Standardize(name="inputs"), keras.layers.Dense(1)]
        likelihood = tv.likelihoods.Normal(name="targets")
        bnn = tv.BayesianNetwork(keras.Sequential(layers), likelihood, num_data=10)
        bnn.compile(optimizer="adam")
        return bnn

    with pytest.warns(UserWarning, match=r"Units are not known to inputs, targets.*adapt\(Split\)"):
        network().fit(dataset, verbose=0)
    split = Split(x, Kind.REAL, targets=y, name="train")
    bnn = network()
    bnn.build((None, 3))
    bnn.adapt(split)
    bnn.fit(dataset, verbose=0)  # a warning would be an error here
    assert float(bnn.likelihood.target_mean) == pytest.approx(54.5)


def test_values_beyond_those_of_the_training_are_refused():
    images = np.random.default_rng(0).random((10, 2, 2, 1)).astype(np.float32)
    layers = [keras.layers.Flatten(), keras.layers.Dense(3)]
    bnn = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Categorical(3))
    bnn.compile(optimizer="adam")
    bnn.fit(images, LABELS, verbose=0)
    bnn.predictive(images, 2)
    with pytest.raises(ValueError, match=r"out of range.*\[0, 1\], as in training.*from .* to "):
        bnn.predictive(255 * images, 2)
