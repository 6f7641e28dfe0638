"""VAEs of tables: a likelihood for every column, and cells that are missing."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import stats

import tfp_vae as tv
from tfp_vae.data import Column, Schema, Split

SCHEMA = Schema(
    (
        Column("age"),
        Column("income", "positive"),
        Column("visits", "count", dtype="int64"),
        Column("sex", "binary", ("f", "m"), "text"),
        Column("town", "categorical", ("a", "b", "c"), "text"),
        Column("mark", "ordinal", ("low", "mid", "top"), "text"),
    )
)
NAN = np.nan
ROWS = 40


def table(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    columns = [
        rng.normal(40, 10, rows),
        np.exp(rng.normal(10, 1, rows)),
        rng.negative_binomial(2, 0.4, rows),
        rng.integers(0, 2, rows),
        rng.integers(0, 3, rows),
        rng.integers(0, 3, rows),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def made(schema=SCHEMA, heads=None, latent_dim=2, **others):
    network = keras.Sequential([tv.layers.TableInput(schema), keras.layers.Dense(8, "relu")])
    return tv.VAE(
        tv.priors.StandardNormal(latent_dim),
        tv.encoders.Gaussian(network, latent_dim),
        tv.decoders.Columns(tv.networks.mlp([8]), schema, heads),
        **others,
    )


@pytest.fixture(scope="module")
def vae():
    vae = made()
    vae.compile("adam", jit_compile=False)
    vae.take_units(Split(table(), schema=SCHEMA, name="train"))
    return vae


def test_columns_sum_to_the_joint_and_a_missing_one_has_no_term(vae):
    x = table(5, seed=1)
    likelihood = vae.at_mean().likelihood(tf.zeros([3, 5, 2]))
    each = likelihood.distribution.log_prob(x)
    assert each.shape == (3, 5, 6)
    np.testing.assert_allclose(likelihood.log_prob(x), tf.reduce_sum(each, -1), rtol=1e-5)
    for column in range(6):
        alone = likelihood.distribution.column(column).log_prob(x[:, column])
        np.testing.assert_allclose(each[..., column], alone, rtol=1e-4, atol=1e-5)
    x[:, 1:3] = NAN
    some = likelihood.distribution.log_prob(x)
    assert (some[..., 1:3].numpy() == 0).all()
    np.testing.assert_array_equal(some[..., 3:], each[..., 3:])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(vae.terms(x, None, vae(x)).log_likelihood)
    gradients = tape.gradient(loss, vae.trainable_variables)
    assert all(np.isfinite(g).all() for g in gradients if g is not None)


def test_of_nothing_log_p_is_exactly_zero(vae):
    x = table(3)
    x[1] = NAN
    found = vae.bounds(Split(x, schema=SCHEMA, name="some"), 4)
    assert found.elbo[1] == 0 and found.log_evidence[1] == 0 and (found.elbo[[0, 2]] != 0).all()


def test_units_move_neither_the_optimum_nor_the_nats():
    x, factor = table(), np.array([1e3, 1e-3, 1, 1, 1, 1], np.float32)
    x[0, :3] = NAN
    found = []
    for scale in (1, factor):
        vae = made(seed=0)
        vae.set_weights([np.full(w.shape, 0.1, np.float32) for w in vae.get_weights()])
        vae.take_units(Split(x * scale, schema=SCHEMA, name="train"))
        with tf.GradientTape() as tape:
            log_p = vae.terms(x * scale, None, vae(tf.constant(x * scale), seed=3)).log_likelihood
        variables = vae.trainable_variables
        gradients = tape.gradient(log_p, variables)
        found.append((log_p.numpy()[0], [g for g in gradients if g is not None]))
    seen = ~np.isnan(x[:, :2])
    moved = np.where(seen, np.log(factor[:2]), 0).sum(axis=1)
    np.testing.assert_allclose(found[1][0] + moved, found[0][0], atol=1e-3)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-2)


def test_a_model_of_a_table_is_saved_with_its_columns_and_takes_frames(vae, tmp_path):
    vae.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    assert again.decoder.schema == SCHEMA
    z = tf.constant([[0.3, -1.0]])
    expected = vae.at_mean().likelihood(z).log_prob(table(1))
    np.testing.assert_array_equal(again.at_mean().likelihood(z).log_prob(table(1)), expected)
    frame = SCHEMA.decode(table(4))
    given = again.as_split(frame[frame.columns[::-1]])  # in another order
    np.testing.assert_allclose(given.values(), table(4), rtol=1e-6)
    np.testing.assert_allclose(again.encode(given.values()), vae.encode(table(4)), rtol=1e-4)
    with pytest.raises(ValueError, match=r"'z' in row 0"):
        again.as_split(frame.assign(town="z"))
    with pytest.raises(ValueError, match=r"'towns' unknown.*Did you mean town"):
        again.as_split(frame.rename(columns={"town": "towns"}))
    other = Schema((*SCHEMA.columns[:4], Column("town", "categorical", "abd"), SCHEMA[5]))
    with pytest.raises(ValueError, match=r"columns are others.*town"):
        again.as_split(Split(table(4), schema=other, name="given"))


def test_classes_are_drawn_with_their_frequencies(vae):
    likelihood = vae.at_mean().likelihood(tf.zeros([1, 2]))
    drawn = likelihood.sample(4000, seed=[0, 1]).numpy()[:, 0]
    for column in (3, 4, 5):
        levels = np.arange(SCHEMA[column].num_levels)
        rows = np.full((len(levels), 1, 6), NAN, np.float32)
        rows[:, 0, column] = levels
        expected = np.exp(np.asarray(likelihood.log_prob(rows), np.float64))[:, 0]
        counts = (drawn[:, column, None] == levels).sum(axis=0)
        assert stats.chisquare(counts, expected / expected.sum() * 4000).pvalue > 1e-4


def test_what_is_no_likelihood_of_a_column_is_refused():
    for heads, words in (
        ({"town": tv.heads.Classes(4)}, r"Classes is no likelihood of column 'town'.*3 levels"),
        ({"age": tv.heads.Classes(3)}, r"no likelihood of column 'age'"),
        ({"agee": tv.heads.StudentT()}, r"Unknown column.*Did you mean age"),
    ):
        with pytest.raises(ValueError, match=words):
            tv.decoders.Columns(tv.networks.mlp([2]), SCHEMA, heads)


def test_models_that_know_no_gaps_refuse_them():
    x = table()
    x[0, 0] = NAN
    split = Split(x, schema=SCHEMA, targets=np.arange(float(ROWS)), name="train")
    network = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"missing values.*Received 1 missing"):
        tv.BayesianNetwork(network, tv.likelihoods.Normal()).check_split(split)


def test_a_recipe_of_a_table_has_a_head_for_each_column():
    frame = SCHEMA.decode(table())
    data = tv.data.load(frame, columns={"mark": ("low", "mid", "top"), "town": "categorical"})
    model = tv.methods.VAERecipe(hidden=(4,), latent_dim=1).build(data)
    heads = [type(head).__name__ for head in model.decoder.heads]
    assert heads[2:] == ["NegativeBinomial", "Bernoulli", "Classes", "Ordinal"]
    assert isinstance(data.test.frame(), pd.DataFrame)


def _ppca_by_em(x, sweeps=60):
    """Returns W [D], mean [D], s2 of PPCA with one latent by EM, and log p(x_obs) of each row."""
    seen = ~np.isnan(x)
    mean, loads, noise = np.nanmean(x, axis=0), np.ones(x.shape[1]), 1.0
    for _ in range(sweeps):
        off = np.where(seen, x - mean, 0)
        variance = noise / (noise + (seen * loads**2).sum(axis=1))
        z = variance / noise * (off @ loads)
        square = z**2 + variance
        mean = (seen * (np.where(seen, x, 0) - z[:, None] * loads)).sum(0) / seen.sum(0)
        off = np.where(seen, x - mean, 0)
        loads = (off * z[:, None]).sum(0) / (seen * square[:, None]).sum(0)
        error = off**2 - 2 * off * z[:, None] * loads + square[:, None] * loads**2
        noise = (seen * error).sum() / seen.sum()
    each = []
    for row, here in zip(x, seen, strict=True):
        covariance = np.outer(loads[here], loads[here]) + noise * np.eye(here.sum())
        each.append(stats.multivariate_normal(mean[here], covariance).logpdf(row[here]))
    return loads, mean, noise, np.array(each)


def test_the_masked_bound_of_a_linear_normal_model_is_the_likelihood_that_em_finds():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 1)) * [2.0, -1.0, 0.5, 1.0] + [5.0, 0, -3, 1]
    x += rng.normal(size=x.shape)
    x[rng.random(x.shape) < 0.3] = NAN
    x[np.isnan(x).all(axis=1), 0] = 5.0
    loads, mean, noise, expected = _ppca_by_em(x)
    schema = Schema(tuple(Column(name) for name in "abcd"))
    heads = {name: tv.heads.NormalInUnits(float(np.sqrt(noise))) for name in "abcd"}
    decoder = tv.decoders.Columns(tv.networks.mlp([]), schema, heads)
    network = keras.Sequential([tv.layers.TableInput(schema)])
    vae = tv.VAE(tv.priors.StandardNormal(1), tv.encoders.Gaussian(network, 1), decoder)
    vae.compile(jit_compile=False)
    decoder.projection.set_weights([loads[np.newaxis], mean])  # units are 0 and 1
    kernel, bias = vae.encoder.projection.get_weights()
    vae.encoder.projection.set_weights([0 * kernel, 0 * bias + [0.0, 0.54]])  # about the prior
    found = vae.bounds(Split(x, schema=schema, name="x"), 20_000).log_evidence
    assert found.mean() == pytest.approx(expected.mean(), abs=0.01)
