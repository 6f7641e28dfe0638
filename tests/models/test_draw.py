"""Nothing random is drawn in secret: what has a seed, or is repeatable, repeats itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import evaluation, plots
from tfp_vae.data import Kind, Split
from tfp_vae.layers import DenseFlipout, DenseLocalReparameterization, DenseReparameterization
from tfp_vae.layers.noise import MEAN, SHARED

SHAPE, CLASSES, COUNT = (4, 4, 1), 3, 12
LABELS = np.arange(COUNT) % CLASSES


def _random(layer=DenseReparameterization, units=8):
    # Wide posteriors, so that a draw that nobody keyed is seen.
    return keras.Sequential([keras.layers.Flatten(), layer(units, "tanh", initial_scale=2.0)])


def _parts():
    return {
        "prior": tv.priors.StandardNormal(2),
        "encoder": tv.encoders.Gaussian(_random(), 2),
        "decoder": tv.decoders.Bernoulli(_random(DenseLocalReparameterization), SHAPE),
        "num_data": COUNT,
    }


def _conditional(**options):
    return tv.ConditionalVAE(**{**_parts(), **options}, num_classes=CLASSES)


def _m2():
    head = DenseFlipout(CLASSES, initial_scale=2.0)
    return tv.M2(
        **_parts(),
        classifier=keras.Sequential([keras.layers.Flatten(), head]),
        num_classes=CLASSES,
    )


def _network():
    layers = [keras.layers.Flatten(), DenseReparameterization(CLASSES, initial_scale=2.0)]
    model = tv.BayesianNetwork(
        keras.Sequential(layers), tv.likelihoods.Categorical(CLASSES), num_data=COUNT
    )
    model.build((None, *SHAPE))
    return model


MODELS = {
    "vae": lambda: tv.VAE(**_parts()),
    "conditional": _conditional,
    "conditional_prior": lambda: _conditional(prior=tv.priors.ConditionalNormal(_random(), 2)),
    "m2": _m2,
    "network": _network,
    "ensemble": lambda: tv.Ensemble(_network(), 2, num_data=COUNT),
}
VAES = ("vae", "conditional", "conditional_prior", "m2")
CLASSIFIERS = ("conditional", "conditional_prior", "m2")
# Name of the call: (models that have it, the call, whether another seed gives other numbers).
CALLS = {
    "posterior_means": (VAES, lambda m, s, _: evaluation.posterior_means(m, s), False),
    "active_units": (VAES, lambda m, s, _: evaluation.active_units(m, s), False),
    "encode": (VAES, lambda m, s, _: m.encode(s.values(), m.given_of(s)), False),
    "reconstruct": (VAES, lambda m, s, _: m.reconstruct(s.values(), m.given_of(s)), False),
    "generate": (VAES, lambda m, s, seed: m.generate(6, seed=seed)["mean"], True),
    "bounds": (VAES, lambda m, s, seed: np.stack(m.bounds(s, 8, seed=seed)[:3]), True),
    "elbo": (VAES, lambda m, s, seed: m.elbo(s, 8, seed=seed), True),
    "class_log_evidence": (
        CLASSIFIERS,
        lambda m, s, seed: m.class_log_evidence(s, 8, seed=seed),
        True,
    ),
    "marginal": (
        ("vae", "conditional"),
        lambda m, s, seed: (
            evaluation.marginal(
                m, s, np.arange(16).reshape(SHAPE) > 5, 16, seed=seed, num_chains=2, num_sweeps=2
            ).log_evidence
        ),
        True,
    ),
    "likelihood_regret": (
        ("vae",),
        lambda m, s, seed: evaluation.likelihood_regret(
            m, s, steps=2, num_samples=2, num_elbo_samples=4, seed=seed
        ),
        True,
    ),
    "manifold": (("vae",), lambda m, s, _: _pixels(plots.manifold(m, side=3)), False),
    "reconstructions": (VAES, lambda m, s, _: _pixels(plots.reconstructions(m, s, 4)), False),
    "latent_scatter": (VAES, lambda m, s, _: _points(plots.latent_scatter(m, s)), False),
    "classify": (("m2",), lambda m, s, _: m.classify(s).probs, False),
    "predictive": (
        ("network", "ensemble"),
        lambda m, s, seed: m.predictive(s, 4, seed=seed).probs,
        True,
    ),
    "predict": (tuple(MODELS), lambda m, s, _: _compiled(m).predict(s, verbose=0), False),
    "evaluate": (
        tuple(MODELS),
        lambda m, s, _: _compiled(m).evaluate(s, verbose=0, return_dict=True)["elbo"],
        False,
    ),
    "kl_divergence": (tuple(MODELS), lambda m, s, _: m.kl_divergence(), False),
}


def _compiled(model):
    if not model.compiled:
        model.compile(jit_compile=False)
    return model


def _pixels(figure):
    return np.concatenate([np.ravel(axis.images[0].get_array()) for axis in figure.axes])


def _points(figure):
    return np.asarray(figure.axes[0].collections[0].get_offsets())


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    return Split((rng.random((COUNT, *SHAPE)) < 0.4).astype(np.float32), Kind.STATIC, LABELS)


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    return {name: make() for name, make in MODELS.items()}


@pytest.mark.filterwarnings("ignore:The effective sample size")
@pytest.mark.parametrize(
    ("name", "call"),
    [
        # A conditional model with a random prior says what one with a plain prior says.
        pytest.param(name, call, marks=[pytest.mark.all_only] * (name == "conditional"))
        for call, (names, *_) in CALLS.items()
        for name in names
    ],
)
def test_the_same_call_twice_gives_the_same_numbers(models, split, name, call):
    model, (_, function, has_seed) = models[name], CALLS[call]
    first, again = (np.array(function(model, split, 1)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    if has_seed:
        assert np.any(first != np.array(function(model, split, 2)))


def test_a_layer_that_a_model_owns_raises_where_no_draw_is_open(models, split):
    x = split.values()
    for name, network in (
        ("vae", models["vae"].encoder.network),
        ("m2", models["m2"].classifier),
        ("network", models["network"].network),
    ):
        with pytest.raises(ValueError, match=r"No draw is open.*model\.at\(seed\).*Received"):
            network(x)
        with models[name].at(3):
            first = network(x).numpy()
        with models[name].at(3):
            np.testing.assert_array_equal(network(x), first)
        with models[name].at(4):
            assert np.abs(network(x) - first).max() > 1e-3


def test_a_layer_in_a_plain_keras_model_draws_from_its_own_generator():
    layer = DenseReparameterization(3, initial_scale=2.0, seed=1)
    x = tf.ones([2, 4])
    assert np.abs(layer(x) - layer(x)).max() > 1e-3


def test_a_draw_has_the_same_weights_in_whatever_order_they_are_asked_for(models, split):
    x, z = split.values(), tf.ones([4, 2])
    one, other = (models["vae"].at(5, SHARED) for _ in range(2))
    posterior, likelihood = one.posterior(x).mean(), one.likelihood(z).mean()
    np.testing.assert_array_equal(other.likelihood(z).mean(), likelihood)
    np.testing.assert_array_equal(other.posterior(x).mean(), posterior)


def test_at_the_mean_every_weight_is_at_its_posterior_mean(models):
    network = models["network"]
    x = np.ones((2, *SHAPE), np.float32)
    layer = network.network.layers[-1]
    by_hand = x.reshape(2, -1) @ layer.loc.numpy() + layer.bias.numpy()
    np.testing.assert_allclose(network.at_mean().parameters(x), by_hand, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(network.at(9, MEAN).parameters(x), by_hand, rtol=1e-5, atol=1e-6)


@pytest.mark.all_only
def test_bounds_follow_a_new_compile(split):
    vae = MODELS["vae"]()
    vae.compile(jit_compile=False)
    vae.bounds(split, 2)
    graphs = vae._graphs
    assert [state[0][0] for state in graphs.values()] == [False]
    vae.compile(jit_compile=True)
    vae.bounds(split, 2)
    assert [state[0][0] for state in graphs.values()] == [True]


@pytest.mark.parametrize("call", ["classify", "likelihood_regret", "bounds"])
def test_a_repeated_call_traces_nothing_anew(models, split, call):
    model = models["m2" if call == "classify" else "vae"]
    for _ in range(3):
        CALLS[call][1](model, split, 1)
    name = "regret" if call == "likelihood_regret" else call
    counts = [
        graph.experimental_get_tracing_count()
        for (known, _), (_, graph) in model._graphs.items()
        if known == name
    ]
    assert counts and all(count == 1 for count in counts)
