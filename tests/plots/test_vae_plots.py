"""Pictures: the right pixels in the right places."""

import numpy as np
import pytest

from tfp_vae import data, decoders, encoders, models, networks, plots, priors, report
from tfp_vae.data import Kind, Split


def test_tile_puts_images_in_rows_with_a_gap_that_no_grey_ends_in():
    images = np.stack([np.full((2, 3, 1), v) for v in (0.0, 0.5, 1.0)])
    sheet = plots.tile(images, columns=2)
    assert sheet.shape == (2 * 3 + 1, 2 * 4 + 1, 3)
    np.testing.assert_array_equal(sheet[1:3, 1:4], 0.0)
    np.testing.assert_array_equal(sheet[1:3, 5:8], 0.5)
    np.testing.assert_array_equal(sheet[4:6, 1:4], 1.0)
    for gap in (sheet[4, 5], sheet[3, 0], sheet[0, 3]):  # an empty place, and between images
        assert min(np.abs(gap - grey).max() for grey in np.linspace(0, 1, 101)) > 0.2


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
def test_tiles_have_three_colours_of_any_number_of_channels(channels):
    image = np.linspace(0, 1, channels).reshape(1, 1, 1, channels)
    expected = {1: [0, 0, 0], 3: [0, 0.5, 1], 4: [0, 1 / 3, 2 / 3]}.get(channels, [0.5] * 3)
    np.testing.assert_allclose(plots.tile(image, 1)[1, 1], expected)


def test_reconstructions_show_originals_above_what_the_model_makes_of_them(make_vae, binary_images):
    split = Split(binary_images(30), Kind.STATIC)
    vae = make_vae()
    originals, rebuilt = (
        axis.images[0].get_array() for axis in plots.reconstructions(vae, split).axes
    )
    np.testing.assert_array_equal(originals, plots.tile(split.values()[:20], 10))
    expected = plots.tile(vae.reconstruct(split.values()[:20]).numpy(), 10)
    np.testing.assert_allclose(rebuilt, expected, atol=1e-6)


def test_every_sheet_of_real_valued_images_has_its_own_range_and_says_it():
    wide = np.array([-2.0, 3.0]).reshape(2, 1, 1, 1)
    axes = plots.images([("wide", wide), ("plain", np.clip(wide, 0, 1))], columns=2).axes
    for axis in axes:  # the wide one does not make the plain one grey
        np.testing.assert_allclose(axis.images[0].get_array()[1, [1, 3], 0], [0.0, 1.0])
    assert [axis.get_title(loc="left") for axis in axes] == ["wide, from -2 to 3", "plain"]


def test_manifold_runs_over_quantiles_from_left_to_right_and_bottom_to_top(make_vae):
    vae = make_vae(shape=(1, 1, 1), hidden=())
    # One pixel whose logit is 3 z[0] + z[1].
    vae.decoder.projection.set_weights([np.array([[3.0], [1.0]]), np.zeros(1)])
    sheet = plots.manifold(vae, side=5).axes[0].images[0].get_array()[1::2, 1::2, 0]
    assert sheet.shape == (5, 5)
    assert np.all(np.diff(sheet, axis=1) > 0)
    assert np.all(np.diff(sheet, axis=0) < 0)
    assert sheet[2, 2] == pytest.approx(0.5)


@pytest.mark.all_only
def test_of_many_clusters_those_with_the_most_examples_are_drawn(binary_images, monkeypatch):
    decoder = decoders.Bernoulli(networks.mlp([2]), (2, 2, 1))
    encoder = encoders.Gaussian(networks.mlp([2]), 2)
    vae = models.VAE(priors.Mixture(2, 5), encoder, decoder, data_kind="static")
    split = Split(binary_images(12, (2, 2, 1)), Kind.STATIC)
    monkeypatch.setattr("tfp_vae.plots.vae._MOST_CLUSTERS", 2)
    axis = plots.clusters(vae, split, most=3).axes[0]
    assert axis.get_title(loc="left").endswith("; 2 of 5 clusters")
    rows, columns = (n // 3 for n in axis.images[0].get_array().shape[:2])
    assert (rows, columns) == (2, 4)


def test_manifold_of_another_latent_size_is_refused(make_vae):
    with pytest.raises(ValueError, match=r"Expected latent_dim 2.*Received 3"):
        plots.manifold(make_vae(latent_dim=3))


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
@pytest.mark.parametrize("labels", ["none", "few", "many"])
def test_latent_scatter_has_a_point_per_example(make_vae, binary_images, latent_dim, labels):
    targets = {"none": None, "few": np.arange(60) % 4, "many": np.arange(60) % 20}[labels]
    split = Split(binary_images(60), Kind.STATIC, targets)
    axis = plots.latent_scatter(make_vae(latent_dim=latent_dim), split).axes[0]
    assert len(axis.collections[0].get_offsets()) == 60
    assert (axis.get_legend() is not None) == (labels == "few")


def test_training_curve_draws_training_and_validation():
    history = {k: list(np.linspace(-50, -20, 30)) for k in ("elbo", "val_elbo", "kl", "val_kl")}
    left, right = plots.training_curve(history).axes
    assert [len(line.get_xdata()) for line in (*left.lines, *right.lines)] == [30] * 4
    history |= {"iwae": list(np.linspace(-45, -18, 30)), "val_iwae": [-18.0] * 30}
    left = plots.training_curve(history).axes[0]
    assert left.get_title() == "ELBO, iwae" and len(left.lines) == 4
    names = [text.get_text() for text in left.get_legend().texts]
    assert names == ["training", "validation", "iwae"]
    history["elbo"][0] = -500.0  # the far start does not squeeze the rest
    assert plots.training_curve(history).axes[0].get_ylim()[0] > -60


def test_bound_against_examples_has_a_log_axis_and_a_line_per_curve():
    curves = {"a": ([10, 100, 1000], [-3, -2, -1]), "b": ([10, 100], [-4, -3])}
    axis = plots.bound_against_examples(curves, "title").axes[0]
    assert axis.get_xscale() == "log"
    assert [line.get_label() for line in axis.lines] == ["a", "b"]


@pytest.mark.parametrize("shape", [(5, 4, 1), (5, 4, 3)], ids=["grey", "colour"])
@pytest.mark.always(reason="every picture is drawn once")
def test_every_picture_that_fits_is_written(make_vae, tmp_path, shape):
    split = Split(
        np.random.default_rng(0).random((30, *shape)) < 0.5, Kind.STATIC, np.arange(30) % 3
    )
    run = report.RunFolder(tmp_path / "run")
    run.create()
    history = {"elbo": [-3.0, -2.0], "kl": [1.0, 1.0]}
    plots.write_all(run, make_vae(shape=shape), split, history)
    written = {path.name for path in run.path.iterdir()} - {".lock"}
    assert written == {
        "training_curve.png",
        "latent_scatter.png",
        "reconstructions.png",
        "prior_samples.png",
        "manifold.png",
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in run.path.glob("*.png"))


def test_vectors_are_not_drawn_as_images(make_vae, tmp_path):
    split = Split(np.random.default_rng(0).random((30, 6)) < 0.5, Kind.STATIC)
    run = report.RunFolder(tmp_path / "run")
    run.create()
    plots.write_all(run, make_vae(shape=(6,)), split, {"elbo": [-3.0], "kl": [1.0]})
    assert {p.name for p in run.path.iterdir()} - {".lock"} == {
        "training_curve.png",
        "latent_scatter.png",
    }


def test_class_samples_have_a_row_per_class():
    labels = np.array([0, 1, 2, 0, 1])
    images = np.broadcast_to(labels[:, None, None, None] / 2, (5, 2, 3, 1))
    figure = plots.class_samples({"mean": images, "given": labels})
    sheet = figure.axes[0].images[0].get_array()
    assert sheet.shape == (3 * 3 + 1, 2 * 4 + 1, 3)
    for row, label in enumerate((0, 1, 2)):
        np.testing.assert_array_equal(sheet[1 + 3 * row, 1:4], label / 2)
    np.testing.assert_array_equal(sheet[7:9, 5:8], sheet[:2, :3] * 0 + sheet[0, 0])  # empty


def test_completions_keep_what_is_seen(binary_images):
    parts = (4, 4, 1), 3
    seen = data.seen_quadrants(*parts)
    images = binary_images(6)
    split = Split(images[:, ~seen], Kind.STATIC, targets=images[:, seen])
    model = models.ConditionalVAE(
        prior=priors.StandardNormal(2),
        encoder=encoders.Gaussian(networks.mlp([4]), 2),
        decoder=decoders.Bernoulli(networks.mlp([4]), (4,)),
        condition_dim=12,
    )
    originals, masked, *drawn = (
        axis.images[0].get_array() for axis in plots.completions(model, split, seen, 6).axes
    )
    np.testing.assert_array_equal(originals, plots.tile(images, 6))
    shown = plots.tile(np.broadcast_to(seen, images.shape), 6)[..., 0] == 1
    unseen = plots.tile(np.broadcast_to(~seen, images.shape), 6)[..., 0] == 1
    np.testing.assert_allclose(masked[unseen], np.broadcast_to(masked[0, 0], (unseen.sum(), 3)))
    for sheet in (masked, *drawn):
        np.testing.assert_array_equal(sheet[shown], originals[shown])
    assert len(drawn) == 3 and np.any(drawn[0] != drawn[1])


def test_panels_of_the_same_methods_share_their_names_and_cut_no_interval_off():
    table = {
        name: {"a": {"m": low, "m_se": 0.1}, "b": {"m": 1.0, "m_se": 0.3}}
        for name, low in (("one", 0.2), ("two", 5.0))
    }
    first, second = plots.method_comparison(table, "m").axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b"]
    assert [label.get_text() for label in second.get_yticklabels()] == ["", ""]
    for axis, (low, high) in ((first, (0.1, 1.3)), (second, (0.7, 5.1))):
        left, right = axis.get_xlim()
        assert left < low and high < right
    del table["two"]["b"]
    *_, second = plots.method_comparison(table, "m").axes
    assert [label.get_text() for label in second.get_yticklabels()] == ["a"]
