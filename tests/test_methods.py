"""Recipes: every method builds, trains and predicts on tables; what no recipe can be."""

import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import methods
from tfp_vae.data import Data, Kind, Split
from tfp_vae.export import FORMATS
from tfp_vae.export.proof import runtimes
from tfp_vae.methods import Recipe
from tfp_vae.optimizers import held_adam
from tfp_vae.optimizers.held import LARGEST_GRADIENT
from tfp_vae.randomness import fold_in
from tfp_vae.studies import comparison

COUNT, DRAWS, STEPS = 40, 7, 4
COMPONENTS = {"map": 1, "ml": 1, "ensemble": 2, "batch_ensemble": 2}


def _data(task, seed=0):
    """Returns three splits of a table with three features."""
    rng = np.random.default_rng([seed, 71])
    x = rng.normal(5.0, 2.0, (COUNT + 20, 3))
    signal = x @ [1.0, -1.0, 0.5] + 0.3 * rng.normal(size=len(x))
    y = {"targets": 100 * signal}
    if task == "classification":
        y = {"labels": np.digitize(signal, np.quantile(signal, [1 / 3, 2 / 3]))}
    elif task == "counts":
        y = {"targets": rng.poisson(np.exp(0.2 * signal))}
    elif task is None:
        y = {}
    whole = Split(x, Kind.REAL, **y)
    parts = {"train": slice(COUNT), "validation": slice(COUNT, 50), "test": slice(50, None)}
    return Data("table", **{name: whole.select(index, name) for name, index in parts.items()})


def _predictor(recipe, data):
    model = methods.build(recipe, data, seed=3)
    # Two steps: tracing them takes longer than doing them.
    rate = 0.001 if recipe.method == "ivon" else 0.05
    model.compile(recipe.weights.optimizer(rate, COUNT), run_eagerly=True)
    history = model.fit(data.train, batch_size=COUNT, epochs=2, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert model.seed == 3
    return methods.finish(recipe, model, data.train, validation=data.validation)


# Of each way to come to a predictive distribution one learns numbers, too.
WITH_NUMBERS = ("vi", "ensemble", "laplace", "swag", "sngp")
# What starts from an ensemble is dear, and tried with numbers by its program.
TRIED = [
    pytest.param(
        name,
        task,
        marks=[pytest.mark.slow] * (name == "nuts")
        + [pytest.mark.all_only] * (task == "regression" and name not in WITH_NUMBERS)
        + [pytest.mark.all_too(reason="the one look at a method")] * (task == "classification"),
    )
    for name, method in methods.METHODS.items()
    for task in ("regression", "classification")
    if task == "classification" or not (method.several and method.post_hoc)
]


@pytest.mark.parametrize(("method", "task"), TRIED)
def test_every_method_trains_on_a_table_and_predicts(method, task, base_seed):
    data = _data(task, base_seed)
    walk = {"posterior_steps": STEPS, "posterior_rate": 0.1}
    recipe = Recipe(method, hidden=(8,), members=2, dropout=0.5, **walk)
    predictor = _predictor(recipe, data)
    predictive = predictor.predictive(data.test, DRAWS)
    assert predictive.batch_shape == (10,)
    parts = predictive.components_distribution
    assert parts.batch_shape == (10, COMPONENTS.get(method, DRAWS))
    assert np.all(np.isfinite(predictive.log_prob(data.test.y)))
    assert np.all(np.isfinite(predictive.total))
    assert predictive.is_categorical == (task == "classification")
    if predictive.is_categorical:
        assert predictive.probs.shape == (10, 3)
        np.testing.assert_allclose(np.sum(predictive.probs, axis=1), 1, rtol=1e-5)
    else:  # in the units of the target
        assert abs(np.mean(predictive.mean()) - data.train.targets.mean()) < 500
        assert np.all(predictive.stddev() > 1)
    if COMPONENTS.get(method) == 1:
        np.testing.assert_allclose(predictive.epistemic, 0, atol=1e-5)
    else:
        assert np.all(predictive.epistemic > 0)
    again = predictor.predictive(data.test, DRAWS)
    np.testing.assert_array_equal(again.log_prob(data.test.y), predictive.log_prob(data.test.y))


@pytest.mark.parametrize("method", ["vi", pytest.param("laplace", marks=pytest.mark.all_only)])
def test_counts_have_a_rate(method, base_seed):
    data = _data("counts", base_seed)
    recipe = Recipe(method, hidden=(2,), scale="poisson")
    predictive = _predictor(recipe, data).predictive(data.test, DRAWS)
    assert predictive.components_distribution.name == "Poisson"
    assert np.all(predictive.mean() > 0)
    assert np.all(predictive.epistemic > 0)


def test_local_reparameterization_is_the_estimator_unless_another_is_asked_for():
    model = methods.build(Recipe(hidden=(4, 4)), _data("regression"))
    kinds = [type(layer) for layer in model.bayesian_layers()]
    assert kinds == [tv.layers.DenseLocalReparameterization] * 3
    images = methods.make_member(Recipe(network="lenet"), (28, 28, 1), 10)
    kinds = [type(layer) for layer in images.bayesian_layers()]
    local = tv.layers.Conv2DLocalReparameterization, tv.layers.DenseLocalReparameterization
    assert kinds == [local[0]] * 2 + [local[1]] * 3
    assert comparison.Settings().estimator == Recipe().estimator == "local"


def test_a_recipe_says_what_the_layers_are():
    def made(method, **options):
        shape = (3,) if options.get("network") != "lenet" else (28, 28, 1)
        return methods.make_member(Recipe(method, **options), shape, 10)

    def names(model):
        return [type(layer).__name__ for layer in model.network.layers]

    tail = ["Standardize", "Flatten"]
    assert names(made("map", hidden=(4, 4))) == [*tail, "Dense", "Dense", "Dense"]
    dropped = [*tail, "Dense", "MonteCarloDropout", "Dense", "MonteCarloDropout", "Dense"]
    assert names(made("mc_dropout", hidden=(4, 4))) == dropped
    for estimator, (dense, _) in methods.ESTIMATORS.items():
        only_last = estimator == "deterministic"
        chosen = made("vi", estimator=estimator, bayesian_layers="last" if only_last else "all")
        first = "Dense" if only_last else dense.__name__
        assert names(chosen) == [*tail, first, dense.__name__]
    assert made("ml").weight_prior is None
    assert made("map", prior_scale=0.5).weight_prior.scale == 0.5
    vi = made("vi", prior="student_t", prior_scale="fan_in", learned_prior=False)
    assert vi.weight_prior is None
    for layer in vi.bayesian_layers():
        prior = layer.weight_prior
        assert (type(prior).__name__, prior.scale, prior.learned) == ("StudentT", "fan_in", False)
    # LeCun et al., 1998, as it is used today: 61,706 weights for 28x28 images and 10 classes.
    lenet = made("map", network="lenet")
    assert sum(int(np.prod(w.shape)) for w in lenet.trainable_variables) == 61_706
    bayesian = made("vi", network="lenet", learned_prior=False)
    assert sum(int(np.prod(w.shape)) for w in bayesian.trainable_variables) == 2 * 61_706


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "hmc"}, r"Unknown method.*vi, map.*nuts.*Received 'hmc'"),
        ({"network": "resnet"}, r"Unknown network.*mlp, lenet.*Received 'resnet'"),
        ({"estimator": "score"}, r"Unknown estimator.*local.*Received 'score'"),
        ({"prior": "flat"}, r"Unknown prior.*normal.*Received 'flat'"),
        ({"activation": "sine"}, r"Unknown activation.*relu.*Received 'sine'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_unknown_names_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


@pytest.mark.all_only
def test_laplace_has_the_structure_of_its_recipe_and_trains_on_by_evidence():
    data = _data("classification")
    recipe = Recipe(
        "laplace", hidden=(4,), posterior_structure="kronecker", posterior_precision="evidence",
        posterior_steps=5, posterior_predictive="probit",
    )  # fmt: skip
    predictor = _predictor(recipe, data)
    summary = recipe.weights.summary(predictor)
    assert summary["posterior_structure"] == "kronecker" and predictor.layers == "all"
    assert len(summary["posterior_precision"]) == 2 and summary["posterior_log_evidence"] < 0
    probs = predictor.predictive(data.test).probs
    np.testing.assert_allclose(np.sum(probs, axis=1), 1, rtol=1e-5)
    assert np.isfinite(predictor.predictive(data.test).log_prob(data.test.y)).all()


def test_validation_data_of_one_class_are_refused_before_training():
    data = _data("classification")
    one = data.validation.select(np.flatnonzero(data.validation.labels == 1), "validation")
    data = Data("table", data.train, one, data.test)
    with pytest.raises(ValueError, match="Expected validation data of several classes"):
        methods.build(Recipe("laplace"), data)
    methods.build(Recipe("laplace", posterior_precision="evidence"), data)


def test_data_that_do_not_fit_a_recipe_are_refused():
    with pytest.raises(ValueError, match=r"LeNet.*images.*\(H, W, C\).*Received \(3,\)"):
        methods.build(Recipe("map", network="lenet"), _data("classification"))
    with pytest.raises(ValueError, match=r"nothing to predict.*labels or targets.*neither"):
        methods.build(Recipe("map"), _data(None))
    with pytest.raises(ValueError, match=r"Too few samples.*at least 4.*Received 3"):
        methods.build(Recipe("nuts", posterior_steps=3), _data("regression"))
    with pytest.raises(ValueError, match=r"needs a prior.*Received one without"):
        tv.Laplace(methods.build(Recipe("ml"), _data("regression")))
    with pytest.raises(ValueError, match=r"M2 learns classes.*data with labels.*without"):
        methods.VAERecipe(latent_dim=4, model="m2", likelihood="normal").build(_data("regression"))


def test_swag_walks_in_the_batches_it_is_given_and_shows_how_far_it_is():
    data = _data("regression")
    recipe = Recipe("swag", hidden=(4,), posterior_steps=3)
    model = methods.build(recipe, data)
    model.compile(optimizer="adam")
    model.fit(data.train, verbose=0)
    epochs, batches = [], []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epochs.append(epoch),
        on_train_begin=lambda logs: batches.append(watch.params["steps"]),
    )
    methods.finish(recipe, model, data.train, batch_size=len(data.train), callbacks=[watch])
    assert (epochs, batches) == ([0, 1, 2], [1])


def test_what_a_method_uses_is_in_the_recipe_or_in_the_weight_of_the_kl():
    fields = {each.name for each in dataclasses.fields(Recipe)} | {"num_samples", "beta", "warm_up"}
    for name, method in methods.METHODS.items():
        assert set(method.uses) <= fields, name


def test_names_and_flags_of_methods_need_no_tensorflow():
    code = (
        "import sys; from tfp_vae import methods; "
        "print([name for name, m in methods.METHODS.items() if m.post_hoc], 'keras' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = "laplace laplace_last_layer swag multiswag nuts sgmcmc mile ivon".split()
    assert out.stdout.strip() == f"{after} False"


def test_a_bayesian_decoder_is_for_dense_networks_alone():
    recipe = methods.VAERecipe(
        latent_dim=2, likelihood="normal", hidden=(4,), bayesian_decoder=True
    )
    vae = recipe.build(_data(None))
    assert len(vae.bayesian_layers()) == 1
    with pytest.raises(ValueError, match="no Bayesian layers for this decoder"):
        dataclasses.replace(recipe, network="conv")


@pytest.mark.parametrize(
    ("chosen", "mlp", "lenet"),
    [("last", 1, 1), (1, 1, 1), (2, 2, 2), (4, None, 4), ("all", 3, 5)],
)
def test_the_last_layers_are_bayesian_as_many_as_asked_for(chosen, mlp, lenet):
    for network, count, depth in (("mlp", mlp, 3), ("lenet", lenet, 5)):
        recipe = Recipe("vi", network=network, hidden=(6, 5), bayesian_layers=chosen)
        if count is None:
            with pytest.raises(ValueError, match="bayesian_layers of at most 3"):
                methods.make_network(recipe, 2, False)
            continue
        weighted = [
            isinstance(layer, tv.layers.BayesianLayer)
            for layer in methods.make_network(recipe, 2, False).layers
            if isinstance(layer, tv.layers.BayesianLayer | keras.layers.Dense | keras.layers.Conv2D)
        ]
        assert weighted == [False] * (depth - count) + [True] * count


def test_the_deterministic_estimator_is_one_of_the_last_layer_with_any_covariance():
    recipe = Recipe("vi", hidden=(6,), estimator="deterministic", covariance="full")
    with pytest.raises(ValueError, match=r"is one of the last layer.*Received 'all'"):
        methods.make_network(recipe, 2, False)
    recipe = dataclasses.replace(recipe, bayesian_layers="last")
    (layer,) = methods.make_member(recipe, (3,), 4).bayesian_layers()
    assert layer.covariance == "full"
    with pytest.raises(ValueError, match="A scale from the network has no expectation"):
        methods.make_member(dataclasses.replace(recipe, scale="per_example"), (3,), None)


@pytest.mark.parametrize("wrong", ["first", 0, 1.5, None])
def test_other_layers_than_the_last_ones_are_refused(wrong):
    with pytest.raises(ValueError, match="Expected 'last', 'all' or an integer >= 1"):
        Recipe("vi", bayesian_layers=wrong)


def test_only_the_last_layer_has_the_covariance(base_seed):
    recipe = Recipe(
        "vi", hidden=(6, 5), estimator="reparameterization", bayesian_layers=2, covariance="full"
    )
    layers = [x for x in methods.make_network(recipe, 2, False).layers if hasattr(x, "covariance")]
    assert [layer.covariance for layer in layers] == ["diagonal", "full"]


def test_features_before_the_first_random_layer_are_computed_once_and_change_no_draw(base_seed):
    recipe = Recipe("vi", hidden=(6, 5), bayesian_layers="last")
    model = methods.make_member(recipe, (4,), 3, seed=base_seed)
    assert model.num_certain_layers == 4  # Standardize, Flatten, two layers
    x = tf.constant(np.random.default_rng(base_seed).normal(size=(7, 4)), tf.float32)
    key = model.caller_key(base_seed)
    whole = [model.at(fold_in(key, index), "shared").parameters(x) for index in range(3)]
    for found in (model.draw_parameters(x, 3, key), model.frozen_parameters(x, 3, key)):
        np.testing.assert_allclose(found, whole, rtol=1e-6, atol=1e-6)
    calls = []
    first = model.network.layers[2]
    once, first.call = first.call, lambda *args, **kwargs: (calls.append(1), once(*args))[1]
    model.draw_parameters(x, 3, key)
    assert len(calls) == 1


def test_label_noise_mixes_the_softmax_with_all_classes_and_is_none_of_real_targets():
    head = methods.make_likelihood(Recipe("map", label_noise=0.2), 4)
    logits = np.array([[2.0, -1.0, 0.5, 0.0], [50.0, -50.0, 0.0, 0.0]], np.float32)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = head.distribution(head(logits)).probs_parameter()
    np.testing.assert_allclose(found, 0.8 * softmax + 0.05, rtol=1e-5)
    with pytest.raises(ValueError, match="Expected label_noise=0 for real targets"):
        methods.make_likelihood(Recipe("map", label_noise=0.2), None)
    with pytest.raises(ValueError, match="Impossible label_noise"):
        Recipe("map", label_noise=1.0)


CHEAP = {"sngp": ["onnx"], "batch_ensemble": ["litert"], "rank1": ["onnx"]}  # in the usual run


@pytest.mark.all_only
@pytest.mark.parametrize("method", CHEAP)
def test_a_cheap_posterior_predicts_from_a_file_and_in_every_runtime_as_it_did(
    request, method, tmp_path
):
    portable = ["onnx", "litert"] if request.config.getoption("whole") else CHEAP[method]
    pytest.importorskip("tf2onnx")
    data = _data("classification")
    model = methods.build(Recipe(method, hidden=(4,), members=2, random_features=8), data, seed=3)
    model.compile(optimizer=keras.optimizers.Adam(0.05), run_eagerly=True)
    model.fit(data.train, batch_size=COUNT, epochs=1, verbose=0)
    expected = model.predictive(data.test, DRAWS).log_probs
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras").predictive(data.test, DRAWS)
    np.testing.assert_array_equal(again.log_probs, expected)
    folder = tv.export.export(
        model, data, tmp_path / "export", ["savedmodel", *portable], num_samples=3
    )
    written = {a["format"] for a in tv.report.read_json(folder / "export.json")["artefacts"]}
    assert {"savedmodel", *portable} <= written
    for name in portable:
        kind, cells = FORMATS[name], []
        runtimes.run_format(folder, [name], kind.form, kind.load, cells.append, 0.0)
        assert cells and all(cell["tolerance_share"] < 1 for cell in cells)


# Members of "batch_ensemble" are points that start apart and agree as far as data make them, which
# takes more steps; a prior of their factors would make them agree where there are few data.
@pytest.mark.all_only
@pytest.mark.parametrize(
    ("method", "epochs", "members", "rate"),
    [("sngp", 1, 4, 0.05), ("rank1", 1, 4, 0.05), ("batch_ensemble", 6, 8, 0.02)],
    ids=["sngp", "rank1", "batch_ensemble"],
)
@pytest.mark.dear(reason="trains networks with few and with many examples")
def test_what_the_weights_add_to_the_uncertainty_falls_with_the_number_of_examples(
    method, epochs, members, rate
):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 3)).astype(np.float32)
    targets = x @ [1.0, -1.0, 0.5] + 0.3 * rng.normal(size=300)
    found = []
    for count in (6, 200):
        keras.utils.set_random_seed(1)
        train = Split(x[:count], Kind.REAL, targets=targets[:count], name="train")
        recipe = Recipe(method, hidden=(8,), members=members, random_features=64)
        model = methods.make_member(recipe, (3,), None, seed=1)
        model.compile(keras.optimizers.Adam(rate), steps_per_execution=100, jit_compile=False)
        steps = {"steps_per_epoch": 100, "epochs": epochs}
        model.fit(train, batch_size=count, verbose=0, **steps)
        found.append(float(np.mean(model.predictive(x[200:], 50).epistemic)))
    assert found[1] < 0.7 * found[0]


def test_one_gradient_of_millions_does_not_stop_a_network():
    adams = (held_adam(0.01), keras.optimizers.Adam(0.01))
    held, plain = (keras.Variable([0.0, 0.0]) for _ in adams)
    for step in range(60):
        gradient = tf.constant([1e6 if step == 0 else 1.0, 1.0])
        for optimizer, weights in zip(adams, (held, plain), strict=True):
            optimizer.apply([gradient], [weights])
    assert held.numpy()[0] < -0.3  # half as far as one that met no such gradient
    assert plain.numpy()[0] > -0.1  # Adam by itself stands still
    np.testing.assert_allclose(held.numpy()[1], -0.6, rtol=0.01)  # a value beside it is untouched


@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_that_trains_by_adam_holds_its_gradients(method):
    optimizer = Recipe(method).weights.optimizer(0.01, COUNT)
    adam = isinstance(optimizer, keras.optimizers.Adam)
    assert (optimizer.clipvalue == LARGEST_GRADIENT) == adam


@pytest.mark.parametrize(("units", "structure"), [(4, "full"), (600, "diagonal")])
def test_laplace_keeps_all_covariances_of_few_weights_unasked(units, structure):
    recipe = Recipe("laplace", hidden=(units,))
    model = methods.build(recipe, _data("regression"))
    assert recipe.weights.default_structure(model) == structure
