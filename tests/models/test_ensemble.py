"""Ensembles: every member trains and predicts as it would alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.data import Kind, Split
from tfp_vae.layers.noise import ESTIMATOR, SHARED

OPTIMIZERS = {"sgd": lambda: keras.optimizers.SGD(0.05), "adam": lambda: keras.optimizers.Adam(0.1)}


def _table(count=16, seed=0, classes=False):
    rng = np.random.default_rng([seed, 61])
    x = rng.normal(2.0, 3.0, (count, 3)).astype(np.float32)
    signal = x @ [1.0, -1.0, 0.5] + rng.normal(size=count)
    return x, np.digitize(signal, [-1, 3]) if classes else (10 + 3 * signal).astype(np.float32)


def _member(likelihood=None, layer="Dense", **options):
    """Returns an unbuilt network for three features."""
    likelihood = likelihood or tv.likelihoods.Normal()
    dense = getattr(keras.layers if layer == "Dense" else tv.layers, layer)
    layers = [tv.layers.Standardize(), dense(4, "tanh"), dense(likelihood.num_features)]
    return tv.BayesianNetwork(keras.Sequential(layers), likelihood, **options)


def _ensemble(size, member=None, **options):
    return tv.Ensemble(member or _member(), size, input_shape=(3,), **options)


def _train(model, x, y, optimizer="adam", **options):
    """Returns the history of two epochs of two batches."""
    model.compile(optimizer=OPTIMIZERS[optimizer](), jit_compile=False)
    options = {"batch_size": len(x) // 2, "epochs": 2, "verbose": 0, **options}
    return model.fit(x, y, **options).history


def _assert_same_weights(one, other):
    for first, second in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4, err_msg=first.path)


# Training.


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("kind", "optimizer"),
    [
        ("dense", "sgd"),
        pytest.param("dense", "adam", marks=pytest.mark.all_only),
        ("conv", "adam"),
    ],
)
def test_members_train_as_each_would_alone_and_metrics_are_means(kind, optimizer, base_seed):
    x, y = _table(seed=base_seed)
    shape, member = (3,), _member(weight_prior=2.0)
    if kind == "conv":
        x, shape = np.tile(x[:, :, np.newaxis, np.newaxis], (1, 1, 3, 1)), (3, 3, 1)
        layers = [keras.layers.Conv2D(2, 2, activation="tanh"), keras.layers.Flatten()]
        network = keras.Sequential([*layers, keras.layers.Dense(1)])
        member = tv.BayesianNetwork(network, tv.likelihoods.Normal(), weight_prior=2.0)
    ensemble = tv.Ensemble(member, 2, input_shape=shape)
    assert ensemble.is_vectorized == (kind == "dense")
    alone = [ensemble.member(i) for i in range(2)]
    before = [w.numpy() for w in alone[0].trainable_variables]
    history, *histories = (_train(model, x, y, optimizer) for model in (ensemble, *alone))
    for i in range(2):
        _assert_same_weights(ensemble.member(i), alone[i])
    moved = [np.abs(w - b).max() for w, b in zip(alone[0].trainable_variables, before, strict=True)]
    assert min(moved) > 1e-3
    np.testing.assert_allclose(
        history["loss"], sum(np.array(h["loss"]) for h in histories), rtol=1e-4
    )
    for name in ("elbo", "expected_log_likelihood", "kl"):
        mean = np.mean([h[name] for h in histories], axis=0)
        np.testing.assert_allclose(history[name], mean, rtol=1e-4)
    assert ensemble.num_data == len(x)


@pytest.mark.all_only
def test_members_with_bayesian_convolutions_train_one_after_the_other(base_seed):
    x, y = _table(seed=base_seed)
    x = np.tile(x[:, :, np.newaxis, np.newaxis], (1, 1, 3, 1))
    convolution = tv.layers.Conv2DLocalReparameterization(2, 2, activation="tanh")
    layers = [convolution, keras.layers.Flatten(), keras.layers.Dense(1)]
    member = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Normal())
    ensemble = tv.Ensemble(member, 2, input_shape=(3, 3, 1))
    assert not ensemble.is_vectorized
    before = [w.numpy() for w in ensemble.trainable_variables]
    history = _train(ensemble, x, y)
    assert np.isfinite(history["loss"]).all()
    assert all(np.any(w != b) for w, b in zip(ensemble.trainable_variables, before, strict=True))
    assert ensemble.predictive(x, 4).batch_shape == (len(x),)


def test_members_start_from_weights_of_their_own():
    ensemble = _ensemble(3)
    kernels = [ensemble.member(i).network.layers[1].kernel.numpy() for i in range(3)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.all(kernels[one] != kernels[other])
    assert ensemble.num_members == 3
    assert sum(w.shape[0] == 3 for w in ensemble.weights) == len(ensemble.member(0).weights)


@pytest.mark.all_only
def test_groups_learn_each_its_own_data_in_its_own_units(base_seed):
    tables = [_table(seed=base_seed + g) for g in range(2)]
    tables[1] = (tables[1][0] * 5 + 20, tables[1][1] / 10 - 7)
    x, y = (np.stack(parts, axis=1) for parts in zip(*tables, strict=True))
    ensemble = _ensemble(2, _member(weight_prior=1.0), groups=2)
    alone = {i: ensemble.member(i) for i in (1, 2)}  # the last of one group, the first of the next
    _train(ensemble, x, y)
    for i, model in alone.items():
        _train(model, *tables[i // 2])
    predictive = ensemble.predictive(x[:5], 10)
    assert (x.shape, y.shape, predictive.batch_shape) == ((16, 2, 3), (16, 2), (5, 2))
    parts = predictive.components_distribution
    assert parts.batch_shape == (5, 2, 2)
    assert ensemble.predict(x[:5], verbose=0).shape == (5, 2)
    assert predictive.log_prob(y[:5]).shape == (5, 2)
    for i, model in alone.items():
        group, member = i // 2, ensemble.member(i)
        _assert_same_weights(member, model)
        own_x, own_y = tables[group]
        assert float(member.likelihood.target_mean) == pytest.approx(own_y.mean(), rel=1e-4)
        np.testing.assert_allclose(member.network.layers[0].scale, own_x.std(0), rtol=1e-4)
        expected = member.predictive(own_x[:5]).components_distribution
        for name in ("loc", "scale"):
            found = getattr(parts, name)[:, group, i % 2]
            np.testing.assert_allclose(found, getattr(expected, name)[:, 0], rtol=1e-4, atol=1e-4)


def test_a_group_is_an_ensemble_of_its_members_that_predicts_as_they_do_together(base_seed):
    tables = [_table(seed=base_seed + g) for g in range(2)]
    x, y = (np.stack(parts, axis=1) for parts in zip(*tables, strict=True))
    ensemble = _ensemble(2, _member(weight_prior=1.0), groups=2)
    split = tv.data.Split(x, tv.data.Kind.REAL, targets=y, name="train")
    ensemble.num_data = len(split)
    ensemble.take_units(split)
    together = ensemble.predictive(x[:5]).components_distribution
    for number in range(2):
        group = ensemble.group(number)
        assert (group.size, group.groups, group.num_data) == (2, None, 16)
        parts = group.predictive(x[:5, number]).components_distribution
        np.testing.assert_allclose(parts.loc, together.loc[:, number], rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"no such group.*0 to 1.*Received 2"):
        ensemble.group(2)


# Random members.

RANDOM = {
    "dropout": lambda: [tv.layers.MonteCarloDropout(0.5), keras.layers.Dense(1, use_bias=False)],
    "reparameterization": lambda: [tv.layers.DenseReparameterization(1, use_bias=False)],
    "local": lambda: [tv.layers.DenseLocalReparameterization(1, use_bias=False)],
    "flipout": lambda: [tv.layers.DenseFlipout(1, use_bias=False)],
}


@pytest.mark.parametrize(
    ("kind", "vectorized"),
    [
        pytest.param(
            kind,
            vectorized,
            id=f"{kind}-{'vectorized' if vectorized else 'unrolled'}",
            marks=[pytest.mark.all_only] * (not vectorized and kind != "flipout"),
        )
        for kind in RANDOM
        for vectorized in (True, False)
    ],
)
def test_members_have_independent_noise(kind, vectorized, base_seed):
    count = 300
    member = tv.BayesianNetwork(
        keras.Sequential(RANDOM[kind]()), tv.likelihoods.Normal(1.0), seed=base_seed
    )
    ensemble = tv.Ensemble(member, 2, input_shape=(count,), seed=base_seed)
    ensemble.is_vectorized = vectorized
    for stack in ensemble.stacks:
        stack.assign(np.ones(stack.shape) * (-0.2 if "raw_scale" in stack.name else 1))
    x = np.eye(count, dtype=np.float32)  # example i shows the noise of weight or mask i
    passes = {
        ESTIMATOR: np.concatenate([ensemble(x, seed=s).loc for s in (1, 2)]),
        SHARED: ensemble.predictive(x, 3).components_distribution.loc.numpy().T,
    }
    for values in passes.values():
        assert values.shape == (4, count)  # two passes, the second begun for the third draw
        assert np.all(values.std(axis=1) > 0.01)
        correlations = np.corrcoef(values)[np.triu_indices(4, 1)]
        assert np.max(np.abs(correlations)) < 4.5 / np.sqrt(count)
    again = ensemble.predictive(x, 3).components_distribution.loc.numpy().T
    np.testing.assert_array_equal(again, passes[SHARED])


@pytest.mark.all_only
def test_a_kl_without_closed_form_is_drawn_anew_at_every_step(base_seed):
    member = tv.BayesianNetwork(
        keras.Sequential([tv.layers.DenseFlipout(1, prior="scale_mixture")]),
        tv.likelihoods.Normal(100.0),
    )
    ensemble = _ensemble(2, member, seed=base_seed)
    x, y = _table(seed=base_seed)
    ensemble.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    history = ensemble.fit(x, y, epochs=4, verbose=0).history
    assert np.min(np.diff(np.sort(history["kl"]))) > 1e-6  # more than rounding
    measured = [ensemble.evaluate(x, y, verbose=0, return_dict=True)["kl"] for _ in range(2)]
    assert measured[0] == measured[1]


# Predicting.


def test_predictive_is_the_mixture_of_the_members_probabilities(base_seed):
    x, y = _table(seed=base_seed, classes=True)
    ensemble = _ensemble(3, _member(tv.likelihoods.Categorical(3)))
    ensemble.compile(optimizer="adam", jit_compile=False)
    found = ensemble.evaluate(x, y, verbose=0, return_dict=True)
    each = np.stack([ensemble.member(i).predictive(x).probs for i in range(3)])
    predictive = ensemble.predictive(x)
    assert predictive.components_distribution.batch_shape == (16, 3)  # each is one function
    np.testing.assert_allclose(predictive.probs, each.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ensemble.predict(x, verbose=0), each.mean(0), rtol=1e-4, atol=1e-6)
    log_likelihood = np.log(each[:, np.arange(16), y]).mean()
    assert found["expected_log_likelihood"] == pytest.approx(log_likelihood, rel=1e-4)
    assert found["accuracy"] == pytest.approx(np.mean(each.mean(0).argmax(1) == y))


@pytest.mark.all_only
def test_a_loaded_ensemble_predicts_and_trains_on_as_the_saved_one(tmp_path, base_seed):
    x, y = _table(seed=base_seed)
    x, y = np.stack([x, 2 * x], axis=1), np.stack([y, -y], axis=1)
    ensemble = _ensemble(2, _member(layer="DenseFlipout"), groups=2, seed=5)
    _train(ensemble, x, y)
    ensemble.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    assert (again.size, again.groups, again.num_data) == (2, 2, 16)
    for one, other in zip(again.stacks, ensemble.stacks, strict=True):
        np.testing.assert_array_equal(one, other)
    means = [model.predictive(x, 6).mean() for model in (again, ensemble)]
    np.testing.assert_array_equal(*means)
    losses = [model.fit(x, y, verbose=0).history["loss"] for model in (again, ensemble)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


# What is refused.


def _with(layer):
    return tv.BayesianNetwork(
        keras.Sequential([keras.layers.Dense(4), layer, keras.layers.Dense(1)]),
        tv.likelihoods.Normal(),
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _ensemble(0), r"Impossible size.*>= 1.*Received 0"),
        (lambda: _ensemble(1, groups=0), r"Impossible groups.*>= 1.*Received 0"),
        (lambda: tv.Ensemble(_member(), 2), r"not built.*Expected input_shape.*Received None"),
        (lambda: _ensemble(2).member(2), r"no such member.*0 to 1.*Received 2"),
        (
            lambda: _ensemble(2, _member(tv.likelihoods.Categorical(3)), groups=2),
            r"real targets.*groups=None.*Received groups=2",
        ),
        (
            lambda: _ensemble(2, _with(keras.layers.BatchNormalization())),
            r"Moving averages.*without BatchNormalization.*Received batch_norm",
        ),
        (
            lambda: _ensemble(2, _with(keras.layers.Dropout(0.5))),
            r"noise of Keras.*MonteCarloDropout.*Received dropout",
        ),
        (
            lambda: _ensemble(2, _with(keras.layers.Dense(4, kernel_regularizer="l2"))),
            r"Regularizers would be lost.*weight_prior.*Received",
        ),
    ],
    ids=["size", "groups", "shape", "member", "classes", "moving", "dropout", "regularizer"],
)
def test_impossible_ensembles_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_targets_of_a_wrong_shape_are_refused():
    x, y = _table()
    ensemble = _ensemble(2, groups=2)
    ensemble.compile(optimizer="adam")
    both = np.stack([x, x], axis=1)
    for targets, received in ((y, r"\(16,\)"), (np.stack([y] * 3, axis=1), r"\(16, 3\)")):
        with pytest.raises(ValueError, match=rf"fit the groups.*\(16, 2\).*Received {received}"):
            ensemble.fit(both, targets)
    with pytest.raises(ValueError, match=r"fit the groups.*Received None"):
        ensemble.fit(Split(both, Kind.REAL))
    with pytest.raises(ValueError, match=r"wrong shape.*\(2, 3\).*Received \(3,\)"):
        ensemble.fit(x, y)
    plain = _ensemble(2)
    plain.compile(optimizer="adam")
    with pytest.raises(ValueError, match=r"one target per example.*\(N,\).*Received \(16, 2\)"):
        plain.fit(x, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match=r"wrong shape.*\(3,\).*Received \(2, 3\)"):
        plain.predictive(tf.constant(both))


def test_members_that_would_all_start_equal_are_refused():
    start = keras.initializers.GlorotUniform(seed=3)
    layers = [keras.layers.Dense(4, "tanh", kernel_initializer=start), keras.layers.Dense(1)]
    member = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Normal())
    tv.Ensemble(member, 2, input_shape=(3,))  # the second layer differs
    layers[1] = keras.layers.Dense(1, kernel_initializer=start)
    member = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Normal())
    with pytest.raises(ValueError, match=r"all be the same.*random initial values.*with a seed"):
        tv.Ensemble(member, 2, input_shape=(3,))
    tv.Ensemble(member, 1, groups=2, input_shape=(3,))  # each has data of its own


def test_the_targets_of_every_group_are_looked_at():
    layers = [keras.layers.Dense(1)]
    member = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Poisson())
    ensemble = tv.Ensemble(member, 1, groups=2, input_shape=(3,))
    targets = np.ones((6, 2))
    targets[4, 1] = 0.5
    split = Split(np.zeros((6, 2, 3), np.float32), Kind.REAL, targets=targets, name="train")
    with pytest.raises(ValueError, match=r"train targets are not counts.*0.5 at index 4"):
        ensemble.check_split(split)


def test_kl_takes_the_number_of_draws_that_stand_for_the_expectation():
    layer = tv.layers.DenseReparameterization(1, prior="student_t")
    member = tv.BayesianNetwork(keras.Sequential([layer]), tv.likelihoods.Normal(), num_data=9)
    ensemble = tv.Ensemble(member, 2, input_shape=(3,))
    one, many = (float(ensemble.kl_divergence(n)) for n in (1, 4000))
    each = [float(ensemble.member(i).kl_divergence(4000)) for i in (0, 1)]
    assert one != many
    assert many == pytest.approx(np.mean(each), rel=0.05)
