"""The contracts of `tfp_vae.testing`: all our own parts keep them, and faults are named.

Every member of a registry is tried as it is made without arguments of its own; those that need some
stand in a table here.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae import testing
from tfp_vae.testing import claims

tfd = tfp.distributions
mine = keras.saving.register_keras_serializable(package="mine")


def _members(room, kind, base):
    """Returns the classes of a room that are members of a family, registered by name or not."""
    found = [getattr(room, name) for name in room.__all__]
    return [c for c in found if isinstance(c, type) and issubclass(c, base) and c is not kind]


# The claims of one latent are those of two in one dimension less, without XLA.
MEMBER = pytest.mark.all_too(reason="the one look at a member of its family")
DIMS = [pytest.param(1, marks=[pytest.mark.all_only, MEMBER]), 2]
# What a prior depends on; few parts show what many do.
PRIORS = {
    "Flow": lambda dims: (
        tv.priors.Flow(dims, "autoregressive" if dims == 1 else "coupling", 2, [4]),
        {},
    ),
    "Mixture": lambda dims: (tv.priors.Mixture(dims, 3), {}),
    "Vamp": lambda dims: (tv.priors.Vamp(dims, 3, learned_weights=dims == 1), {}),
    "ClassNormal": lambda dims: (tv.priors.ClassNormal(dims, 3), {"given": np.eye(3)}),
    "ConditionalNormal": lambda dims: (
        tv.priors.ConditionalNormal(tv.networks.mlp([4]), dims),
        {"given": np.array([[0.5, -1.0], [2.0, 0.0]])} if dims == 1 else {"above": 2},
    ),
}


# On a sphere one latent has no density; a circle has two.
SPHERES = tv.priors.VonMisesFisher, tv.encoders.VonMisesFisher


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", _members(tv.priors, tv.priors.Prior, tv.priors.Prior))
def test_a_prior_keeps_its_contract(kind, dims, base_seed):
    make = PRIORS.get(kind.__name__, lambda dims: (kind(dims), {}))
    prior, options = make(3 if dims == 1 and kind in SPHERES else dims)
    testing.check_prior(prior, **options, seed=base_seed, xla=dims == 2)


# Few steps show what many do, and XLA compiles them for long: `test_posteriors` tries one.
STEPS = {"InverseAutoregressive": 1, "MaskedAutoregressive": 1, "Planar": 2, "Sylvester": 1}


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", _members(tv.encoders, tv.encoders.Encoder, tv.encoders.Encoder))
@pytest.mark.always(reason="the one contract of its family")
def test_an_encoder_keeps_its_contract(kind, dims, base_seed):
    steps, dims = STEPS.get(kind.__name__), 3 if dims == 1 and kind in SPHERES else dims
    encoder = kind(tv.networks.mlp([4]), dims, **({"steps": steps} if steps else {}))
    testing.check_encoder(encoder, seed=base_seed, xla=dims == 2 and not steps)


def test_no_two_parts_are_saved_under_one_name():
    families = tv.priors.PRIORS, tv.encoders.ENCODERS, tv.heads.HEADS, tv.objectives.BOUNDS
    for family in (*families, tv.layers.priors.WEIGHT_PRIORS):
        for kind in map(family.__getitem__, family):
            name = keras.saving.get_registered_name(kind)
            assert keras.saving.get_registered_object(name) is kind


BOUNDS = [
    # One with its own loss, one of log weights, one that scales what flows back: others are alike.
    pytest.param(name, marks=[] if name in ("elbo", "iwae", "piwae") else [pytest.mark.all_only])
    for name in tv.objectives.BOUNDS
]


@pytest.mark.parametrize("name", BOUNDS)
@MEMBER
@pytest.mark.always(reason="the one contract of its family")
def test_a_bound_keeps_its_contract(name, base_seed):
    xla = name in ("elbo", "piwae", "tvo")
    testing.check_bound(tv.objectives.BOUNDS[name](), seed=base_seed, xla=xla)


LAYERS = [
    # Convolutions of one axis and of three are those of two with another rank.
    pytest.param(
        kind, marks=[pytest.mark.all_only] if kind.__name__[:6] in ("Conv1D", "Conv3D") else []
    )
    for kind in (
        *_members(tv.layers, tv.layers.BayesianLayer, tv.layers.BayesianLayer),
        tv.layers.MonteCarloDropout,
    )
]


@pytest.mark.parametrize("kind", LAYERS)
@MEMBER
def test_a_layer_keeps_its_contract(kind, base_seed):
    rng = np.random.default_rng(base_seed)
    options, shape = {"units": 2, "bayesian_bias": True}, (4, 3)
    if kind is tv.layers.MonteCarloDropout:
        options = {"rate": 0.4}
    elif kind.__name__.startswith("Conv"):
        shape = (4, *[4] * int(kind.__name__[4]), 2)
        options = {"filters": 2, "kernel_size": 2, "bayesian_bias": True}
    is_dense = len(shape) == 2
    testing.check_layer(kind(**options), rng.standard_normal(shape), seed=base_seed, xla=is_dense)


# Layers that are made with others or with arguments of their own, and the shape of their inputs.
WRAPPED = {
    "LSTM": (lambda: tv.layers.bayesian(keras.layers.LSTM(2), bayesian_bias=True), (4, 3, 2)),
    "GRU": (lambda: tv.layers.bayesian(keras.layers.GRU(2), prior=0.5), (4, 3, 2)),
    "Embedding": (lambda: tv.layers.bayesian(keras.layers.Embedding(5, 2)), (4, 3)),
    # Of many members, so that two keys have two.
    "BatchEnsemble": (lambda: tv.layers.BatchEnsemble(keras.layers.Conv2D(2, 2), 99), (4, 3, 3, 2)),
    "RankOne": (lambda: tv.layers.RankOne(keras.layers.Dense(2), 5), (4, 3)),
    "GaussianProcess": (lambda: tv.layers.RandomFeatureGaussianProcess(2, 16), (4, 3)),
}


@pytest.mark.parametrize(
    "name",  # a GRU is an LSTM with fewer gates
    [pytest.param(n, marks=[pytest.mark.all_only] if n == "GRU" else []) for n in WRAPPED],
)
def test_a_layer_with_arguments_of_its_own_keeps_its_contract(name, base_seed):
    make, shape = WRAPPED[name]
    rng = np.random.default_rng(base_seed)
    x = rng.integers(0, 5, shape) if name == "Embedding" else rng.standard_normal(shape)
    testing.check_layer(make(), x, seed=base_seed, xla=False)


# Parts that break a claim: it is named.


class Unregistered(tv.priors.StandardNormal):
    pass


@mine
class TooDense(tv.priors.StandardNormal):
    def distribution(self, context):
        class Denser(tfd.Laplace):
            def _log_prob(self, x):
                return super()._log_prob(x) + np.log(1.1)

        zeros = tf.zeros(self.latent_dim)
        return tfd.Independent(Denser(zeros, zeros + 1), 1)


@mine
class Forgetful(tv.priors.Prior):
    def __init__(self, latent_dim, scale=1.0, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.scale = scale

    def distribution(self, context):
        zeros = tf.zeros(self.latent_dim)
        return tfd.MultivariateNormalDiag(zeros, zeros + self.scale)


@mine
class Cut(tv.encoders.Gaussian):
    def distribution(self, loc, raw_scale):
        return super().distribution(tf.stop_gradient(loc), raw_scale)


@mine
class NoKL(tv.objectives.Bound):
    def __call__(self, terms):
        return terms.reconstruction()


@mine
class NoMass(tv.objectives.Bound):
    def __call__(self, terms):
        return tf.reduce_mean(terms.log_weights(), axis=0) - terms.weights.per_example()


@mine
class Uphill(tv.objectives.ELBO):
    def loss(self, terms, step):
        return -super().loss(terms, step)


@mine
class Secret(tv.layers.DenseReparameterization):
    def estimate(self, inputs, noise):
        return super().estimate(inputs, noise) + tf.random.normal([])


@mine
class HalfKL(tv.layers.DenseReparameterization):
    def kl_divergence(self, num_samples=1):
        return 0.5 * super().kl_divergence(num_samples)


@mine
class Tensor(tv.priors.Prior):
    def distribution(self, context):
        return tf.zeros(self.latent_dim)


@mine
class Undefined(tv.priors.Prior):
    pass


@mine
class Stumbling(tv.priors.Prior):
    def distribution(self, context):
        return {}["nowhere"]


@mine
class Positive(tv.priors.Prior):
    def distribution(self, context):
        zeros = tf.zeros(self.latent_dim)
        return tfd.Independent(tfd.LogNormal(zeros, zeros + 1), 1)


@mine
class OneRow(tv.priors.Prior):
    def distribution(self, context):
        zeros = tf.zeros([1, self.latent_dim])
        return tfd.Independent(tfd.Logistic(zeros, zeros + 1), 1)


@mine
class Demanding(tv.priors.StandardNormal):
    def __init__(self, latent_dim, scale, **kwargs):
        super().__init__(latent_dim, **kwargs)


@mine
class Neighbours(tv.heads.Head):
    def distribution(self, parameters):
        loc = parameters[..., 0]
        return tfd.Laplace(loc - tf.reduce_mean(loc, axis=-1, keepdims=True), 1.0)


@mine
class Average(tv.objectives.ELBO):
    def __call__(self, terms):
        return tf.reduce_mean(super().__call__(terms))


def _encoder(kind):
    return kind(tv.networks.mlp([4]), 1)


@pytest.mark.parametrize(
    ("check", "make", "message"),
    [
        (testing.check_prior, lambda: Unregistered(1), r"registered with Keras. Expected regis"),
        (
            testing.check_prior,
            lambda: TooDense(1),
            "TooDense: draws.log_prob, which is exported, is log",
        ),
        (testing.check_prior, lambda: Forgetful(1, 2.0), "numbers survive a .keras file"),
        (testing.check_encoder, lambda: _encoder(Cut), "gradients|has a gradient by"),
        (testing.check_bound, NoKL, r"its mean is at most log p\(x\). Expected.*Received"),
        (testing.check_bound, NoMass, "rows of no mass count for nothing"),
        (testing.check_bound, Uphill, r"points downhill where q\(z\|x\) is left"),
        (testing.check_layer, lambda: Secret(2), r"same key gives the same outputs \(estimator\)"),
        (testing.check_layer, lambda: HalfKL(2), "kl_divergence is the mean of log q - log p"),
        (testing.check_layer, lambda: keras.layers.Dense(2), "it says that it draws noise"),
        (
            testing.check_prior,
            lambda: Tensor(1),
            r"distribution\(context\) is a distribution. Expected .* Received EagerTensor",
        ),
        (testing.check_prior, lambda: Undefined(1), r"has no distribution. Expected distribution"),
        (
            testing.check_prior,
            lambda: Stumbling(1),
            r"line \d+ of test_contracts.py \(distribution\). Expected .* KeyError: 'nowhere'",
        ),
        (testing.check_prior, lambda: Positive(1), r"log p is finite on all of R\^D"),
        (testing.check_prior, lambda: OneRow(1), r"has batch shape \[\]. Expected.*Received \[1"),
        (testing.check_prior, lambda: Demanding(1, 2.0), r"from_config takes.*argument: 'scale'"),
        (testing.check_head, Neighbours, "what stands beside a value changes nothing"),
        (testing.check_bound, Average, r"of each example is \[B\]. Expected \[4\]. Received \[\]"),
    ],
    ids=[
        *("unregistered", "density", "config", "gradient"),
        *("no_kl", "no_mass", "uphill", "secret_noise", "half_kl", "no_noise"),
        *("tensor", "no_distribution", "error", "support", "one_row", "constructor"),
        *("neighbours", "average"),
    ],
)
def test_a_contract_names_the_claim_that_does_not_hold(check, make, message):
    with pytest.raises(AssertionError, match=message):
        check(make(), xla=False)


def test_parts_of_another_sort_and_priors_of_nothing_are_refused():
    for check in ("prior", "encoder", "bound", "layer", "head"):
        with pytest.raises(ValueError, match=rf"check_{check} needs a {check}.*Received 3"):
            getattr(testing, f"check_{check}")(3)
    with pytest.raises(ValueError, match=r"ClassNormal depends.*Expected given=.*Received none"):
        testing.check_prior(tv.priors.ClassNormal(1, 3))


def test_what_no_graph_or_xla_can_run_is_named():
    def python(x):
        return tf.py_function(np.tanh, [x], tf.float32)

    def eager(x):
        return tf.constant(np.tanh(x.numpy()))

    x = tf.constant([0.5])
    for function, mode in ((python, "under XLA"), (eager, "in a graph")):
        message = rf"Mine: log p runs {mode}. Expected operations.*Error: ."
        with pytest.raises(AssertionError, match=message):
            claims.check_modes("Mine", "log p", function, x)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: testing.check_encoder(_encoder(tv.encoders.Gaussian), "x"), "x. Expected finite"),
        (
            lambda: testing.check_encoder(_encoder(tv.encoders.Gaussian), np.full((2, 3), np.nan)),
            r"x. Expected .* Received shape \(2, 3\) with NaN",
        ),
        (lambda: testing.check_head(tv.heads.Bernoulli(), np.ones(3)), r"features.*shape \(3,\)"),
        (lambda: testing.check_head(tv.heads.Poisson(), values="abc"), r"values.*Received 'abc'"),
        (lambda: testing.check_head(tv.heads.Normal(), support=(1, 0)), r"support.*\(1, 0\)"),
        (
            lambda: testing.check_layer(tv.layers.DenseFlipout(1), np.ones((1, 2))),
            r"inputs. Expected .* N >= 2. Received shape \(1, 2\)",
        ),
    ],
    ids=["text", "nan", "one_axis", "values", "support", "one_row"],
)
def test_what_a_part_is_tried_at_is_looked_at_first(check, message):
    with pytest.raises(ValueError, match=message):
        check()


@mine
class Logistic(tv.priors.Prior):
    def distribution(self, context):
        zeros = tf.zeros(self.latent_dim)
        return tfd.Independent(tfd.Logistic(zeros, zeros + 1), 1)


@pytest.mark.all_only
@pytest.mark.parametrize(
    ("check", "make"),
    [
        (testing.check_prior, lambda: Logistic(1)),
        (testing.check_encoder, lambda: _encoder(tv.encoders.Gaussian)),
    ],
    ids=["prior", "encoder"],
)
@pytest.mark.dear(reason="a converter and a runtime")
def test_a_part_is_written_and_run_with_its_contract(check, make, monkeypatch):
    written = []

    def export(model, split, path, formats, **options):
        written.append(formats)
        return export_of(model, split, path, formats, **options)

    export_of = claims.export
    monkeypatch.setattr(claims, "export", export)
    monkeypatch.setattr(claims, "FORMATS", {"onnx": claims.FORMATS["onnx"]})
    check(make(), xla=False, export=True)
    assert written == [["onnx"]]
