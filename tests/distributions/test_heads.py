"""Heads: each keeps the contract of `testing.check_head`; one of a user's own goes everywhere."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae import peek
from tfp_vae.data import Kind, Split
from tfp_vae.models.predictive import Predictive
from tfp_vae.testing import check_head

tfd = tfp.distributions


def _in_units(**options):
    head = tv.heads.NormalInUnits(**options)
    head.build((None, head.num_features))
    head.target_mean.assign(3.0)
    head.target_scale.assign(20.0)
    return head


def _counts():
    head = tv.heads.Poisson()
    head.build((None, 1))
    head.log_mean.assign(1.0)
    return head


# Of those that are made with arguments, and of those with several forms; any other is tried as it
# is made without.
FORMS = {
    "normal": {
        "shared": tv.heads.Normal,
        "trained": lambda: tv.heads.Normal("trained"),
        "per pixel": lambda: tv.heads.Normal("per_pixel", scale_floor=0.1),
    },
    "logistic_mixture": {"two": lambda: tv.heads.LogisticMixture(2)},
    "classes": {"four": lambda: tv.heads.Classes(4)},
    "noisy_classes": {"four": lambda: tv.heads.NoisyClasses(4, 0.2)},
    "normal_in_units": {
        "shared": _in_units,
        "per example": lambda: _in_units(scale="per_example"),
        "fixed": lambda: _in_units(scale=7.0),
    },
    "poisson": {"of rate e": _counts},
    "log_normal": {"fixed": lambda: tv.heads.LogNormal(0.5)},
    "student_t": {"per example": lambda: tv.heads.StudentT("per_example", df=6.0)},
    "negative_binomial": {"shared": tv.heads.NegativeBinomial},
    "zero_inflated_negative_binomial": {
        "per example": lambda: tv.heads.ZeroInflatedNegativeBinomial("per_example")
    },
    "ordinal": {"four": lambda: tv.heads.Ordinal(4)},
}
CASES = [
    pytest.param(make, id=f"{name}, {form}" if form else name)
    for name in tv.heads.HEADS
    for form, make in FORMS.get(name, {"": tv.heads.HEADS[name]}).items()
]


@pytest.mark.parametrize("make", CASES)
@pytest.mark.all_too(reason="the one look at a member of its family")
def test_a_head_keeps_its_contract(make, base_seed):
    check_head(make(), seed=base_seed)


def test_heads_of_targets_alone_are_a_group_that_no_decoder_is_offered():
    assert all(tv.heads.HEADS.meanings.values())
    for name, head in tv.heads.HEADS.items():
        assert (name in tv.heads.HEADS.group("targets")) == (not head.kinds)
    assert peek.registry("distributions.heads.HEADS").group() == tv.heads.HEADS.group()
    for name in tv.heads.HEADS.group():
        head = tv.heads.HEADS[name]()
        assert head.preferred_kind in head.kinds
        assert head.is_discrete == all(kind.is_discrete for kind in head.kinds)


# One of a user's own.


@keras.saving.register_keras_serializable(package="mine")
class StudentT(tv.heads.Head):
    """A real number with heavy tails."""

    num_features = 2

    def parameters(self, features):
        return tf.stack([features[..., 0], 0.1 + tf.nn.softplus(features[..., 1])], axis=-1)

    def distribution(self, parameters):
        return tfd.StudentT(4.0, parameters[..., 0], parameters[..., 1])


@keras.saving.register_keras_serializable(package="mine")
class InformedStudentT(StudentT):
    """The same, with its Fisher information (Lange, Little & Taylor, 1989)."""

    def fisher_root(self, parameters):
        inverse = 1 / tf.expand_dims(parameters[..., 1:], -1)
        return inverse * tf.constant([[np.sqrt(5 / 7), 0], [0, np.sqrt(8 / 7)]], tf.float32)


@keras.saving.register_keras_serializable(package="mine")
class Wrong(StudentT):
    """With draws that are not its own."""

    def distribution(self, parameters):
        class Half(tfd.StudentT):
            def _sample_n(self, n, seed=None):
                return 0.9 * super()._sample_n(n, seed)

        return Half(4.0, parameters[..., 0], parameters[..., 1])


@keras.saving.register_keras_serializable(package="mine")
class Unnormalised(tv.heads.Normal):
    """With a density that does not integrate to 1."""

    def distribution(self, parameters):
        class Half(tfd.Normal):
            def _log_prob(self, x):
                return super()._log_prob(x) - np.log(1.1)

        return Half(parameters[..., 0], parameters[..., 1])


class WrongInformation(InformedStudentT):
    def fisher_root(self, parameters):
        return 1.1 * super().fisher_root(parameters)


def test_a_head_of_ones_own_keeps_the_contract(base_seed):
    check_head(InformedStudentT(), seed=base_seed, xla=False)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (Wrong, "draws follow log p"),
        (Unnormalised, "log p of likelihood is the sum over values"),
    ],
)
def test_the_contract_names_what_a_head_does_not_keep(head, message):
    with pytest.raises(AssertionError, match=message):
        check_head(head())


@pytest.mark.all_only
def test_a_head_of_ones_own_is_trained_saved_and_exported(tmp_path):
    rng = np.random.default_rng(0)
    split = Split(rng.standard_t(4, (60, 3)).astype(np.float32), Kind.REAL, name="test")
    vae = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=tv.decoders.Decoder(tv.networks.mlp([4]), (3,), StudentT()),
    )
    vae.compile(optimizer="adam", jit_compile=False)
    vae.fit(split, batch_size=20, epochs=1, verbose=0)
    vae.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"trusted=\('mine',\)"):
        tv.load(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras", trusted=("mine",))
    assert type(again.decoder.head) is StudentT
    np.testing.assert_array_equal(vae.bounds(split, 5).elbo, again.bounds(split, 5).elbo)
    named = {each.name: each for each in tv.export.signatures_of(vae, 3)}
    assert {"encode", "decode", "reconstruct", "sample", "elbo", "log_evidence"} == set(named)
    z = tf.ones([4, 2])
    mean = named["decode"].answer(z=z)["mean"]
    np.testing.assert_allclose(mean, vae.decoder(z).mean(), rtol=1e-6)
    elbo = named["elbo"].answer(x=tf.constant(split.values()[:4]), noise=tf.zeros([1, 4, 2]))
    assert np.all(np.isfinite(elbo["elbo"]))


def _regression(likelihood, num_features=None, **options):
    layer = keras.layers.Dense(num_features or likelihood.num_features)
    model = tv.BayesianNetwork(keras.Sequential([layer]), likelihood, **options)
    model.compile(optimizer="adam", jit_compile=False)
    return model


def _targets(count=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 3)).astype(np.float32)
    return Split(x, Kind.REAL, targets=(x[:, 0] + rng.standard_t(4, count)).astype(np.float32))


def test_a_head_of_ones_own_is_a_likelihood_of_targets(tmp_path):
    split = _targets()
    model = _regression(StudentT(), weight_prior=1.0)
    model.fit(split, batch_size=20, epochs=1, verbose=0)
    predictive = model.predictive(split, 3)
    assert not predictive.is_categorical and not predictive.is_discrete
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras", trusted=("mine",))
    np.testing.assert_array_equal(again.predictive(split, 3).mean(), predictive.mean())
    found = tv.export.signatures_of(model, 3)[0].answer(x=tf.constant(split.values()))
    np.testing.assert_allclose(found["mean"], predictive.mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["aleatoric_variance"], predictive.aleatoric, rtol=1e-5)


@pytest.mark.all_only
def test_laplace_does_not_take_an_unknown_likelihood_for_a_poisson():
    split = _targets()
    model = _regression(StudentT(), weight_prior=1.0)
    model.fit(split, epochs=1, verbose=0)
    with pytest.raises(
        ValueError, match=r"StudentT has no Fisher information.*Expected.*fisher_root.*Received"
    ):
        tv.Laplace(model)
    informed = _regression(InformedStudentT(), weight_prior=1.0)
    informed.fit(split, epochs=1, verbose=0)
    laplace = tv.Laplace(informed).fit(split)
    # The precision of a bias of loc is the sum of the information, and that of its prior.
    scale = informed.mean_parameters(split.values())[:, 1].numpy()
    precision = np.sum(5 / 7 / scale**2) + 1.0
    np.testing.assert_allclose(laplace.curvature.kept("scale")[-2], precision**-0.5, rtol=1e-4)


@pytest.mark.all_only
def test_the_middle_of_a_step_is_taken_of_every_discrete_head():
    @keras.saving.register_keras_serializable(package="mine")
    class NegativeBinomial(tv.heads.Head):
        kinds, is_discrete = frozenset(), True

        def distribution(self, parameters):
            return tfd.NegativeBinomial(3.0, logits=parameters[..., 0])

    head = NegativeBinomial()
    check_head(head)
    each = head.distribution(tf.zeros([4, 2, 1]))
    y = np.array([0.0, 1.0, 2.0, 5.0], np.float32)
    found = tv.evaluation.predictive.probability_transform(Predictive.of(each, head), y)
    expected = each[:, 0].cdf(y) - 0.5 * each[:, 0].prob(y)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# What heads refuse.


def test_a_head_of_targets_is_no_likelihood_of_examples():
    for head in (tv.heads.Poisson(), tv.heads.Classes(3), tv.heads.NormalInUnits()):
        decoder = tv.decoders.Decoder(tv.networks.mlp([]), (3,), head)
        with pytest.raises(ValueError, match=r"does not fit real.*for targets.*\(1\) use the"):
            decoder.check_kind(Kind.REAL)


def test_targets_without_a_probability_are_refused_by_a_head_of_examples():
    split = _targets()
    with pytest.raises(ValueError, match=r"Bernoulli.*targets.*Expected only 0 and 1.*Received"):
        _regression(tv.heads.Bernoulli()).fit(split, verbose=0)
    with pytest.raises(ValueError, match=r"Categorical.*Expected values in \[0, 1\].*Received"):
        tv.heads.Categorical().check(split)


def test_abilities_that_a_head_lacks_are_named():
    head = tv.heads.NormalInUnits()
    for ability, message in (("steps", "a page can draw"), ("tables", "a codec needs")):
        assert not head.has(ability)
        with pytest.raises(
            ValueError, match=rf"NormalInUnits has no .*{message}.*method {ability}"
        ):
            getattr(head, ability)(*[tf.zeros([1, 2])] * (ability == "tables"))
    with pytest.raises(NotImplementedError, match=r"Head has no distribution"):
        tv.heads.Head().distribution(tf.zeros([1, 1]))


def test_what_is_no_head_is_refused():
    with pytest.raises(ValueError, match=r"needs a head.*Expected a Head.*Received 'bernoulli'"):
        tv.decoders.Decoder(tv.networks.mlp([]), (3,), "bernoulli")
    with pytest.raises(ValueError, match=r"needs a head.*Received 3"):
        check_head(3)
    for make in (lambda: tv.heads.Categorical(1), lambda: tv.heads.Normal(scale_floor=-1)):
        with pytest.raises(ValueError, match=r"Impossible.*Expected.*Received"):
            make()


@pytest.mark.parametrize("spatial", [False, True])
def test_the_features_of_a_value_lie_side_by_side(spatial):
    # A head of two features gets the two of each pixel and channel, whatever the network ends in.
    shape = (2, 3, 2)
    network = keras.layers.Reshape((2, 3, -1)) if spatial else tv.networks.mlp([])
    decoder = tv.decoders.DiscretizedLogistic(network, shape)
    decoder.build((None, 12))
    kernel, bias = decoder.projection.get_weights()
    bias = np.arange(bias.size, dtype=np.float32)
    decoder.projection.set_weights([0 * kernel, bias])
    likelihood = decoder(tf.zeros([4, 12]))
    expected = bias.reshape((2, 2) if spatial else (*shape, 2)) + np.zeros((*shape, 2))
    np.testing.assert_array_equal(likelihood.features[1], expected)
    np.testing.assert_array_equal(likelihood.distribution.loc[1], expected[..., 0] + 0.5)
