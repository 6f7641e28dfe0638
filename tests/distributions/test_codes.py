"""Discrete latents: codes and their indices, quantisation, sums over codes, relaxed draws."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.distributions import draws
from tfp_vae.distributions.codes import Bits, Codes, Levels, OneHots, Point, Table

SHAPE = (2, 2, 1)
C = tv.codes
PIXELS = np.random.default_rng(0).integers(0, 2, (12, *SHAPE)).astype(np.float32)


def _network():
    return keras.Sequential([keras.layers.Flatten()])


def _vae(encoder, prior=None, **options):
    return tv.VAE(
        prior or tv.code_priors.UniformCodes.of(encoder),
        encoder,
        tv.decoders.Bernoulli(tv.networks.mlp([]), SHAPE),
        data_kind="static",
        **options,
    )


MAKE = {
    "bernoulli": lambda: C.Bernoulli(_network(), 3, enumerate=True),
    "categorical": lambda: C.Categorical(_network(), 2, 4, enumerate=True),
    "gumbel": lambda: C.GumbelSoftmax(_network(), 2, 4),
    "fsq": lambda: C.FiniteScalar(_network(), 2, (4, 3)),
    "joint": lambda: C.Joint(_network(), 1, 3, 2),
    "vq": lambda: C.VectorQuantized(_network(), 2, 5, 3),
}


def _built(name):
    keras.utils.set_random_seed(1)
    encoder = MAKE[name]()
    joint = tv.code_priors.JointPrior(1, 3, 3, 2) if name == "joint" else None
    return _vae(encoder, joint)


def _terms(model, **options):
    return model.terms(PIXELS, None, model(tf.constant(PIXELS), seed=3, **options))


def _summed(model):
    terms = _terms(model)
    return tv.objectives.elbo(terms), tv.objectives.IWAE()(terms)


@pytest.mark.parametrize("book", [
    OneHots(2, 3), Bits(2), Levels(2, (3, 4, 5)), Levels(1, (8, 6, 5)),
    Table(2, tf.constant(np.random.default_rng(0).standard_normal((6, 2)), tf.float32)),
], ids=lambda book: type(book).__name__)  # fmt: skip
def test_index_and_code_are_inverse(book):
    index = np.arange(book.count * book.places).reshape(-1, book.places) % book.count
    codes = book.codes(tf.constant(index, tf.int32))
    assert codes.shape == (book.count, book.size)
    np.testing.assert_array_equal(book.index(codes), index)
    assert len(np.unique(np.asarray(book.numbers(tf.range(book.count))), axis=0)) == book.count


def test_rounding_reaches_all_codes_and_zero_is_the_centre():
    book = Levels(1, (5, 4, 3))
    raw = np.stack(np.meshgrid(*[np.linspace(-6, 6, 49)] * 3, indexing="ij"), -1).reshape(-1, 3)
    found = book.nearest(book.rounded(tf.constant(raw, tf.float32)))
    assert len(np.unique(found)) == book.count
    centre = np.asarray(book.rounded(tf.zeros([1, 3])))[0]
    np.testing.assert_array_equal(centre, 0.0)


@pytest.mark.parametrize("name", sorted(set(C.CODES)))
def test_every_weight_gets_a_gradient_and_saved_codes_are_the_same(name, tmp_path):
    model, x = _built(name), tf.constant(PIXELS)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y_pred=model(x, training=True, seed=3))
    found = tape.gradient(loss, model.trainable_variables)
    assert all(each is not None and np.any(each) for each in found)
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    one, other = (
        tv.evaluation.code_indices(each, each.as_split(PIXELS)) for each in (model, again)
    )
    np.testing.assert_array_equal(one, other)
    bounds = [tv.objectives.elbo(_terms(each)) for each in (model, again)]
    np.testing.assert_array_equal(*bounds)


@pytest.mark.parametrize("name", ["bernoulli", "categorical"])
def test_a_sum_over_codes_is_what_draws_estimate(name):
    exact = _built(name)
    config = exact.encoder.get_config() | {"enumerate": False}
    drawn = _vae(type(exact.encoder).from_config(config))
    drawn.set_weights(exact.get_weights())
    rows = _terms(drawn, num_samples=2000)
    ratio = np.asarray(rows.log_likelihood + rows.latents[0].log_p - rows.latents[0].log_q)
    error = ratio.std(axis=0) / 2000**0.5 + 1e-4
    elbo, log_p = exact.bounds(PIXELS, 1)[:2] if name == "bernoulli" else _summed(exact)
    assert np.all(np.abs(ratio.mean(axis=0) - elbo) < 5 * error)
    # log p(x) is that of all codes by hand, and no bound is above it.
    every = exact.encoder.book.every()
    mass = exact.at_mean().likelihood(every[:, tf.newaxis]).log_prob(PIXELS)
    by_hand = tf.reduce_logsumexp(mass, axis=0) - np.log(len(every))
    np.testing.assert_allclose(log_p, by_hand, rtol=1e-5)
    assert np.all(elbo <= log_p + 1e-5)


def test_vimco_has_the_gradient_of_the_sum_over_codes():
    exact = _built("bernoulli")
    config = exact.encoder.get_config() | {"enumerate": False}
    drawn = _vae(type(exact.encoder).from_config(config), num_samples=300,
                 objective=tv.objectives.ELBO(gradient="vimco"))  # fmt: skip
    drawn.set_weights(exact.get_weights())
    x = tf.constant(PIXELS)

    def gradient(model, seed):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y_pred=model(x, training=True, seed=seed))
        return np.asarray(tape.gradient(loss, model.encoder.projection.kernel))

    found = np.stack([gradient(drawn, seed) for seed in range(6)])
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found)) + 1e-5
    assert np.all(np.abs(found.mean(axis=0) - gradient(exact, 0)) < 5 * error)


def test_a_point_mass_has_the_bound_of_its_codes():
    model = _built("fsq")
    elbo, log_p = model.bounds(PIXELS, 3)[:2]
    z = model.encode(tf.constant(PIXELS))
    by_hand = model.at_mean().likelihood(z).log_prob(PIXELS) - 2 * np.log(12)
    np.testing.assert_allclose(elbo, by_hand, rtol=1e-5)
    np.testing.assert_allclose(log_p, by_hand, rtol=1e-5)


def test_the_gradient_at_a_code_goes_on_to_what_was_quantised():
    encoder = _built("vq").encoder
    encoder.commitment = 0.0
    raw = tf.constant(np.random.default_rng(2).standard_normal((4, 6)), tf.float32)
    weight = tf.constant(np.random.default_rng(3).standard_normal((4, 6)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        z, _ = encoder.prepared([raw], False)
        value = tf.reduce_sum(weight * z)
    np.testing.assert_allclose(tape.gradient(value, raw), weight)


def _vq(**options):
    encoder = C.VectorQuantized(_network(), 1, 3, 2, **options)
    encoder.build_for((None, 4))
    return encoder


def test_without_memory_codes_move_by_a_step_of_k_means():
    encoder = _vq(decay=0.0, revival=0.0)
    rows = tf.constant(np.random.default_rng(5).standard_normal((40, 2)), tf.float32)
    encoder.prepared([rows], True)  # starts at rows, and moves once
    before = np.asarray(encoder.table)
    nearest = np.argmin(((np.asarray(rows)[:, None] - before) ** 2).sum(-1), axis=1)
    encoder.prepared([rows], True)
    means = [np.asarray(rows)[nearest == k].mean(axis=0) for k in range(3)]
    np.testing.assert_allclose(encoder.table, means, atol=1e-5)
    encoder.prepared([rows], False)  # evaluation moves nothing
    np.testing.assert_allclose(encoder.table, means, atol=1e-5)


def test_codes_start_at_outputs_and_dead_ones_start_again():
    encoder = _vq(every=1, revival=0.0)
    rows = tf.constant(np.random.default_rng(6).standard_normal((30, 2)), tf.float32)
    encoder._start(rows, (0, 30))
    for code in np.asarray(encoder.table):
        assert np.min(np.abs(np.asarray(rows) - code).sum(-1)) < 1e-6
    encoder = _vq(every=1, revival=0.2, decay=0.5)
    encoder._start(rows, (0, 30))
    encoder.table.assign([[0.0, 0.0], [90.0, 0.0], [0.0, 90.0]])  # two that nothing is near to
    for _ in range(6):
        encoder.prepared([rows], True)
    assert np.abs(np.asarray(encoder.table)).max() < 5


def test_parts_of_a_batch_give_together_the_codes_that_the_whole_batch_gives():
    encoder = _vq()
    rows = tf.constant(np.random.default_rng(8).standard_normal((7, 2)), tf.float32)
    whole = encoder._some(rows, (tf.constant(0), tf.constant(7)), 0)
    assert all(np.any(np.all(np.asarray(rows) == code, axis=1)) for code in np.asarray(whole))
    assert len(np.unique(np.asarray(whole), axis=0)) == 3
    # Replicas have two rows, none, and five: fewer than codes, and yet no code is there twice.
    parts = [(rows[:2], 0), (rows[2:2], 2), (rows[2:], 2)]
    found = [encoder._some(x, (tf.constant(at), tf.constant(7)), 0) for x, at in parts]
    np.testing.assert_array_equal(tf.add_n(found), whole)


def test_perplexity_is_that_of_the_codes_that_were_chosen_not_of_those_that_moved():
    encoder = _vq(decay=0.0, revival=0.0)
    encoder.seen.assign(1.0)
    encoder.table.assign([[0.0, 0.0], [10.0, 0.0], [90.0, 90.0]])
    value, index, penalty = encoder.prepared([tf.constant([[-8.0, 0.0], [5.1, 0.0]])], True)
    found = encoder.used(encoder.distribution(value, index), value)
    np.testing.assert_array_equal(found, [[0], [1]])
    assert float(penalty) == pytest.approx(encoder.commitment * (64 + 4.9**2) / 2)
    # Each is at its one output now, and the second is nearer to where the first was.
    np.testing.assert_array_equal(encoder.book.index(value), [[1], [1]])


def test_metrics_of_relaxed_draws_are_those_of_codes():
    model, x = _built("gumbel"), tf.constant(PIXELS)
    model.encoder.first = 5.0  # far from codes
    outputs = model(x, training=True, seed=4)
    soft = outputs.latents[0].value
    assert np.max(np.minimum(soft, 1 - soft)) > 0.1
    loss = model.compute_loss(x, y_pred=outputs, training=True)
    hard = model.encoder.book.codes(model.encoder.book.index(soft))
    log_p = model.at_mean().likelihood(hard).log_prob(x)
    by_hand = tf.reduce_mean(log_p - outputs.latents[0].kl())
    metrics = model.get_metrics_result()
    np.testing.assert_allclose(metrics["elbo"], by_hand, rtol=1e-5)
    assert abs(float(loss) + float(by_hand)) > 1e-3


def test_metrics_of_relaxed_draws_of_several_levels_are_those_of_their_codes():
    keras.utils.set_random_seed(1)
    latents = []
    for name in ("z2", "z1"):
        encoder = C.GumbelSoftmax(_network(), 1, 3, temperature=5.0)
        latents.append(tv.LatentVariable(name, tv.code_priors.UniformCodes.of(encoder), encoder))
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([]), SHAPE)
    model = tv.VAE(latents=latents, decoder=decoder, decoder_sees_above=True, data_kind="static")
    x = tf.constant(PIXELS)
    outputs = model(x, training=True, seed=4)
    model.compute_loss(x, y_pred=outputs, training=True)
    hard = [each.encoder.book.codes(each.encoder.book.index(latent.value))
            for each, latent in zip(latents, outputs.latents, strict=True)]  # fmt: skip
    log_p = model.at_mean().likelihood(tf.concat(hard, axis=-1)).log_prob(x)
    found = float(tf.reduce_mean(log_p))
    assert float(model.get_metrics_result()["reconstruction"]) == pytest.approx(found, rel=1e-5)


def test_the_temperature_falls_with_training_steps_and_draws_can_be_codes():
    encoder = C.GumbelSoftmax(_network(), 1, 3, 2.0, 0.5, steps=4, straight_through=True)
    encoder.build_for((None, 4))
    seen = []
    for _ in range(6):
        seen.append(float(encoder.temperature))
        q = encoder(tf.constant(PIXELS[:, 0, :, 0]) @ tf.ones([2, 4]), training=True)
    np.testing.assert_allclose(seen, [2.0, 2**0.5, 1.0, 2**-0.5, 0.5, 0.5], rtol=1e-5)
    z = np.asarray(draws.sample(q, [5], (0, 1)))
    np.testing.assert_allclose(np.sort(z, axis=-1), np.broadcast_to([0.0, 0.0, 1.0], z.shape))
    assert float(encoder.seen) == 6


def test_draws_of_codes_have_their_masses_and_their_closed_kl():
    logits = tf.constant(np.random.default_rng(7).standard_normal((2, 3)), tf.float32)
    q, p = Codes(OneHots(2, 3), logits), Codes(OneHots(2, 3), tf.zeros([2, 3]))
    z, log_q = draws.sample_and_log_prob(q, [4000], (0, 3))
    shares = np.asarray(z).mean(axis=0).reshape(2, 3)
    np.testing.assert_allclose(shares, tf.nn.softmax(logits), atol=0.04)
    np.testing.assert_allclose(log_q(), q.log_prob(z), rtol=1e-5)
    ratio = np.asarray(q.log_prob(z) - p.log_prob(z))
    assert abs(ratio.mean() - float(draws.kl_divergence(q, p))) < 5 * ratio.std() / 4000**0.5
    assert float(Point(tf.zeros([3])).log_prob(tf.zeros([3]))) == 0.0


REFUSED = {
    "two levels": (lambda: C.FiniteScalar(_network(), 2, (8, 2)), "three levels or more"),
    "too many to sum": (
        lambda: C.Categorical(_network(), 9, 9, enumerate=True),
        "too many codes to sum over",
    ),
    "another prior": (
        lambda: _vae(MAKE["fsq"](), tv.code_priors.UniformCodes(2, 9, 2)),
        "2 codes of 12, 2 numbers each",
    ),
    "a prior of real numbers": (
        lambda: _vae(MAKE["fsq"](), tv.priors.StandardNormal(4)),
        "would be infinite",
    ),
    "no codes": (
        lambda: tv.code_priors.UniformCodes.of(tv.encoders.Gaussian(_network(), 2)),
        "no codes to have a prior over",
    ),
    "proposals": (lambda: _built("fsq").bounds(PIXELS, 2, proposal="refined"), "of codes"),
    "a table larger than a batch": (
        lambda: _vae(C.VectorQuantized(_network(), 2, 9, 2)).check_training(
            tv.data.Split(PIXELS, "static", name="training"), 4
        ),
        "more codes than a batch can start. Expected at most 8",
    ),
}


@pytest.mark.parametrize(("act", "words"), REFUSED.values(), ids=REFUSED)
def test_what_codes_cannot_do_is_refused_in_one_line(act, words):
    with pytest.raises(ValueError, match=words) as error:
        act()
    assert "\n" not in str(error.value) and "Expected" in str(error.value)


def test_draws_without_slopes_are_not_trained_by_their_path():
    model = _vae(C.Bernoulli(_network(), 3))
    with pytest.raises(ValueError, match="no path to the encoder"):
        model.objective.check(model)
    for kind in ("vimco", "loo", "score"):
        bound = tv.objectives.ELBO(gradient=kind)
        bound.check(_vae(C.Bernoulli(_network(), 3), num_samples=2))


def test_a_prior_is_fitted_to_each_point_once(monkeypatch):
    """Copies in what is kept back made the fit blind to overfitting."""
    model, seen = _built("fsq"), []
    prior = tv.code_priors.MaskedPerceptron.of(model.encoder, hidden=[4])
    monkeypatch.setattr(prior, "fit", lambda z, seed: seen.append(z.shape) or prior())
    new = model.with_prior(prior, PIXELS)
    assert seen == [(len(PIXELS), 4)] and type(new.prior) is type(prior)
