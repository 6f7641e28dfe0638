"""Cells that are missing for what they are: sums by hand, and means that only then are right."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, optimize, special, stats

import tfp_vae as tv
from tfp_vae.data import Column, Schema, Split

NAN = np.nan
SCHEMA = Schema(
    (
        Column("a"),
        Column("b", "positive"),
        Column("c", "count"),
        Column("d", "binary", ("f", "m")),
        Column("e", "categorical", ("x", "y", "z")),
        Column("f", "ordinal", ("low", "mid", "top")),
    )
)


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    columns = [rng.normal(4, 2, count), np.exp(rng.normal(size=count)), rng.poisson(3, count)]
    columns += [rng.integers(0, k, count) for k in (2, 3, 3)]
    x = np.stack(columns, axis=1).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = NAN
    return x


def decoder_of(schema=SCHEMA, missing="not_at_random", heads=None, latent_dim=1):
    decoder = tv.decoders.Columns(tv.networks.mlp([]), schema, heads, missing=missing)
    decoder.build((None, latent_dim))
    return decoder


def test_a_mask_that_depends_on_nothing_adds_its_own_log_probability_alone():
    x, z = rows(20), tf.random.stateless_normal([20, 1], [0, 1])
    at_random, modelled = (decoder_of(missing=m) for m in ("at_random", "not_at_random"))
    for each in (at_random, modelled):
        each.adapt(x)
    weights = [0.3 * np.ones(w.shape) for w in at_random.trainable_variables]
    slopes, values = [], []
    for each in (at_random, modelled):
        mask = {id(w) for w in each.missingness.trainable_variables}
        own = [w for w in each.trainable_variables if id(w) not in mask]
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)
        with tf.GradientTape() as tape:
            log_p = each(z).log_prob(x)
        values.append(log_p.numpy())
        slopes.append(tape.gradient(log_p, own))
    share = (np.isnan(x).sum(axis=0) + 0.5) / 21
    log_mask = np.where(np.isnan(x), np.log(share), np.log1p(-share)).sum(axis=1)
    np.testing.assert_allclose(values[1] - values[0], log_mask, rtol=1e-4, atol=1e-4)
    for one, other in zip(*slopes, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("slope", [0.7, -6.0])
def test_a_missing_cell_has_the_expectation_of_being_missing(slope):
    schema = Schema((Column("n"), Column("t"), Column("l", "positive"), Column("p", "count")))
    heads = {"t": tv.heads.StudentT(0.8), "n": tv.heads.NormalInUnits(1.5),
             "l": tv.heads.LogNormal(0.6), "p": tv.heads.Poisson()}  # fmt: skip
    decoder = decoder_of(schema, heads=heads)
    decoder.projection.set_weights([np.zeros((1, 4)), np.array([0.4, 0.4, 0.4, 1.1])])
    decoder.missingness.offset.assign([-0.5] * 4)
    decoder.missingness.slope.assign([slope] * 4)
    found = decoder(tf.zeros([1, 1])).distribution.log_prob(np.full((1, 4), NAN, np.float32))[0]

    def expected(distribution, u=lambda x: x):
        low, high = distribution.ppf([1e-9, 1 - 1e-9])
        cut = [u_ for u_ in (0.4, -0.5 / slope) if low < u_ < high]
        return integrate.quad(
            lambda x: distribution.pdf(x) * special.expit(-0.5 + slope * u(x)),
            low, high, points=cut, limit=200,
        )[0]  # fmt: skip

    counts = np.arange(60)
    known = [
        expected(stats.norm(0.4, 1.5)),
        expected(stats.t(4, 0.4, 0.8)),
        expected(stats.norm(0.4, 0.6)),  # of the log
        (stats.poisson(np.exp(1.1)).pmf(counts) * special.expit(-0.5 + slope * np.log1p(counts)))
        .sum(),
    ]  # fmt: skip
    np.testing.assert_allclose(np.exp(found), known, rtol=2e-3)


def exact_fit(missing, x, schema):
    """Returns means of two columns by maximum of the exact log p(x_obs[, mask]), z summed over."""
    heads = {name: tv.heads.NormalInUnits() for name in schema.names}
    decoder = decoder_of(schema, missing, heads)
    points, log_masses = np.polynomial.hermite_e.hermegauss(15)
    log_masses = np.log(log_masses / log_masses.sum()).astype(np.float32)
    z = tf.constant(points[:, np.newaxis, np.newaxis], tf.float32)  # [S, 1, 1]
    decoder.adapt(x)
    variables = decoder.trainable_variables
    shapes = [v.shape for v in variables]
    sizes = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]

    @tf.function(autograph=False)
    def slopes():
        with tf.GradientTape() as tape:
            log_p = decoder(z).log_prob(x) + log_masses[:, np.newaxis]
            loss = -tf.reduce_mean(tf.reduce_logsumexp(log_p, axis=0))
        return loss, tape.gradient(loss, variables, unconnected_gradients="zero")

    def at(flat):
        for variable, part, shape in zip(variables, np.split(flat, sizes), shapes, strict=True):
            variable.assign(part.reshape(shape))
        loss, found = slopes()
        return float(loss), np.concatenate([np.ravel(g) for g in found]).astype(np.float64)

    start = np.concatenate([np.ravel(v.numpy()) for v in variables])
    optimize.minimize(at, start, jac=True, method="L-BFGS-B", options={"maxiter": 120})
    return decoder(tf.zeros([1, 1])).mean()[0].numpy()


def test_the_mean_of_what_is_censored_above_a_threshold_is_found_and_at_random_it_is_not():
    rng = np.random.default_rng(4)
    z = rng.normal(size=(600, 1))
    truth = (np.array([2.0, -1.0]) + 0.8 * z + 0.6 * rng.normal(size=(600, 2))).astype(np.float32)
    x = np.where(np.stack([truth[:, 0] > 2.6, np.zeros(600, bool)], axis=1), NAN, truth)
    schema = Schema((Column("income"), Column("age")))
    assert 0.2 < np.isnan(x[:, 0]).mean() < 0.35
    error = 1.0 / np.sqrt(600)
    biased, right = (exact_fit(m, x, schema)[0] for m in ("at_random", "not_at_random"))
    assert biased - truth[:, 0].mean() < -4 * error
    assert abs(right - truth[:, 0].mean()) < 3 * error


def made(x, schema, missing="not_at_random"):
    network = keras.Sequential([tv.layers.TableInput(schema)])
    vae = tv.VAE(
        tv.priors.StandardNormal(1),
        tv.encoders.Gaussian(network, 1),
        tv.decoders.Columns(tv.networks.mlp([]), schema, missing=missing),
    )
    vae.compile(jit_compile=False)
    vae.take_units(Split(x, schema=schema, name="train"))
    return vae


def test_what_is_filled_in_is_of_those_that_go_missing_and_hidden_cells_are_not(tmp_path):
    schema = Schema((Column("a"), Column("b", "binary", ("n", "y"))))
    x = np.array([[1.0, 0], [2.0, 1], [NAN, 1], [3.0, NAN]], np.float32)
    vae = made(x, schema)
    decoder = vae.decoder
    decoder.heads[0].set_shared_scale(1.0)
    decoder.projection.set_weights([np.zeros((1, 2)), np.array([0.0, 0.0])])
    reason = decoder.missingness
    reason.slope.assign([2.0, 0.0])
    reason.of_levels["1"].assign([-2.0, 1.0])
    vae.save(tmp_path / "model.keras")
    vae = tv.load(tmp_path / "model.keras")
    assert vae.decoder.missing == "not_at_random"
    rows = np.full((2, 2), NAN, np.float32)
    hidden = np.array([[False, False], [True, True]])
    found = tv.evaluation.complete(vae, rows, 50, num_samples=20, hidden=hidden)
    start, centre, scale = (np.asarray(w) for w in (reason.start, reason.centre, reason.scale))
    grid = np.linspace(-4, 8, 4001)
    loc, deviation = float(decoder(tf.zeros([1, 1])).mean()[0, 0]), 1.0
    tilted = stats.norm(loc, deviation).pdf(grid)
    tilted *= special.expit(start[0] + 2 * (grid - centre[0]) / scale[0])
    assert found.best[0, 0] == pytest.approx((grid * tilted).sum() / tilted.sum(), abs=0.01)
    assert found.best[1, 0] == pytest.approx(loc, abs=1e-4)
    assert found.draws[:, 0, 0].mean() == pytest.approx(found.best[0, 0], abs=0.6)
    chances = special.expit(start[1] + np.array([-2.0, 1.0]))
    assert found.certainty[0, 1] == pytest.approx(chances[1] / chances.sum(), abs=1e-4)
    assert found.certainty[1, 1] == pytest.approx(0.5, abs=1e-4)
    assert found.effective_sample_size.min() == pytest.approx(20, rel=0.9)
    # Rows given some columns: the others are not asked for, and no reason is looked for.
    drawn = tv.evaluation.conditional_rows(vae, {"b": "y"}, 400)
    assert drawn[:, 0].mean() == pytest.approx(loc, abs=0.2) and (drawn[:, 1] == 1).all()


def test_a_reason_that_is_not_known_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown reason for missing cells.*Did you mean not_at"):
        decoder_of(missing="not_at_randm")
    with pytest.raises(ValueError, match="Did you mean at_random"):
        tv.methods.VAERecipe(missing="at_randon")
