"""Missing cells that a VAE of a table fills, rows that it draws, and reports on both."""

import keras
import numpy as np
import pandas as pd
import pytest

import tfp_vae as tv
from tfp_vae.data import Column, Schema, Split

# y = x + noise of 0.5, both standard; a class that is as often "u" where x > 0 as "v" elsewhere.
SCHEMA = Schema((Column("x"), Column("y"), Column("c", "binary", ("u", "v"), "text")))
NOISE = 0.5


@pytest.fixture(scope="module")
def vae():
    """Returns the exact model: z = x, y = z + noise, logit of c = 4 z; the encoder is the prior."""
    heads = {"x": tv.heads.NormalInUnits(0.05), "y": tv.heads.NormalInUnits(NOISE)}
    network = keras.Sequential([tv.layers.TableInput(SCHEMA)])
    vae = tv.VAE(
        tv.priors.StandardNormal(1),
        tv.encoders.Gaussian(network, 1),
        tv.decoders.Columns(tv.networks.mlp([]), SCHEMA, heads),
    )
    vae.decoder.projection.set_weights([np.array([[1.0, 1.0, 4.0]]), np.zeros(3)])
    kernel, bias = vae.encoder.projection.get_weights()
    vae.encoder.projection.set_weights([0 * kernel, 0 * bias + [0.0, 0.54]])
    return vae


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=count)
    c = rng.random(count) < 1 / (1 + np.exp(-4 * z))
    return np.stack([z, z + NOISE * rng.normal(size=count), c], axis=1).astype(np.float32)


def test_an_interval_of_imputed_cells_covers_its_share_and_means_are_those_of_the_posterior(vae):
    truth = rows(2000)
    x = truth.copy()
    x[:, 1:] = np.nan
    found = tv.evaluation.complete(vae, x, 3, level=0.9, num_samples=400, num_interval_draws=200)
    inside = (found.low[:, 1] <= truth[:, 1]) & (truth[:, 1] <= found.high[:, 1])
    assert inside.mean() == pytest.approx(0.9, abs=0.02)
    usual = np.abs(truth[:, 0]) < 2  # where the prior has draws
    np.testing.assert_allclose(found.best[usual, 1], truth[usual, 0], atol=0.25)
    assert (found.best[:, 2] == (truth[:, 0] > 0)).mean() > 0.97
    assert found.certainty[:, 2].min() >= 0.5 and (found.certainty[:, :2] == 1).all()
    np.testing.assert_array_equal(found.draws[:, :, 0], np.broadcast_to(truth[:, 0], (3, 2000)))
    assert found.draws[:, :, 2].mean() == pytest.approx(truth[:, 2].mean(), abs=0.03)


@pytest.mark.all_only
def test_levels_side_by_side_fill_cells_as_the_one_that_x_depends_on(vae):
    """A latent below that nothing depends on changes no answer but by its draws."""
    latents = [
        tv.LatentVariable(name, tv.priors.StandardNormal(1),
                          tv.encoders.Gaussian(tv.networks.mlp([]), 1))
        for name in ("z", "idle")
    ]  # fmt: skip
    heads = {"x": tv.heads.NormalInUnits(0.05), "y": tv.heads.NormalInUnits(NOISE)}
    decoder = tv.decoders.Columns(tv.networks.mlp([]), SCHEMA, heads)
    bottom_up = keras.Sequential([tv.layers.TableInput(SCHEMA)])
    levels = tv.VAE(latents=latents, decoder=decoder, bottom_up=bottom_up, decoder_sees_above=True)
    levels.decoder.projection.set_weights([np.array([[1.0, 1, 4], [0, 0, 0]]), np.zeros(3)])
    for encoder in levels.encoders:
        kernel, bias = encoder.projection.get_weights()
        encoder.projection.set_weights([0 * kernel, 0 * bias + [0.0, 0.54]])
    x = rows(50)
    x[:, 1:] = np.nan
    one, other = (tv.evaluation.complete(m, x, 2, num_samples=4000) for m in (vae, levels))
    usual = np.abs(x[:, 0]) < 1
    np.testing.assert_allclose(one.best[usual, 1], other.best[usual, 1], atol=0.1)


def test_frames_are_filled_in_their_dtypes_and_cells_are_listed(vae):
    frame = SCHEMA.decode(rows(4)).assign(note="n")
    frame.index = [7, 8, 9, 10]
    frame.loc[8, "c"] = frame.loc[9, "y"] = None
    found = tv.evaluation.complete(vae, frame[["y", "c", "x"]], 2, num_samples=50)
    filled = tv.evaluation.filled(SCHEMA, frame, found)
    assert not filled.isna().any().any() and (filled.dtypes == frame.dtypes).all()
    seen = frame.notna()
    pd.testing.assert_frame_equal(filled.where(seen), frame.where(seen))
    twice = tv.evaluation.filled(SCHEMA, frame, found, 2)
    assert twice["imputation"].tolist() == [1] * 4 + [2] * 4 and len(twice.columns) == 5
    cells = tv.evaluation.imputed_cells(SCHEMA, frame, found)
    assert cells[["row", "column"]].to_numpy().tolist() == [[2, "y"], [1, "c"]]
    assert cells["low"][0] < cells["value"][0] < cells["high"][0] and cells["certainty"][1] >= 0.5


def test_rows_given_columns_have_them_and_draw_the_rest(vae):
    drawn = tv.evaluation.conditional_rows(vae, {"c": "u"}, 500, seed=1, num_samples=2000)
    assert (drawn[:, 2] == 0).all() and drawn[:, 0].mean() < -0.5 and drawn[:, 0].std() > 0.3
    with pytest.raises(ValueError, match=r"Unknown column.*'z'"):
        tv.evaluation.conditional_rows(vae, {"z": 1}, 5)
    with pytest.raises(ValueError, match=r"'c'.*one of u, v.*'w'"):
        tv.evaluation.conditional_rows(vae, {"c": "w"}, 5)


def test_hidden_cells_are_found_better_than_by_the_mean(vae):
    report = tv.evaluation.imputation_report(vae, Split(rows(300), schema=SCHEMA, name="test"))
    assert [row["column"] for row in report] == ["x", "y", "c"]
    assert report[1]["rmse"] < 0.7 * report[1]["rmse_of_mean"]
    assert report[2]["accuracy"] > report[2]["accuracy_of_mode"]


def test_a_report_tells_good_rows_from_bad_ones_and_from_copies():
    train, test = rows(300), rows(300, seed=1)
    rng = np.random.default_rng(3)
    bad = np.stack([rng.permutation(column) for column in train.T], axis=1)
    found = {
        name: tv.evaluation.synthetic_report(SCHEMA, synthetic, train, test)
        for name, synthetic in (("good", rows(300, 2)), ("bad", bad))
    }
    assert found["good"]["two_sample_auc"] < 0.6 < 0.75 < found["bad"]["two_sample_auc"]
    assert found["good"]["associations"]["largest"] < 0.2 < found["bad"]["associations"]["largest"]
    assert found["good"]["utility"]["synthetic"] > found["bad"]["utility"]["synthetic"] + 0.1
    copies = tv.evaluation.nearest_distance(SCHEMA, train, train)
    assert copies == 0 < found["good"]["nearest"]["synthetic"]
    assert max(found["good"]["marginals"].values()) < 0.15


@pytest.mark.parametrize(("target", "score"), [("c", "accuracy"), ("x", "R^2")])
def test_rows_of_one_value_teach_that_value(target, score):
    train, test = rows(60), rows(60, seed=1)
    drawn, place = rows(60, seed=2), SCHEMA.names.index(target)
    drawn[:, place] = 1.0
    utility = tv.evaluation.synthetic_report(SCHEMA, drawn, train, test, target)["utility"]
    known = test[:, place]
    error = np.mean((known - 1.0) ** 2) / known.var()
    expected = np.mean(known == 1.0) if score == "accuracy" else 1 - error
    assert utility["score"] == score
    np.testing.assert_allclose(utility["synthetic"], expected, rtol=1e-6)


def test_a_model_without_columns_completes_no_table():
    pixels = tv.VAE(
        tv.priors.StandardNormal(1),
        tv.encoders.Gaussian(tv.networks.mlp([]), 1),
        tv.decoders.Normal(tv.networks.mlp([]), (2,)),
    )
    with pytest.raises(ValueError, match=r"knows no columns.*decoders.Columns"):
        tv.evaluation.complete(pixels, np.zeros((2, 2), np.float32))
