"""Priors of latents and the maps that some are made of: closed forms, limits, what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tfp_vae.distributions import draws, flows, mixtures
from tfp_vae.distributions.mixtures import NormalMixture

tfd = tfp.distributions
SHAPE = (4, 4, 1)


def _vae(prior, encoder=None, seed=0):
    keras.utils.set_random_seed(seed)
    return tv.VAE(
        encoder=encoder or tv.encoders.Gaussian(tv.networks.mlp([6]), prior.latent_dim),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([6]), SHAPE),
        prior=prior,
        data_kind="static",
    )


def _shaken(layer, seed=0, scale=0.3):
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign_add(scale * rng.standard_normal(weight.shape))


def _numbers(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


STEPS = {
    "coupling": lambda: flows.Coupling(3, [5]),
    "coupling, first half": lambda: flows.Coupling(3, [5], is_second=False),
    "masked": lambda: flows.Autoregressive(3, [5, 4], 2, quick_forward=False),
    "inverse autoregressive": lambda: flows.Autoregressive(3, [5], 2, is_reversed=True),
    "planar": lambda: flows.Planar(3),
    "Sylvester": lambda: flows.Sylvester(3, 2),
}


@pytest.mark.parametrize("make", STEPS.values(), ids=STEPS)
def test_a_step_has_the_volume_of_its_jacobian_and_its_inverse(make):
    step = make()
    z, context = _numbers(4, 3), _numbers(4, step.context_size, seed=1)
    context = context if step.context_size else None
    _shaken(step)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        found, volume = step.forward(z, context)
    jacobian = tape.batch_jacobian(found, z, experimental_use_pfor=False)
    np.testing.assert_allclose(volume, tf.linalg.slogdet(jacobian)[1], atol=1e-4)
    assert np.abs(volume).max() > 0.05
    back, same = step.inverse(found, context)
    np.testing.assert_allclose(back, z, atol=1e-4)
    np.testing.assert_allclose(same, volume, atol=1e-4)


def test_a_mixture_is_that_of_tfp_in_any_order_of_its_components(monkeypatch):
    logits, loc, scale = _numbers(5), 3 * _numbers(5, 3, seed=1), tf.exp(_numbers(5, 3, seed=2))
    z = 4 * _numbers(7, 2, 3, seed=3)
    known = tfd.MixtureSameFamily(
        tfd.Categorical(logits=logits), tfd.MultivariateNormalDiag(loc, scale)
    )
    ours = NormalMixture(logits, loc, scale)
    np.testing.assert_allclose(ours.log_prob(z), known.log_prob(z), rtol=1e-5)
    slopes = []
    for most in (2**15, 0):  # a tensor of all components, and products as of many values
        monkeypatch.setattr(mixtures, "_LITTLE", most)
        with tf.GradientTape() as tape:
            tape.watch((z, loc, scale))
            found = NormalMixture(logits, loc, scale).log_prob(z)
        np.testing.assert_allclose(found, known.log_prob(z), rtol=1e-5)
        slopes.append(tape.gradient(found, (z, loc, scale)))
    for one, other in zip(*slopes, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    double = NormalMixture(*(tf.cast(each, tf.float64) for each in (logits, loc, scale)))
    found = draws.log_prob(double, tf.cast(z, tf.float64))  # as in a model of double precision
    np.testing.assert_allclose(found, known.log_prob(z), rtol=1e-5)
    turned = NormalMixture(logits[::-1], loc[::-1], scale[::-1])
    np.testing.assert_allclose(turned.log_prob(z), ours.log_prob(z), rtol=1e-5)
    for name in ("mean", "variance", "stddev"):
        np.testing.assert_allclose(getattr(ours, name)(), getattr(known, name)(), rtol=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tv.priors.Mixture(2, 1),
        lambda: tv.priors.Flow(2, steps=2),
        lambda: tv.priors.Flow(2, "autoregressive", 2),
    ],
    ids=["mixture of one", "couplings", "autoregressive"],
)
def test_a_prior_that_starts_as_a_standard_normal_is_the_plain_vae(make, binary_images):
    x = binary_images(6)
    plain, other = _vae(tv.priors.StandardNormal(2)), _vae(make())
    for part in ("encoder", "decoder"):
        getattr(other, part).set_weights(getattr(plain, part).get_weights())
    found, expected = (model.bounds(x, 4).log_evidence for model in (other, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    z = _numbers(5, 2)
    standard = plain.at_mean().prior().log_prob(z)
    np.testing.assert_allclose(other.at_mean().prior().log_prob(z), standard, rtol=1e-6)


def test_pseudo_inputs_that_are_the_training_data_cost_at_most_log_n(binary_images):
    x = binary_images(12)
    model = _vae(tv.priors.Vamp(2, len(x)))
    model.prior.assign(x)
    _shaken(model.encoder, scale=1.0)
    draw = model.at_mean()
    np.testing.assert_allclose(model.prior.inputs, x, atol=0.021)
    q = draw.posterior(model.prior.inputs)
    z, log_q = draws.sample_and_log_prob(q, [200], (0, 1))
    kl = np.asarray(log_q() - draw.prior().log_prob(z)).mean(axis=0)
    assert 0.3 < kl.mean() <= np.log(len(x))
    # As many posteriors mixed by hand.
    mixed = tf.reduce_logsumexp(q.log_prob(z[..., tf.newaxis, :]), axis=-1) - np.log(len(x))
    np.testing.assert_allclose(draw.prior().log_prob(z), mixed, rtol=1e-4, atol=1e-4)


def test_pseudo_inputs_start_spread_around_the_data_and_teach_the_encoder(binary_images):
    data = tv.data.Split(binary_images(40), "static")
    model = _vae(tv.priors.Vamp(2, 30))
    assert model.prior.waits_for_data
    model.check_training(data, 10)  # which `fit` begins with
    inputs = np.asarray(model.prior.inputs)
    model.check_training(data.take(35), 10)  # once
    assert np.all(inputs == model.prior.inputs) and not model.prior.waits_for_data
    assert inputs.min() > 0 and inputs.max() < 1
    assert np.abs(inputs.mean(axis=0) - data.values().mean(axis=0)).mean() < 0.15
    assert inputs.std(axis=0).min() > 0.1
    with tf.GradientTape() as tape:
        log_p = model.at_mean().prior().log_prob(_numbers(5, 2))
    weights = [*model.prior.trainable_variables, *model.encoder.trainable_variables]
    assert all(np.any(each) for each in tape.gradient(log_p, weights))
    with pytest.raises(ValueError, match=r"more pseudo-inputs than.*components <= 40.*Received 41"):
        _vae(tv.priors.Vamp(2, 41)).prior.adapt(data)


def test_pseudo_inputs_leave_the_moments_of_an_encoder_to_the_examples(binary_images):
    found = []
    for prior in (tv.priors.StandardNormal(2), tv.priors.Vamp(2, 3)):
        encoder = tv.encoders.BatchNormalizedGaussian(tv.networks.mlp([6]), 2)
        model = _vae(prior, encoder)
        for part in (encoder.network, encoder.projection):
            rng = np.random.default_rng(0)
            part.set_weights([rng.normal(size=each.shape) for each in part.get_weights()])
        model(tf.constant(binary_images(6)), training=True)
        found.append([np.asarray(each) for each in encoder.normalization.non_trainable_variables])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
        assert np.abs(one).max() > 0


@pytest.mark.all_only
@pytest.mark.parametrize("name", ["mixture", "vamp"])
def test_a_step_with_500_components_for_500_examples_makes_less_than_2_gb(name):
    encoder = tv.encoders.Gaussian(tv.networks.mlp([300]), 40)
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([300]), (28, 28, 1))
    model = tv.VAE(tv.priors.PRIORS[name](40, 500), encoder, decoder)

    @tf.function(autograph=False)
    def step(x):
        with tf.GradientTape() as tape, model.stepping():
            loss = model.compute_loss(x=x, y_pred=model(x, training=True))
        return tape.gradient(loss, model.trainable_variables)

    graph = step.get_concrete_function(tf.TensorSpec([500, 28, 28, 1])).graph
    made = [each for operation in graph.get_operations() for each in operation.outputs]
    sizes = [each.dtype.size * each.shape.num_elements() for each in made if each.dtype.size
             and each.shape.is_fully_defined()]  # fmt: skip
    # All of them together, as if none were let go; of each component and example one number.
    assert 500 * 500 * 4 in sizes and sum(sizes) < 2e9
    assert max(sizes) <= 500 * 784 * 8


@pytest.mark.all_only
def test_every_prior_is_drawn_by_a_key_and_pseudo_inputs_of_every_posterior():
    kinds = {name: kind for name, kind in tv.priors.PRIORS.items() if kind.support == "real"}
    for name, kind in kinds.items():
        options = {"components": 3} if kind.has_components else {}
        distribution = _vae(kind(2, **options)).at_mean().prior()
        assert draws.is_keyed(distribution), name
        assert (draws.members(distribution) is not None) == (
            name in ("standard", "laplace", "student_t")
        )
    for name in ("full", "iaf", "mixture"):
        encoder = tv.encoders.ENCODERS[name](tv.networks.mlp([4]), 2)
        draw = _vae(tv.priors.Vamp(2, 3), encoder).at_mean()
        z, log_p = draws.sample_and_log_prob(draw.prior(), [7], (0, 1))
        q = draw.posterior(draw.model.prior.inputs)
        mixed = tf.reduce_logsumexp(q.log_prob(z[:, tf.newaxis]), axis=-1) - np.log(3)
        np.testing.assert_allclose(log_p(), mixed, rtol=1e-4, atol=1e-4)


def test_a_box_has_no_density_outside_and_knows_it(binary_images):
    box = tv.encoders.Box(tv.networks.mlp([6]), 2)
    draw, x = _vae(tv.priors.Uniform(2), box).at_mean(), binary_images(1)
    z = tf.constant([[0.5, 1.5], [0.5, -0.5], [1.0, 0.0]])
    for log_prob in (draw.posterior(x).log_prob(z).numpy(), draw.prior().log_prob(z).numpy()):
        assert log_prob[0] == -np.inf and np.isfinite(log_prob[1])
    assert np.isfinite(draw.prior().log_prob(z)[2])  # where tanh of a large number is


def test_what_would_not_work_is_refused_before_any_work():
    priors, gaussian = tv.priors, tv.encoders.Gaussian
    with pytest.raises(ValueError, match=r"would be infinite.*the box.*as box\. Received Gaussian"):
        _vae(priors.Uniform(2))
    with pytest.raises(ValueError, match=r"Expected latent_dim >= 2.*autoregressive.*Received 1"):
        priors.Flow(1)
    with pytest.raises(ValueError, match=r"Impossible components.*>= 1. Received 0"):
        priors.Mixture(2, 0)
    with pytest.raises(ValueError, match=r"Expected it as the prior of a VAE. Received no model"):
        priors.Vamp(2, 3)()
    with pytest.raises(ValueError, match=r"Pseudo-inputs are examples alone.*a condition"):
        tv.ConditionalVAE(
            priors.Vamp(2, 3),
            gaussian(tv.networks.mlp([4]), 2),
            tv.decoders.Bernoulli(tv.networks.mlp([4]), SHAPE),
            num_classes=3,
        )


@pytest.mark.all_only
def test_conditional_models_have_them_too(binary_images):
    split = tv.data.Split(binary_images(6), "static", labels=np.arange(6) % 3)
    model = tv.ConditionalVAE(
        tv.priors.Mixture(2, 3),
        tv.encoders.InverseAutoregressive(tv.networks.mlp([4]), 2, steps=1, hidden=[4]),
        tv.decoders.Bernoulli(tv.networks.mlp([4]), SHAPE),
        num_classes=3,
    )
    draw, given = model.at(0), tf.constant(split.labels)
    (latent,) = draw.infer(split.values(), 4, given)
    q = draw.posterior(split.values(), given)
    np.testing.assert_allclose(latent.log_q, q.log_prob(latent.value), rtol=1e-4, atol=1e-4)
    fitted = model.with_prior(tv.priors.Mixture(2, 2), split, num_samples=5)
    assert np.isfinite(fitted.prior_gain(model, split, 2)).all()
    assert fitted.generate(3)["mean"].shape == (3, *SHAPE)


def test_centres_of_classes_start_apart_by_one_deviation_and_a_single_class_at_zero():
    keras.utils.set_random_seed(0)
    many, one = tv.priors.ClassNormal(200, 5), tv.priors.ClassNormal(3, 1)
    many.build()
    one.build()
    loc = many.loc.numpy()
    assert np.abs(loc.mean(axis=1)).max() < 5 / np.sqrt(200)  # around 0, and not at 1
    np.testing.assert_allclose(loc.std(axis=0).mean(), np.sqrt(4 / 5), rtol=0.1)  # over classes
    assert not one.loc.numpy().any()
