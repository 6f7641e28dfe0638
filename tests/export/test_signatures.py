"""Signatures answer what the model itself answers, with the noise as an input."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae import objectives
from tfp_vae.data import Split, kinds
from tfp_vae.distributions import draws
from tfp_vae.distributions.discretized import DiscretizedLogistic
from tfp_vae.distributions.draws import kl_divergence
from tfp_vae.export.signatures import likelihoods
from tfp_vae.layers.noise import SHARED
from tfp_vae.models.posteriors.weights import WeightSamples
from tfp_vae.models.predictive import Predictive
from tfp_vae.models.variational import fold_in

tfd = tfp.distributions
SHAPE = (4, 4, 1)
KEY = tf.constant([3, 4])


def _named(model, num_samples=5):
    return {each.name: each for each in tv.export.signatures_of(model, num_samples)}


def _noise(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def _vae(kind="vae", decoder=None, encoder=None, latent=2):
    parts = {
        "prior": tv.priors.StandardNormal(latent),
        "encoder": (encoder or tv.encoders.Gaussian)(tv.networks.mlp([6]), latent),
        "decoder": (decoder or tv.decoders.Bernoulli)(tv.networks.mlp([6]), SHAPE),
    }
    if kind == "vae":
        return tv.VAE(**parts)
    if kind == "vector":
        prior = tv.priors.ConditionalNormal(tv.networks.mlp([3]), latent)
        return tv.ConditionalVAE(condition_dim=3, **{**parts, "prior": prior})
    parts["prior"] = tv.priors.ClassNormal(latent, 3)
    if kind == "class":
        return tv.ConditionalVAE(num_classes=3, **parts)
    classifier = keras.Sequential([tv.networks.mlp([5]), keras.layers.Dense(3)])
    return tv.M2(classifier=classifier, num_classes=3, **parts)


def _given(kind, count):
    if kind == "vae":
        return {}
    if kind == "vector":
        return {"condition": _noise(count, 3, seed=1)}
    return {"label": tf.constant(np.arange(count) % 3, tf.int32)}


@pytest.fixture
def x(binary_images):
    return tf.constant(binary_images(4, SHAPE))


@pytest.mark.parametrize("encoder", [tv.encoders.Gaussian, tv.encoders.FullGaussian])
@pytest.mark.parametrize("kind", ["vae", "class", "vector", "m2"])
def test_bounds_are_those_of_the_model_with_the_same_noise(kind, encoder, x):
    model = _vae(kind, encoder=encoder)
    given, named = _given(kind, 4), _named(model)
    condition = next(iter(given.values()), None)
    draw = model.at_mean()
    posterior, prior = draw.posterior(x, condition), draw.prior(condition)
    z = posterior.sample(5, seed=KEY)
    noise = tf.linalg.triangular_solve(posterior.scale.to_dense(), (z - posterior.loc)[..., None])
    noise = noise[..., 0]
    log_likelihood = draw.likelihood(z, condition).log_prob(x)
    terms = objectives.Terms(log_likelihood, (objectives.Latent("z", z, posterior, prior),))
    elbo = named["elbo"].answer(x=x, noise=noise, **given)["elbo"]
    np.testing.assert_allclose(elbo, objectives.elbo(terms), rtol=1e-5)
    evidence = named["log_evidence"].answer(x=x, noise=noise, **given)["log_evidence"]
    expected = objectives.importance_weighted_bound(terms)
    np.testing.assert_allclose(evidence, expected, rtol=1e-5)


def test_encode_decode_and_reconstruct_are_those_of_the_model(x):
    model = _vae()
    named = _named(model)
    encoded = named["encode"].answer(x=x)
    posterior = model.encoder(x)
    np.testing.assert_allclose(encoded["loc"], posterior.mean(), rtol=1e-6)
    np.testing.assert_allclose(encoded["scale"], posterior.stddev(), rtol=1e-6)
    mean = named["decode"].answer(z=encoded["loc"])["mean"]
    np.testing.assert_allclose(mean, model.decoder(encoded["loc"]).mean(), rtol=1e-6)
    np.testing.assert_allclose(named["reconstruct"].answer(x=x)["mean"], mean)
    np.testing.assert_allclose(mean, model.reconstruct(x), rtol=1e-6)


def test_a_full_covariance_is_encoded_as_its_factor(x):
    model = _vae(encoder=tv.encoders.FullGaussian)
    encoded = _named(model)["encode"].answer(x=x)
    factor = encoded["scale_tril"]
    covariance = tf.matmul(factor, factor, transpose_b=True)
    np.testing.assert_allclose(covariance, model.encoder(x).covariance(), rtol=1e-5, atol=1e-7)


def test_samples_are_the_prior_at_the_noise(x):
    model = _vae("class")
    label = tf.constant([0, 1, 2], tf.int32)
    drawn = _named(model)["sample"].answer(noise=tf.zeros([3, 2]), label=label)
    np.testing.assert_allclose(drawn["z"], model.prior.loc, rtol=1e-6)
    mean = model.at_mean().likelihood(drawn["z"], label).mean()
    np.testing.assert_allclose(drawn["mean"], mean, rtol=1e-6)


@pytest.mark.all_only
@pytest.mark.parametrize("kind", ["vae", "class"])
def test_bounds_of_a_seed_are_those_of_noise_as_an_input(kind, x, monkeypatch):
    model = _vae(kind)
    named, given = _named(model, 50), _given(kind, 4)
    monkeypatch.setattr(type(model), "rows_at_once", 8)  # two samples of four examples at a time
    for name in ("elbo", "log_evidence"):
        ask, answer = (  # traced once: eagerly each answer takes a second
            tf.function(function, autograph=False)
            for function in (named[name].seeded, named[name].answer)
        )
        seeded = np.array([ask(x=x, seed=tf.constant([i, 0]), **given)[name] for i in range(30)])
        noises = (_noise(50, 4, 2, seed=i) for i in range(30))
        portable = np.array([answer(x=x, noise=noise, **given)[name] for noise in noises])
        error = np.sqrt((seeded.var(axis=0, ddof=1) + portable.var(axis=0, ddof=1)) / 30)
        assert np.all(np.abs(seeded.mean(axis=0) - portable.mean(axis=0)) < 5 * error)


@pytest.mark.parametrize("name", ["sample", "elbo", "log_evidence"])
def test_the_same_seed_gives_the_same_answer_and_another_seed_another(name, x):
    signature = _named(_vae())[name]
    data = {"count": tf.constant(4)} if name == "sample" else {"x": x}
    first, again, other = (
        signature.seeded(seed=tf.constant(seed), **data) for seed in ([1, 2], [1, 2], [1, 3])
    )
    for output, value in first.items():
        np.testing.assert_array_equal(value, again[output])
        assert not np.allclose(value, other[output])


def test_more_samples_raise_the_bound(x):
    model = _vae()
    few, many = (_named(model, n)["log_evidence"].seeded(x=x, seed=KEY) for n in (1, 2000))
    elbo = _named(model, 2000)["elbo"].seeded(x=x, seed=KEY)["elbo"]
    assert np.mean(many["log_evidence"]) > np.mean(elbo)
    assert np.mean(many["log_evidence"]) > np.mean(few["log_evidence"]) - 0.5


def test_classes_are_predicted_by_the_bound_under_each(x):
    model = _vae("class")
    model.log_class_prior.assign(np.log([0.2, 0.3, 0.5]))
    named, noise = _named(model), _noise(5, 4, 2)
    found = named["predict"].answer(x=x, noise=noise)
    for label in range(3):
        given = tf.fill([4], label)
        evidence = named["log_evidence"].answer(x=x, noise=noise, label=given)["log_evidence"]
        expected = evidence + model.log_class_prior[label]
        np.testing.assert_allclose(found["log_joint"][:, label], expected, rtol=1e-5)
    probs = tf.nn.softmax(found["log_joint"])
    np.testing.assert_allclose(found["probs"], probs, rtol=1e-4)
    np.testing.assert_allclose(found["entropy"], tfd.Categorical(probs=probs).entropy(), rtol=1e-4)


def test_m2_predicts_with_its_classifier(x):
    model = _vae("m2")
    found = _named(model)["predict"].answer(x=x)
    expected = tf.nn.softmax(model.recognition(x).logits)
    np.testing.assert_allclose(found["probs"], expected, rtol=1e-5)


def test_bayesian_weights_of_a_vae_are_drawn_where_a_runtime_can(x):
    decoder = keras.Sequential([tv.layers.DenseReparameterization(5, activation="relu")])
    model = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([5]), 2),
        decoder=tv.decoders.Bernoulli(decoder, SHAPE),
        num_data=10,
    )
    named = _named(model, 3)
    assert [n for n, s in named.items() if s.portable] == ["encode", "decode", "reconstruct"]
    elbo = named["elbo"].seeded(x=x, seed=KEY)["elbo"]
    evidence = named["log_evidence"].seeded(x=x, seed=KEY)["log_evidence"]
    kl = model.kl_divergence() / 10
    assert np.isfinite(elbo).all()
    assert np.all(evidence > elbo + 0.5 * kl)  # which has no KL of the weights


# Likelihoods and normals by common operations.

DECODERS = {
    "bernoulli": (tfd.Bernoulli, [0.0, 1.0]),
    "continuous_bernoulli": (tfd.ContinuousBernoulli, [0.0, 0.25, 1.0]),
    "discretized_logistic": (DiscretizedLogistic, [0.0, 3 / 255, 200 / 255, 1.0]),
    "logistic_mixture": (tfd.Distribution, [0.0, 3 / 255, 200 / 255, 1.0]),
    "categorical": (tfd.FiniteDiscrete, [0.0, 3 / 255, 200 / 255, 1.0]),
    "normal": (tfd.Normal, [-1.0, 0.0, 7.0]),
}


@pytest.mark.parametrize("name", DECODERS)
def test_likelihoods_are_those_of_the_decoder(name):
    expected_type, values = DECODERS[name]
    decoder = tv.decoders.Decoder(tv.networks.mlp([4]), (2, 1, 1), tv.heads.HEADS[name]())
    decoder.build((None, 3))
    # Logits and scales from far below to far above, and those around the limits of the series.
    factors = np.array([-60, -5, -1, -0.5, -0.1, -1e-3, 0, 1e-3, 0.1, 0.499, 0.501, 1, 5, 60])
    likelihood = decoder(tf.constant(factors[:, None] * np.ones(3), tf.float32))
    assert isinstance(likelihood.distribution, expected_type)
    for value in values:
        x = tf.fill([len(factors), 2, 1, 1], tf.constant(value, tf.float32))
        expected = likelihood.log_prob(x)
        np.testing.assert_allclose(likelihoods.log_prob(likelihood, x), expected, 2e-5, 2e-5)
    np.testing.assert_allclose(likelihoods.mean(likelihood), likelihood.mean(), 1e-5, 2e-6)


@pytest.mark.parametrize(
    "logit", [-80.0, -3.0, -0.5, -1e-4, 0.0, 1e-7, 0.4999, 0.5001, 20.0, 300.0]
)
def test_the_continuous_bernoulli_is_exact_at_its_limits(logit):
    head, parameters = tv.heads.ContinuousBernoulli(), tf.fill([1, 1], logit)
    logit = np.float64(np.float32(logit))
    share = np.expm1(logit) / logit if logit else 1.0
    np.testing.assert_allclose(
        head.portable_log_prob(parameters, 0.3), [0.3 * logit - np.log(share)], rtol=2e-6
    )
    mean = 0.5 + logit / 12
    if abs(logit) > 1e-3:
        mean = 1 / -np.expm1(-logit) - 1 / logit
    np.testing.assert_allclose(head.portable_mean(parameters), [mean], rtol=1e-6)


@pytest.mark.parametrize("full", [False, True])
def test_normals_are_those_of_tfp(full):
    rng = np.random.default_rng(0)
    loc = rng.normal(size=(4, 3)).astype(np.float32)
    scale = np.exp(rng.normal(size=(4, 3))).astype(np.float32)
    factor = np.tril(rng.normal(size=(4, 3, 3)), -1) + np.eye(3) * scale[:, None]
    posterior = tfd.MultivariateNormalDiag(loc, scale)
    if full:
        posterior = tfd.MultivariateNormalTriL(loc, factor.astype(np.float32))
    prior = tfd.MultivariateNormalDiag(0.3 * np.ones(3, np.float32), 2 * np.ones(3, np.float32))
    noise = _noise(5, 4, 3)
    z, log_q = draws.from_noise(posterior, noise)
    expected = posterior.log_prob(z)
    np.testing.assert_allclose(log_q(), expected, rtol=1e-4)
    np.testing.assert_allclose(draws.log_prob(prior, z), prior.log_prob(z), rtol=1e-5)
    kl = tfd.kl_divergence(posterior, prior)
    np.testing.assert_allclose(kl_divergence(posterior, prior), kl, rtol=1e-5)


# Predictors.


def _bnn(likelihood, *layers, **options):
    bnn = tv.BayesianNetwork(keras.Sequential(layers), likelihood, **options)
    bnn.build((None, 3))
    return bnn


def _dense(units, activation=None):
    return tv.layers.DenseLocalReparameterization(
        units, activation, bayesian_bias=True, initial_scale=1.0
    )


def _point_network(likelihood):
    layers = keras.layers.Dense(4, "tanh"), keras.layers.Dense(likelihood.num_features)
    return _bnn(likelihood, *layers, weight_prior=1.0, num_data=20)


def _images():
    layers = [
        tv.layers.Conv2DFlipout(2, 3, initial_scale=1.0),
        keras.layers.Flatten(),
        _dense(3),
    ]
    bnn = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Categorical(3))
    bnn.build((None, *SHAPE))
    return bnn


def _swag():
    swag = tv.SWAG(_point_network(tv.likelihoods.Normal()), rank=2)
    return swag.take(np.random.default_rng(0).normal(size=(4, swag.num_weights)))


def _laplace(**options):
    model = _point_network(tv.likelihoods.NoisyCategorical(3, 0.1))
    laplace = tv.Laplace(model, **options)
    y = np.arange(20) % 3
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    return laplace.fit(Split(x, kinds.infer(x), labels=y))


def _chains():
    model = _point_network(tv.likelihoods.Poisson())
    count = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    return WeightSamples(model, np.random.default_rng(0).normal(size=(9, count)))


PREDICTORS = {
    "mean field": lambda: _bnn(tv.likelihoods.Categorical(3), _dense(4, "relu"), _dense(3)),
    "convolution": _images,
    "per example": lambda: _bnn(tv.likelihoods.Normal("per_example"), _dense(4), _dense(2)),
    "dropout": lambda: _bnn(
        tv.likelihoods.Normal(0.5),
        keras.layers.Dense(8),
        tv.layers.MonteCarloDropout(0.5),
        keras.layers.Dense(1),
    ),
    "points": lambda: _point_network(tv.likelihoods.Normal()),
    "ensemble": lambda: tv.Ensemble(_point_network(tv.likelihoods.Categorical(3)), 3),
    "ensemble of mean fields": lambda: tv.Ensemble(
        _bnn(tv.likelihoods.Categorical(3), _dense(4, "relu"), _dense(3)), 2
    ),
    "SWAG": _swag,
    "Laplace": lambda: _laplace(structure="kronecker"),
    "probit": lambda: _laplace(structure="kronecker", layers="last", predictive="probit"),
    "chains": _chains,
}


@functools.cache  # two tests ask each
def _predictor(kind):
    return PREDICTORS[kind]()


def _inputs(predictor):
    shape = predictor.trained_model().event_shape
    return tf.constant(np.random.default_rng(1).normal(size=(5, *shape)), tf.float32)


@pytest.mark.parametrize("kind", PREDICTORS)
def test_frozen_draws_are_those_of_the_key(kind):
    predictor = _predictor(kind)
    x = _inputs(predictor)
    expected = predictor.draw_parameters(x, 4, KEY)
    traced = tf.function(lambda x: predictor.frozen_parameters(x, 4, KEY), autograph=False)
    graph = traced.get_concrete_function(tf.TensorSpec([None, *x.shape[1:]]))
    np.testing.assert_allclose(graph(x), expected, rtol=1e-5, atol=1e-6)
    nodes = graph.graph.as_graph_def()
    operations = {n.op for f in nodes.library.function for n in f.node_def}
    operations |= {node.op for node in nodes.node}
    assert not any("Random" in op or "While" in op for op in operations)


@pytest.mark.parametrize("kind", PREDICTORS)
def test_predictions_are_those_of_the_model(kind):
    predictor = _predictor(kind)
    model, x = predictor.trained_model(), _inputs(predictor)
    signature = _named(predictor, 4)["predict"]
    parameters = predictor.draw_parameters(x, 4, model.caller_key(None))
    predictive = Predictive.of(model.distribution(tf.transpose(parameters, [1, 0, 2])))
    found = signature.answer(x=x)
    if model.task == "classification":
        expected = {
            "probs": predictive.probs,
            "entropy": predictive.total,
            "mutual_information": predictive.epistemic,
        }
    else:
        expected = {
            "mean": predictive.mean(),
            "scale": tf.sqrt(predictive.total),
            "epistemic_variance": predictive.epistemic,
            "aleatoric_variance": predictive.aleatoric,
        }
    assert found.keys() == expected.keys() == {value.name for value in signature.outputs}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=2e-6, err_msg=name)
    is_random = kind not in ("points", "ensemble", "probit")
    assert (signature.draws is not None) == is_random
    if is_random:
        seeds = [tf.constant(seed) for seed in ([1, 2], [1, 2], [2, 2])]
        first, again, other = (signature.seeded(x=x, seed=seed) for seed in seeds)
        name = signature.outputs[0].name
        np.testing.assert_array_equal(first[name], again[name])
        if kind != "chains":  # which predicts from the same samples whatever the seed
            assert not np.allclose(first[name], other[name])


# Requests without an answer.


def test_an_example_that_is_not_finite_gets_nan_and_its_neighbours_their_answer(x):
    model = _vae("class")
    named, label = _named(model), tf.constant([0, 1, 2, 0])
    bad = tf.tensor_scatter_nd_update(x, [[1, 0, 0, 0], [2, 3, 3, 0]], [np.nan, np.inf])
    for name in ("encode", "reconstruct"):
        good = named[name].answer(x=x, label=label)
        found = named[name].answer(x=bad, label=label)
        for output, value in found.items():
            assert np.isnan(value[1:3]).all()
            np.testing.assert_array_equal(value[::3], good[output][::3])


def test_a_class_that_is_not_there_gets_nan():
    named = _named(_vae("class"))
    found = named["decode"].answer(z=tf.zeros([3, 2]), label=tf.constant([-1, 2, 3]))["mean"]
    assert np.isnan(found).all(axis=(1, 2, 3)).tolist() == [True, False, True]


@pytest.fixture(scope="module")
def asked():
    """Returns a function that asks for the elbo of a model of classes, eagerly or in one graph."""
    signature = _named(_vae("class"))["elbo"]
    specs = {value.name: tf.TensorSpec(None, value.dtype) for value in signature.seeded_inputs}
    graph = tf.function(signature.seeded, autograph=False).get_concrete_function(**specs)
    return {False: signature.seeded, True: graph}


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"x": np.full((2, *SHAPE), np.nan, np.float32)}, "x has no answer. Expected finite"),
        ({"x": np.zeros((0, *SHAPE), np.float32)}, "x is empty. Expected at least one example"),
        ({"label": np.array([0, 3], np.int32)}, "Expected integers from 0 to 2"),
        ({"x": np.zeros((2, 2, 8, 1), np.float32)}, "not compatible with expected shape"),
    ],
    ids=["not finite", "empty", "no class", "another shape"],
)
def test_seeded_signatures_refuse_what_has_no_answer(change, reason, traced, asked):
    inputs = {"x": np.zeros((2, *SHAPE), np.float32), "label": np.array([0, 1], np.int32)}
    inputs |= {"seed": np.array([0, 0], np.int32), **change}
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match=reason):
        asked[traced](**inputs)


def test_nothing_to_sample_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected at least 1"):
        _named(_vae())["sample"].seeded(count=tf.constant(0), seed=KEY)


def test_what_is_no_model_has_no_signatures():
    with pytest.raises(ValueError, match=r"Expected a VAE, .* Received Sequential"):
        tv.export.signatures_of(keras.Sequential([keras.layers.Dense(1)]), 2)
    with pytest.raises(ValueError, match=r"Expected an integer >= 1. Received 0\."):
        tv.export.signatures_of(_vae(), 0)
    unbuilt = tv.BayesianNetwork(keras.Sequential([_dense(3)]), tv.likelihoods.Categorical(3))
    with pytest.raises(ValueError, match="has no weights"):
        tv.export.signatures_of(unbuilt, 2)


def test_groups_are_exported_member_by_member():
    ensemble = tv.Ensemble(_point_network(tv.likelihoods.Normal()), 2, groups=2)
    with pytest.raises(ValueError, match="Expected its members exported one by one"):
        tv.export.signatures_of(ensemble, 2)


def test_noise_that_depends_on_the_batch_cannot_be_frozen():
    model = _bnn(tv.likelihoods.Categorical(3), _dense(3))
    layer = model.network.layers[-1]
    noise = tv.layers.noise.FrozenNoise(fold_in(KEY, 1), SHARED)

    @tf.function(autograph=False)
    def draw(x):
        return noise.normal(layer, 0, tf.shape(x))

    with pytest.raises(ValueError, match="Expected a shape that does not depend on the batch"):
        draw.get_concrete_function(tf.TensorSpec([None, 3]))
