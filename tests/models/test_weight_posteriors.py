"""Laplace, SWAG, NUTS and given samples against the posterior of a linear-Gaussian network."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from sklearn import linear_model

import tfp_vae as tv
from tfp_vae.data import Kind, Split
from tfp_vae.models import Chains, WeightSamples, curvatures
from tfp_vae.models.posteriors.chains import effective_sample_size
from tfp_vae.models.variational import fold_in

PRIOR_SCALE, NOISE, COUNT = 2.0, 0.3, 20


def _inputs(count=COUNT, seed=0):
    rng = np.random.default_rng([seed, 41])
    return (rng.normal(size=(count, 3)) @ np.triu(np.ones((3, 3)))).astype(np.float32)


def _model(layers, likelihood, **options):
    options = {"weight_prior": PRIOR_SCALE, "num_data": COUNT, **options}
    model = tv.BayesianNetwork(keras.Sequential(layers), likelihood, **options)
    model.build((None, 3))
    return model


class Linear:
    """A network that is linear in its weights, with normal noise: posterior N(m, A^-1)."""

    def __init__(self, **options):
        rng = np.random.default_rng(1)
        self.x = _inputs()
        y = self.x @ [1.0, -2.0, 0.5] + NOISE * rng.normal(size=COUNT)
        self.split = Split(self.x, Kind.REAL, targets=y, name="train")
        x, y = np.float64(self.x), np.float64(self.split.targets)
        self.precision = np.eye(3) / PRIOR_SCALE**2 + x.T @ x / NOISE**2
        self.covariance = np.linalg.inv(self.precision)
        self.mean = self.covariance @ x.T @ y / NOISE**2
        dense = keras.layers.Dense(1, use_bias=False)
        self.model = _model([dense], tv.likelihoods.Normal(NOISE), **options)
        dense.kernel.assign(self.mean[:, np.newaxis])


@pytest.fixture
def linear():
    return Linear()


def _assert_moments(draws, mean, covariance):
    """Holds mean and covariance of independent normal draws [S, P] against these."""
    draws, variance = np.float64(draws), np.diag(covariance)
    assert np.all(np.abs(draws.mean(0) - mean) < 4.5 * np.sqrt(variance / len(draws)) + 1e-6)
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / len(draws))
    assert np.all(np.abs(np.cov(draws.T) - covariance) < 5 * error + 1e-9)


def _covariance(posterior):
    """Returns the covariance of the chosen weights of a Laplace approximation, [p, p]."""
    root = np.float64(posterior.curvature.deviations(tf.eye(len(posterior.index))))
    return root.T @ root


def _curvature(posterior):
    """Returns the inverse of the covariance of a Laplace approximation, [p, p]."""
    return np.linalg.inv(_covariance(posterior))


# Laplace.


def test_laplace_of_a_linear_network_is_its_posterior(linear):
    whole = tv.Laplace(linear.model, "full", "last", batch_size=7).fit(linear.split)
    np.testing.assert_allclose(whole.loc, linear.mean, rtol=1e-6)
    np.testing.assert_allclose(_covariance(whole), linear.covariance, rtol=1e-4, atol=1e-8)
    diagonal = tv.Laplace(linear.model, "diagonal", batch_size=7).fit(linear.split)
    expected = np.diag(1 / np.diag(linear.precision))
    np.testing.assert_allclose(_covariance(diagonal), expected, rtol=1e-4)


@pytest.mark.parametrize("structure", ["full", "kronecker"])
def test_what_sharp_data_leave_open_keeps_the_scale_of_the_prior(structure):
    rng = np.random.default_rng(3)
    one, other = np.round(rng.normal(size=(2, 500)) * 4096) / 4096  # so that their sum is exact
    x = np.stack([one, other, one + other], axis=1).astype(np.float32)
    dense = keras.layers.Dense(1, use_bias=False)
    model = _model([dense], tv.likelihoods.Normal(1e-5), num_data=500)  # curvature 5e12
    dense.kernel.assign([[0.5], [-1.0], [0.5]])
    split = Split(x, Kind.REAL, targets=one - 0.5 * other, name="train")
    draws = tv.Laplace(model, structure).fit(split).draw(4000, fold_in(5)).numpy()
    open_, seen = draws @ [1, 1, -1] / 3**0.5, draws @ [[1, 0], [0, 1], [1, 1]]
    assert abs(open_.std() / PRIOR_SCALE - 1) < 4.5 / np.sqrt(2 * 4000)
    assert np.all(seen.std(0) < 1e-5)  # 5e-7, and the rounding of draws of size 1


@pytest.mark.parametrize("structure", curvatures.STRUCTURES)
def test_linearised_predictive_variance_is_that_of_the_closed_form(linear, structure, base_seed):
    posterior = tv.Laplace(linear.model, structure).fit(linear.split)
    covariance = linear.covariance
    if structure == "diagonal":
        covariance = np.diag(1 / np.diag(linear.precision))
    x = _inputs(6, seed=1)
    exact = np.einsum("nd,de,ne->n", x, covariance, x)
    # Exactly, by the columns of a root of the covariance in the place of draws...
    root = np.linalg.cholesky(covariance).T.astype(np.float32)
    parameters = posterior.parameters_of(posterior.loc + root, tf.constant(x)).numpy()
    np.testing.assert_allclose(((parameters[..., 0] - x @ linear.mean) ** 2).sum(0), exact, 1e-3)
    np.testing.assert_allclose(parameters[..., 1], NOISE, rtol=1e-6)
    # ... and by drawing.
    predictive = posterior.predictive(x, 3000, seed=base_seed)
    assert np.all(np.abs(predictive.mean() - x @ linear.mean) < 4.5 * np.sqrt(exact / 3000))
    assert np.all(np.abs(predictive.epistemic / exact - 1) < 5 * np.sqrt(2 / 3000))


@pytest.mark.parametrize("kind", ["categorical", "poisson"])
def test_gauss_newton_of_a_linear_network_is_the_hessian_of_the_log_joint(kind, base_seed):
    rng = np.random.default_rng(base_seed)
    if kind == "categorical":
        likelihood, y = tv.likelihoods.Categorical(3), {"labels": rng.integers(0, 3, COUNT)}
    else:
        likelihood, y = tv.likelihoods.Poisson(), {"targets": rng.poisson(2.0, COUNT)}
    split = Split(_inputs(), Kind.REAL, name="train", **y)
    model = _model([keras.layers.Dense(likelihood.num_features)], likelihood)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    posterior = tv.Laplace(model, "full", "last").fit(split)
    at, x, y = posterior.point(), tf.constant(split.values()), tf.constant(split.y)
    with tf.GradientTape() as outer:
        outer.watch(at)
        with tf.GradientTape() as inner:
            inner.watch(at)
            value = -posterior.log_joint(at, x, y)
        slope = inner.gradient(value, at)
    hessian = outer.jacobian(slope, at).numpy()
    np.testing.assert_allclose(_curvature(posterior), hessian, rtol=2e-3, atol=2e-3)
    diagonal = tv.Laplace(model, "diagonal").fit(split)
    np.testing.assert_allclose(np.diag(_curvature(diagonal)), np.diag(hessian), rtol=1e-4)


def test_a_scale_per_example_enters_with_its_fisher_information(base_seed):
    likelihood = tv.likelihoods.Normal("per_example")
    model = _model([keras.layers.Dense(2, use_bias=False)], likelihood)
    likelihood.target_scale.assign(3.0)
    kernel = 0.3 * np.random.default_rng(base_seed).normal(size=(3, 2))
    model.network.layers[0].kernel.assign(kernel)
    x = _inputs()
    posterior = tv.Laplace(model, "full", "last").fit(
        Split(x, Kind.REAL, targets=x[:, 0], name="train")
    )
    raw = np.float64(x) @ kernel[:, 1]
    scale = 3 * (np.logaddexp(0, raw) + tv.heads.normal_in_units.TARGET_SCALE_FLOOR)
    by_loc, by_raw = 3 / scale, np.sqrt(2) * 3 / (1 + np.exp(-raw)) / scale
    expected = np.eye(6) / PRIOR_SCALE**2
    for row, one, other in zip(np.float64(x), by_loc, by_raw, strict=True):
        expected += np.kron(np.outer(row, row), np.diag([one**2, other**2]))
    np.testing.assert_allclose(_curvature(posterior), expected, rtol=1e-3, atol=1e-3)


def _deep(seed, **options):
    layers = [keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
    model = _model(layers, tv.likelihoods.Normal(), **options)
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return model


def test_predictions_are_those_of_the_network_linearised_at_its_weights(linear, base_seed):
    model = _deep(base_seed)
    posterior = tv.Laplace(model).fit(linear.split)
    x = tf.constant(_inputs(5, seed=1))
    draws = posterior.draw(4, tf.constant([base_seed, 0]))
    assert posterior.num_weights == 4 * 4 + 5 + 1
    np.testing.assert_array_equal(draws[:, -1], np.full(4, posterior.loc[-1]))  # of the noise
    with tf.GradientTape() as tape:
        outputs = model.network(x)
    jacobian = tape.jacobian(outputs, [v.value for v in model.network.trainable_variables])
    jacobian = np.concatenate([np.reshape(j, (5, -1)) for j in jacobian], axis=1)
    expected = outputs[:, 0] + (draws - posterior.loc)[:, :-1] @ jacobian.T
    found = posterior.parameters_of(draws, x)[..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    point = super(tv.Laplace, posterior).parameters_with
    plain = tf.stack([point(draw, x) for draw in draws])[..., 0]
    assert np.max(np.abs(plain - expected)) > 1e-2


@pytest.mark.all_only
def test_kronecker_factors_are_exact_for_one_output_and_for_an_input_that_is_always_the_same():
    """A (x) G is the Gauss-Newton matrix where inputs and slopes do not go together."""
    rng = np.random.default_rng(3)
    linear = _model([keras.layers.Dense(1)], tv.likelihoods.Normal(NOISE))
    split = Split(_inputs(), Kind.REAL, targets=_inputs()[:, 0], name="train")
    # One convolution of three filters at four positions each, all with the same patch and slope.
    image = np.tile(rng.normal(size=(1, 1, 1, 2)), (COUNT, 2, 2, 1))
    images = Split(image, Kind.REAL, labels=np.arange(COUNT) % 3, name="train")
    layers = [keras.layers.Conv2D(3, 1, activation="tanh"), keras.layers.GlobalAveragePooling2D()]
    convolution = tv.BayesianNetwork(
        keras.Sequential(layers), tv.likelihoods.Categorical(3), 2.0, num_data=COUNT
    )
    convolution.build((None, 2, 2, 2))
    for model, data, positions in ((linear, split, 1), (convolution, images, 4)):
        whole, factors = (
            tv.Laplace(model, structure).fit(data).curvature for structure in ("full", "kronecker")
        )
        size = whole.num_weights
        _, first = factors.log_determinant(1.0, np.ones(size))
        exact = np.linalg.eigvalsh(whole.totals[0]) / positions
        np.testing.assert_allclose(np.sort(1 / first - 1), exact, rtol=1e-4, atol=1e-4 * exact[-1])
    own = np.repeat([0.7, 0.2], [3, 1])  # of kernel and bias
    at = {}
    for structure in ("full", "kronecker"):
        posterior = tv.Laplace(linear, structure).fit(split)
        posterior.curvature.set_precision(own)
        at[structure] = _covariance(posterior)
    np.testing.assert_allclose(at["kronecker"], at["full"], rtol=1e-5, atol=1e-5 * at["full"].max())


def test_layers_without_kronecker_factors_are_refused():
    layers = [keras.layers.LayerNormalization(), keras.layers.Dense(1)]
    model = _model(layers, tv.likelihoods.Normal())
    with pytest.raises(ValueError, match=r"Expected Dense or Conv2D.*a LayerNormalization"):
        tv.Laplace(model, "kronecker")
    tv.Laplace(model, "kronecker", "last")
    inputs = keras.Input((3,))
    functional = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model = tv.BayesianNetwork(functional, tv.likelihoods.Normal(), 1.0, num_data=5)
    model.build((None, 3))
    with pytest.raises(ValueError, match=r"Expected a keras.Sequential, or another structure"):
        tv.Laplace(model, "kronecker")


@pytest.mark.all_only
@pytest.mark.parametrize(
    "structure", [pytest.param("kronecker", marks=pytest.mark.all_only), "full"]
)
def test_precision_and_noise_from_evidence_are_those_of_bayesian_ridge(structure):
    rng = np.random.default_rng(4)
    x = _inputs(60, seed=2)
    y = x @ [1.0, -0.2, 0.5] + 0.5 * rng.normal(size=60)
    y = (y - y.mean()) / y.std()
    model = _model([keras.layers.Dense(1, use_bias=False)], tv.likelihoods.Normal(), num_data=60)
    split = Split(x, Kind.REAL, targets=y, name="train")
    posterior = tv.Laplace(model, structure)
    x, y = np.float64(x), np.float64(split.targets)
    precision = 1 / PRIOR_SCALE**2
    for _ in range(15):  # weights and evidence in turns
        variance = float(model.likelihood.shared_scale) ** 2
        mode = np.linalg.solve(x.T @ x + variance * precision * np.eye(3), x.T @ y)
        model.network.layers[0].kernel.assign(mode[:, np.newaxis])
        posterior.fit(split, precision).maximise_evidence(split)
        (precision,) = posterior.precision
    ridge = linear_model.BayesianRidge(
        fit_intercept=False, alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, tol=1e-9, max_iter=2000
    ).fit(x, y)
    assert precision == pytest.approx(ridge.lambda_, rel=1e-2)
    assert float(model.likelihood.shared_scale) ** -2 == pytest.approx(ridge.alpha_, rel=1e-2)
    covariance = np.eye(60) / ridge.alpha_ + x @ x.T / ridge.lambda_
    exact = stats.multivariate_normal(np.zeros(60), covariance).logpdf(y)
    assert posterior.log_evidence == pytest.approx(exact, abs=1e-2)


@pytest.mark.all_only
@pytest.mark.parametrize(
    "structure",
    [  # that of all of the precision is at its maximum in the test above
        pytest.param(name, marks=[pytest.mark.all_only] * (name == "full"))
        for name in curvatures.STRUCTURES
    ],
)
def test_evidence_has_its_slope_in_every_precision(structure, base_seed):
    """The optimum is one: no neighbour has a higher evidence, whatever layer or noise moves."""
    model = _deep(base_seed)
    x = _inputs()
    split = Split(x, Kind.REAL, targets=x[:, 0], name="train")
    posterior = tv.Laplace(model, structure).fit(split).maximise_evidence(split)
    best, found = posterior.log_evidence, posterior.precision
    assert len(found) == 2
    for layer in range(2):
        for factor in (0.8, 1.25):
            near = np.array(found)
            near[layer] *= factor
            posterior.fit(split, near).maximise_evidence(split, most=1.0)
            assert posterior.log_evidence < best + 1e-6


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("structure", "layers", "predictive"),
    [("diagonal", "all", "sampled"), ("kronecker", "all", "sampled"), ("full", "last", "probit")],
)
def test_a_saved_laplace_predicts_as_the_posterior_it_was(structure, layers, predictive, tmp_path):
    model = _model(
        [keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)], tv.likelihoods.Categorical(3)
    )
    split = Split(_inputs(), Kind.REAL, labels=np.arange(COUNT) % 3, name="train")
    posterior = tv.Laplace(model, structure, layers, predictive=predictive)
    with pytest.raises(ValueError, match=r"curvature is not known yet.* Expected fit"):
        posterior.as_model()
    posterior.fit(split, 2.0)
    model.data_kind, model.class_names = Kind.REAL, ("a", "b", "c")
    expected = posterior.predictive(split, 7)
    saved = posterior.as_model()
    saved.save(tmp_path / "posterior.keras")
    for weight in model.weights:  # the copy has weights of its own
        weight.assign(weight + 1)
    again = tv.load(tmp_path / "posterior.keras")
    assert again.class_names == ("a", "b", "c") and again.is_random == (predictive == "sampled")
    np.testing.assert_array_equal(again.predictive(split, 7).probs, expected.probs)
    np.testing.assert_array_equal(again.predict(split.values()).shape, (COUNT, 3))
    with pytest.raises(ValueError, match=r"has no training. Expected predictive.*its network is"):
        again.compile()


def test_training_by_evidence_keeps_its_best_epoch_and_leaves_the_model_alone():
    model = _deep(0)
    x = _inputs()
    split = Split(x, Kind.REAL, targets=x @ [1.0, -0.5, 0.0], name="train")
    before = [w.numpy() for w in model.weights]
    start = tv.Laplace(model, "kronecker").fit(split)
    trained = start.train(split, epochs=6, learning_rate=0.05, batch_size=COUNT, every=2)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    first = start.maximise_evidence(split, most=np.e)
    assert trained.log_evidence > first.log_evidence
    walk = trained.trained_model()
    np.testing.assert_allclose(walk.weight_prior.precisions, trained.precision, rtol=1e-6)
    assert trained.summary()["posterior_precision"] == list(trained.precision)
    assert walk.likelihood.trainable_variables
    # The evidence that was kept is the one of these weights, precisions and noise.
    again = tv.Laplace(walk, "kronecker").fit(split, trained.precision)
    again.maximise_evidence(split, most=1.0)
    assert again.log_evidence == pytest.approx(trained.log_evidence, abs=1e-2)


def test_only_the_last_layer_moves_if_that_is_asked(linear, base_seed):
    posterior = tv.Laplace(_deep(base_seed), "full", "last").fit(linear.split)
    assert list(posterior.index) == [16, 17, 18, 19, 20]
    draws = posterior.draw(2000, tf.constant([base_seed, 3])).numpy()
    still = np.delete(np.arange(22), posterior.index)
    np.testing.assert_array_equal(draws[:, still], np.tile(posterior.loc.numpy()[still], (2000, 1)))
    mean = posterior.loc.numpy()[posterior.index]
    _assert_moments(draws[:, posterior.index], mean, _covariance(posterior))


def test_the_scale_that_a_prior_has_learned_is_the_one_that_counts():
    linear = Linear(weight_prior=tv.layers.priors.Normal(PRIOR_SCALE, learned=True))
    posterior = tv.Laplace(linear.model, "full", "last").fit(linear.split)
    weights = np.float64(posterior.loc.numpy()[posterior.index])
    variance = (np.sum(weights**2) + 20 * PRIOR_SCALE**2) / (len(weights) + 4)
    expected = linear.precision + np.eye(3) * (1 / variance - PRIOR_SCALE**-2)
    np.testing.assert_allclose(_curvature(posterior), expected, rtol=1e-2)


def test_a_network_without_a_last_layer_of_its_own_is_refused():
    network = keras.Sequential([keras.layers.Dense(3), keras.layers.Rescaling(2.0)])
    model = tv.BayesianNetwork(network, tv.likelihoods.Categorical(3), 1.0, num_data=5)
    model.build((None, 2))
    with pytest.raises(ValueError, match="needs a last layer with weights of its own"):
        tv.Laplace(model, "full", "last")
    tv.Laplace(model)


@pytest.mark.all_only
def test_a_tuned_precision_is_the_best_of_the_grid_for_the_predictive_in_use(linear):
    rng = np.random.default_rng(2)
    x = _inputs(30, seed=5)
    y = x @ [1.0, -2.0, 0.5] + NOISE * rng.normal(size=30)
    validation, grid = Split(x, Kind.REAL, targets=y, name="validation"), (1e-2, 1.0, 1e4)
    tuned = tv.Laplace(linear.model).fit(linear.split).tune(validation, grid)
    for precision in grid:
        alone = tv.Laplace(linear.model).fit(linear.split, precision)
        nll = -np.mean(alone.predictive(validation).log_prob(y))
        assert tuned.tried[precision] == pytest.approx(nll, rel=1e-5)
    assert tuned.precision == min(grid, key=tuned.tried.get)
    expected = np.diag(linear.precision) + tuned.precision - PRIOR_SCALE**-2
    np.testing.assert_allclose(np.diag(_curvature(tuned)), expected, rtol=1e-4)
    assert tuned.summary()["posterior_validation_nll"] == min(tuned.tried.values())


@pytest.mark.parametrize("structure", curvatures.STRUCTURES)
def test_a_tuned_predictive_is_hardly_worse_than_its_point(structure, base_seed):
    rng = np.random.default_rng(base_seed)
    model = _model([keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)],
                   tv.likelihoods.Categorical(3))  # fmt: skip
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    train, validation = (
        Split(x, Kind.REAL, labels=np.argmax(model(x, seed=1).logits[0], axis=-1), name=name)
        for x, name in ((_inputs(), "train"), (_inputs(30, seed=5), "validation"))
    )  # of which the point is sure, and right
    posterior = tv.Laplace(model, structure, predictive="probit").fit(train)
    point = -float(np.mean(model.predictive(validation).log_prob(validation.labels)))
    assert -float(np.mean(posterior.predictive(validation).log_prob(validation.labels))) > point
    assert min(posterior.tune(validation).tried.values()) <= point + 0.005


@pytest.mark.parametrize("structure", curvatures.STRUCTURES)
def test_probit_logits_are_those_of_the_variances_of_the_linear_ones(structure, base_seed):
    dense = keras.layers.Dense(3, bias_initializer="random_normal")
    model = _model([dense], tv.likelihoods.Categorical(3), num_data=COUNT)
    x, labels = _inputs(COUNT, base_seed), np.arange(COUNT) % 3
    split = Split(x, Kind.REAL, labels=labels, name="train")
    posterior = tv.Laplace(model, structure, predictive="probit").fit(split)
    covariance = _covariance(posterior)
    inputs = np.concatenate([x, np.ones((COUNT, 1))], axis=1)  # weights: kernel row by row, bias
    jacobian = np.einsum("ni,kl->nkil", inputs, np.eye(3)).reshape(COUNT, 3, 12)
    variance = np.einsum("nkp,pq,nkq->nk", jacobian, covariance, jacobian)
    logits = np.float64(dense(x)) / np.sqrt(1 + np.pi / 8 * variance)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(posterior.predictive(split).probs, expected, rtol=1e-4)
    one = Split(x, Kind.REAL, labels=np.zeros(COUNT, int), name="validation")
    with pytest.raises(ValueError, match="validation data of several classes"):
        posterior.tune(one)


def test_probit_of_real_targets_is_refused(linear):
    with pytest.raises(ValueError, match="The probit predictive is one of classes"):
        tv.Laplace(linear.model, predictive="probit")


def test_a_posterior_that_is_fitted_again_predicts_with_what_it_learned_last(linear):
    posterior = tv.Laplace(linear.model).fit(linear.split.take(2))
    before = posterior.predictive(linear.x, 10).epistemic
    after = posterior.fit(linear.split).predictive(linear.x, 10).epistemic
    assert np.all(after < before / 2)
    walk = tv.SWAG(linear.model)
    for mean in (1.0, 2.0):
        found = walk.take(np.full((3, 3), mean)).predictive(linear.x, 2).mean()
        np.testing.assert_allclose(found, mean * linear.x.sum(1), rtol=1e-4, atol=1e-5)


# SWAG.


def test_moments_of_swag_are_those_of_the_path_and_its_draws_have_them(linear, base_seed):
    path = np.array([[1.0, 0.0, 5.0], [3.0, 0.0, 5.0], [2.0, 3.0, 5.0], [2.0, 5.0, 9.0]])
    posterior = tv.SWAG(linear.model, rank=2).take(path)
    mean = np.array([2.0, 2.0, 6.0])
    np.testing.assert_allclose(posterior.mean, mean)
    np.testing.assert_allclose(posterior.scale**2, [0.5, 4.5, 3.0], rtol=1e-6)
    # The last two weights, each minus the mean of all up to it.
    low = np.array([[0.0, 2.0, 0.0], [0.0, 3.0, 3.0]])
    np.testing.assert_allclose(posterior.deviations, low, atol=1e-6)
    draws = posterior.draw(20_000, tf.constant([base_seed, 2]))
    _assert_moments(draws, mean, np.diag([0.25, 2.25, 1.5]) + low.T @ low / (2 * (2 - 1)))


@pytest.mark.all_only
def test_swag_walks_from_the_trained_weights_in_their_units_and_leaves_the_model_alone():
    linear = Linear()  # never fitted, so that its units are 0 and 1
    before = [w.numpy() for w in linear.model.weights]
    posterior = tv.SWAG(linear.model).fit(
        linear.split, epochs=20, learning_rate=1e-3, batch_size=100
    )
    for weight, value in zip(linear.model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    # All data at once have no gradient at the optimum.
    np.testing.assert_allclose(posterior.mean, linear.mean, rtol=1e-4)
    np.testing.assert_allclose(posterior.scale, 0, atol=1e-4)
    steps = tv.SWAG(linear.model).fit(linear.split, epochs=20, learning_rate=1e-2, batch_size=4)
    assert np.all(steps.scale.numpy() > 1e-3)
    assert np.all(np.abs(steps.mean - linear.mean) < 6 * np.sqrt(np.diag(linear.covariance)))
    assert steps.deviations.shape == (20, 3)


def test_a_path_that_left_the_numbers_is_an_error(linear):
    with pytest.raises(FloatingPointError, match=r"broke down.*finite.*NaN.*learning rate"):
        tv.SWAG(linear.model).take(np.array([[0.0, 1.0, 2.0], [0.0, np.nan, 2.0]]))


# Monte Carlo.


@pytest.mark.all_only
@pytest.mark.slow
def test_nuts_on_a_linear_network_has_the_moments_of_its_posterior(linear, base_seed):
    posterior = tv.NUTS(linear.model, num_chains=3, num_samples=400, num_burnin=200)
    posterior.fit(linear.split, seed=base_seed)
    chains = posterior.chains
    assert chains.samples.shape == (3, 400, 3)
    draws = np.float64(np.swapaxes(chains.samples, 0, 1))
    away = draws - linear.mean
    products = away[..., :, np.newaxis] * away[..., np.newaxis, :]
    for values, exact in ((draws, linear.mean), (products.reshape(400, 3, 9), linear.covariance)):
        error = values.std(axis=(0, 1)) / np.sqrt(effective_sample_size(values))
        assert np.all(np.abs(values.mean(axis=(0, 1)) - np.ravel(exact)) < 4.5 * error)
    # The noise is fixed: only the twenty means are looked at, and none of them is NaN.
    assert chains.rhat.shape == chains.effective_sample_size.shape == (20,)
    summary = chains.summary()
    assert 0.99 < summary["rhat_max"] < 1.05
    assert summary["effective_sample_size_min"] > 200
    assert 0.6 < summary["acceptance"] <= 1
    assert summary["divergences"] == 0
    x = _inputs(4, seed=1)
    found = posterior.predictive(x, 10_000).epistemic
    np.testing.assert_allclose(found, np.einsum("nd,scd->nsc", x, draws).var((1, 2)), rtol=1e-3)


def test_given_samples_are_used_evenly_and_each_is_one_function(linear):
    samples = np.random.default_rng(0).normal(size=(9, 3))
    posterior = WeightSamples(linear.model, samples)
    key = fold_in(0)
    np.testing.assert_allclose(posterior.draw(9, key), samples, rtol=1e-6)
    np.testing.assert_allclose(posterior.draw(100, key), samples, rtol=1e-6)
    np.testing.assert_allclose(posterior.draw(3, key), samples[[0, 4, 8]], rtol=1e-6)
    parts = posterior.predictive(linear.x, 100, batch_size=6).components_distribution
    np.testing.assert_allclose(parts.loc, linear.x @ samples.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        linear.model.network.layers[0].kernel[:, 0].numpy(), linear.mean.astype(np.float32)
    )


def test_log_joint_is_the_sum_of_likelihood_and_prior_by_hand(base_seed):
    model = _deep(base_seed)
    model.likelihood.target_mean.assign(4.0)
    model.likelihood.target_scale.assign(2.0)
    posterior = tv.SWAG(model)
    vector = np.random.default_rng(base_seed).normal(size=22).astype(np.float32)
    x, y = _inputs(5), np.arange(5.0)
    first, bias, last, constant, raw = np.split(np.float64(vector), [12, 16, 20, 21])
    loc = 4 + 2 * (np.tanh(x @ first.reshape(3, 4) + bias) @ last + constant)
    scale = 2 * (np.logaddexp(0, raw) + tv.heads.normal_in_units.TARGET_SCALE_FLOOR)
    # The weights of the network have a prior, the scale of the noise has none.
    expected = stats.norm.logpdf(y, loc, scale).sum()
    expected += stats.norm.logpdf(vector[:-1], 0, PRIOR_SCALE).sum()
    before = posterior.point().numpy()
    found = posterior.log_joint(tf.constant(vector), tf.constant(x), tf.constant(y))
    assert float(found) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_array_equal(posterior.point(), before)
    np.testing.assert_array_equal(
        np.concatenate([np.ravel(part) for part in posterior.split(tf.constant(vector))]), vector
    )


# What is refused.


POSTERIORS = {"laplace": tv.Laplace, "swag": tv.SWAG, "nuts": tv.NUTS}


@pytest.mark.parametrize("kind", POSTERIORS)
def test_models_without_a_posterior_to_approximate_are_refused(kind, linear):
    make, normal = POSTERIORS[kind], tv.likelihoods.Normal
    bayesian = _model([tv.layers.DenseFlipout(1)], normal())
    with pytest.raises(ValueError, match=r"ordinary weights.*without Bayesian layers.*Received"):
        make(bayesian)
    with pytest.raises(ValueError, match=r"ordinary weights.*Expected a BayesianNetwork.*Received"):
        make(bayesian.network)
    with pytest.raises(ValueError, match=r"needs a prior.*weight_prior.*Received one without"):
        make(_model([keras.layers.Dense(1)], normal(), weight_prior=None))
    with pytest.raises(ValueError, match=r"starts from a trained model.*Expected one.*Received"):
        make(_model([keras.layers.Dense(1)], normal(), num_data=None))
    posterior = make(linear.model)
    with pytest.raises(ValueError, match=r"not known yet|no samples yet"):
        posterior.predictive(linear.x, 3)
    with pytest.raises(ValueError, match=r"wrong shape.*\(3,\).*Received \(2,\)"):
        posterior.fit(Split(linear.x[:, :2], Kind.REAL, targets=linear.split.targets))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model: tv.Laplace(model, "block"), r"Unknown structure.*full.*Received 'block'"),
        (lambda model: tv.SWAG(model, rank=1), r"Impossible rank.*>= 2.*Received 1"),
        (lambda model: tv.NUTS(model, num_chains=0), r"Impossible num_chains.*Received 0"),
        (lambda model: tv.NUTS(model, num_samples=1), r"Impossible num_samples.*>= 2.*Received 1"),
        (lambda model: WeightSamples(model, np.zeros((5, 4))), r"\(S, 3\).*Received \(5, 4\)"),
        (lambda model: WeightSamples(model, np.zeros(3)), r"\(S, 3\).*Received \(3,\)"),
        (lambda model: tv.SWAG(model).take(np.zeros((5, 4))), r"\(T, 3\).*Received \(5, 4\)"),
    ],
    ids=["structure", "rank", "chains", "samples", "columns", "vector", "path"],
)
def test_impossible_posteriors_are_refused(make, message, linear):
    with pytest.raises(ValueError, match=message):
        make(linear.model)


def test_a_last_layer_with_too_many_covariances_is_refused(linear, monkeypatch):
    monkeypatch.setattr(curvatures.full, "MAX_WEIGHTS", 2)
    with pytest.raises(ValueError, match=r"too many for all.*at most 2.*Received 3"):
        tv.Laplace(linear.model, "full", "last")


def test_chains_that_stand_still_are_an_error_and_never_a_number_that_json_lacks(linear):
    linear.model.network.layers[0].kernel.assign(np.full((3, 1), 1e30))  # no step is accepted
    nuts = tv.NUTS(linear.model, num_chains=2, num_samples=4, num_burnin=0, max_tree_depth=1)
    with pytest.raises(FloatingPointError, match=r"NUTS broke down.*Expected.*Received"):
        nuts.fit(linear.split)
    stuck = np.array([np.nan, 1.0])
    summary = Chains(np.zeros((2, 4, 3)), stuck, stuck, {}).summary()
    assert summary["rhat_max"] is summary["effective_sample_size_min"] is None
