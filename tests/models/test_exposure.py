"""Counts whose rate is per unit of an exposure: networks beside a GLM, tables beside sums."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy import optimize, special, stats

import tfp_vae as tv
from tfp_vae.data import Column, Schema, Split

TABLE = Schema(
    (Column("days", "positive"), Column("visits", "count", dtype="int64", exposure="days"))
)


def made(count=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2))
    days = rng.uniform(1, 400, count)
    y = rng.poisson(days * np.exp(-3.0 + 0.5 * x[:, 0] - 0.3 * x[:, 1]))
    return np.column_stack([x, days]).astype(np.float32), y.astype(np.float32)


def glm(x, y):
    """Returns the log-likelihood of the Poisson regression of y with the offset log x[:, 2]."""
    design, offset = np.column_stack([np.ones(len(x)), x[:, :2]]), np.log(x[:, 2])

    def loss(weights):
        log_rate = design @ weights + offset
        return -(y * log_rate - np.exp(log_rate)).mean(), design.T @ (np.exp(log_rate) - y) / len(y)

    start = np.array([np.log(y.sum() / x[:, 2].sum()), 0, 0])
    found = optimize.minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9})
    return -loss(found.x)[0] - special.gammaln(y + 1).mean(), found.x


def test_a_linear_network_with_an_exposure_is_the_regression_with_an_offset(tmp_path):
    x, y = made()
    expected, weights = glm(x, y)
    network = keras.Sequential([keras.layers.Dense(1)])
    model = tv.BayesianNetwork(tv.layers.Exposure(network, 2), tv.likelihoods.Poisson())
    train = Split(x, "real", targets=y, name="train", columns=("a", "b", "days"))
    model.build((None, 3))
    model.compile(jit_compile=False)
    model.check_split(train)
    model.take_units(train)
    # The network sees the mean of the exposure, a constant, and is relative to the mean count.
    constant = np.log(y.sum() / x[:, 2].sum())
    network.layers[0].set_weights(
        [np.array([[weights[1]], [weights[2]], [0.0]]), np.array([weights[0] - constant])]
    )
    found = model(tf.constant(x))  # [1, B]
    assert found.log_prob(y).numpy().mean() == pytest.approx(expected, abs=1e-4)
    rate = np.exp(np.column_stack([np.ones(300), x[:, :2]]) @ weights)
    np.testing.assert_allclose(found.mean()[0], rate * x[:, 2], rtol=1e-3)
    with tf.GradientTape() as tape:  # where the regression has its optimum, it is one here
        loss = tf.reduce_mean(model(tf.constant(x)).log_prob(y))
    slopes = tape.gradient(loss, network.trainable_variables)
    np.testing.assert_allclose(slopes[0][:2], 0, atol=2e-3)
    np.testing.assert_allclose(slopes[1], 0, atol=2e-3)
    model.save(tmp_path / "model.keras")
    again = tv.load(tmp_path / "model.keras")
    doubled = x * np.array([1, 1, 2], np.float32)
    np.testing.assert_allclose(again(tf.constant(doubled)).mean(), 2 * found.mean(), rtol=1e-5)


@pytest.mark.all_only
def test_an_exposure_goes_through_fit_predict_and_export(tmp_path):
    x, y = made()
    frame = pd.DataFrame(x, columns=["a", "b", "days"]).assign(y=y.astype(int))
    data = tv.data.load(frame, target="y", task="regression")
    recipe = tv.methods.Recipe("vi", hidden=(), scale="poisson", exposure="days")
    model = tv.methods.build(recipe, data)
    model.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    model.fit(data.train, epochs=60, batch_size=60, verbose=0)
    means = model.predictive(data.test, 20).mean().numpy()
    truth = x[:, 2] * np.exp(-3.0 + 0.5 * x[:, 0] - 0.3 * x[:, 1])
    test = [int(np.argmin(np.abs(x - row).sum(axis=1))) for row in data.test.values()]
    assert np.corrcoef(np.log(means), np.log(truth[test]))[0, 1] > 0.98
    folder = tv.export.export(model, data, tmp_path / "export", ["savedmodel"], num_samples=20)
    tv.export.verify(folder).raise_for_failures()


def test_an_exposure_that_is_none_is_refused_with_its_row():
    x, y = made(20)
    x[3, 2] = 0
    frame = pd.DataFrame(x, columns=["a", "b", "days"]).assign(y=y.astype(int))
    data = tv.data.load(frame, target="y", task="regression")
    recipe = tv.methods.Recipe("ml", hidden=(), scale="poisson", exposure="days")
    model = tv.methods.build(recipe, data)
    split = Split(x, "real", targets=y, name="train", columns=("a", "b", "days"))
    with pytest.raises(ValueError, match=r"above 0 in column 'days'. Received 0 in row 3"):
        model.check_split(split)
    for change, words in (
        ({"exposure": "dayz"}, "Unknown column of exposures.*Did you mean days"),
        ({"scale": "shared"}, "NormalInUnits has no rate that an exposure could multiply"),
    ):
        with pytest.raises(ValueError, match=words):
            tv.methods.build(dataclasses.replace(recipe, **change), data)
    with pytest.raises(ValueError, match=r"D above 5"):
        network = tv.layers.Exposure(keras.layers.Dense(1), 5)
        tv.BayesianNetwork(network, tv.likelihoods.Poisson()).build((None, 3))


def decoder_of(head):
    decoder = tv.decoders.Columns(tv.networks.mlp([]), TABLE, {"visits": head})
    decoder.build((None, 1))
    return decoder


@pytest.mark.parametrize("name", ["Poisson", "NegativeBinomial"])
def test_a_column_with_an_exposure_has_the_rate_times_it(name):
    rng = np.random.default_rng(1)
    days = np.exp(rng.normal(2, 0.7, 500))
    x = np.stack([days, rng.poisson(0.4 * days)], axis=1).astype(np.float32)
    x[7, 1] = np.nan
    decoder = decoder_of(getattr(tv.heads, name)())
    decoder.adapt(x)
    decoder.projection.set_weights([np.zeros((1, 2)), np.zeros(2)])
    seen = ~np.isnan(x[:, 1])
    rate = x[seen, 1].mean() / x[seen, 0].mean()  # what the data say, and a count of 0 starts at
    likelihood = decoder(tf.zeros([1, 1]))
    found = likelihood.distribution.log_prob(x).numpy()
    mean = rate * x[:, 0].astype(np.float64)
    if name == "Poisson":
        expected = stats.poisson(mean).logpmf(np.nan_to_num(x[:, 1]))
    else:
        r = np.exp(float(decoder.heads[1].log_start.numpy()))
        expected = stats.nbinom(r, r / (r + mean)).logpmf(np.nan_to_num(x[:, 1]))
    np.testing.assert_allclose(found[:, 1], np.where(seen, expected, 0), rtol=1e-4, atol=1e-4)
    # Without its exposure a count has the moments over what that may be.
    drawn = likelihood.sample(20_000, seed=[0, 1]).numpy()[:, 0]
    log_days = decoder.heads[0](tf.zeros([1, 1]))[0].numpy()
    usual = np.exp(log_days[0] + log_days[1] ** 2 / 2)
    assert likelihood.mean()[0, 1].numpy() == pytest.approx(rate * usual, rel=1e-3)
    assert drawn[:, 1].mean() == pytest.approx(rate * usual, rel=0.05)
    assert drawn[:, 1].std() == pytest.approx(likelihood.stddev()[0, 1].numpy(), rel=0.15)
    given = likelihood.distribution.given(x[:3]).mean()
    np.testing.assert_allclose(given[:, 1], mean[:3], rtol=1e-4)


def test_exposures_are_said_by_columns_and_looked_at():
    frame = pd.DataFrame({"days": [3, 10, 4, 7], "visits": [1, 4, 0, 2]})
    found = Schema.infer(frame, tv.data.schema.parse("visits:count/days"))
    assert [c.kind for c in found] == ["positive", "count"] and found.exposures == {1: 0}
    assert "count/days" in str(found) and Schema.from_config(found.get_config()) == found
    for columns, words in (
        ({"visits": "count/day"}, "Unknown exposure of 'visits'.*Did you mean days"),
        ({"visits": "real/days"}, "'visits' has no rate.*visits:count/days"),
        ({"visits": "count/days", "days": "count"}, "'days' is no exposure.*days:positive"),
    ):
        with pytest.raises(ValueError, match=words):
            Schema.infer(frame, columns)
    with pytest.raises(ValueError, match=r"without its exposure.*'days'.*'visits'.*row 2"):
        found.encode(frame.astype(float).assign(days=[1, 2, None, 3]))
    with pytest.raises(ValueError, match=r"StudentT has no rate"):
        decoder_of(tv.heads.StudentT())
