"""Ways through a latent space, and what directions of it mean."""

import math

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.evaluation import latent_space
from tfp_vae.models import walks

SHARES = np.linspace(0, 1, 7)


def test_a_great_circle_stays_on_the_sphere_in_equal_steps():
    rng = np.random.default_rng(1)
    ends = rng.standard_normal((2, 5, 4))
    ends *= 3 / np.linalg.norm(ends, axis=-1, keepdims=True)
    found = walks.slerp(*ends, SHARES)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 3, rtol=1e-9)
    np.testing.assert_allclose(found[[0, -1]], ends, atol=1e-9)
    steps = np.linalg.norm(np.diff(found, axis=0), axis=-1)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), rtol=1e-9)


def test_a_great_circle_of_parallel_vectors_is_the_line():
    first = np.array([[1.0, 2.0, -1.0]])
    for times in (1.0, 2.5, 1 + 1e-9):
        np.testing.assert_allclose(
            walks.slerp(first, times * first, SHARES), walks.lerp(first, times * first, SHARES)
        )
    for second, message in ((-first, "180 degrees"), (0 * first, "length 0")):
        with pytest.raises(ValueError, match=message):
            walks.slerp(first, second, SHARES)


def test_traversals_move_one_dimension_at_a_time_the_largest_kl_first(make_vae):
    vae = make_vae((4, 4, 1), latent_dim=3)
    x = np.random.default_rng(0).integers(0, 2, (20, 4, 4, 1)).astype(np.float32)
    found = vae.traverse(x, 2, count=5, percentiles=(0, 100), most=2)
    assert found["mean"].shape == (2, 5, 4, 4, 1) and np.all(np.diff(found["kl"]) <= 0)
    loc, scale = walks.moments(vae, vae.as_split(x))
    kl = np.mean(0.5 * (loc**2 + scale**2 - 1) - np.log(scale), axis=0)
    np.testing.assert_allclose(found["kl"], np.sort(kl)[::-1][:2], rtol=1e-5)
    for row, dimension in zip(found["z"], found["dimensions"], strict=True):
        others = np.delete(np.arange(3), dimension)
        np.testing.assert_allclose(row[:, others], np.tile(loc[2, others], (5, 1)))
        ends = loc[:, dimension].min(), loc[:, dimension].max()
        np.testing.assert_allclose(row[[0, -1], dimension], ends, rtol=1e-6)
    for options, message in (
        ({"percentiles": (99, 1)}, r"0 <= low < high <= 100.*\(99, 1\)"),
        ({"example": 20}, r"example.*<= 19.*20"),
        ({"count": 1}, r"count.*>= 2.*1"),
    ):
        with pytest.raises(ValueError, match=message):
            vae.traverse(x, **options)


def test_codes_of_levels_side_by_side_are_traversed_dimension_by_dimension(binary_images):
    levels = [
        tv.LatentVariable("z2", tv.priors.StandardNormal(2),
                          tv.encoders.Gaussian(tv.networks.mlp([2]), 2)),
        tv.LatentVariable("z1", tv.priors.ConditionalNormal(tv.networks.mlp([2]), 1),
                          tv.encoders.Planar(tv.networks.mlp([2]), 1)),
    ]  # fmt: skip
    decoder = tv.decoders.Bernoulli(tv.networks.mlp([2]), (2, 2, 1))
    vae = tv.VAE(latents=levels, decoder=decoder, bottom_up=tv.networks.mlp([3]),
                 decoder_sees_above=True, data_kind="static")  # fmt: skip
    x = binary_images(5, (2, 2, 1))
    loc, scale = walks.moments(vae, vae.as_split(x))
    np.testing.assert_allclose(loc, vae.encode(x), rtol=1e-5, atol=1e-6)
    top = vae.at_mean().posterior(tf.constant(x))
    np.testing.assert_allclose(scale[:, :2], top.stddev(), rtol=1e-5)
    assert np.isnan(scale[:, 2]).all()  # of a flow nobody knows it
    found = vae.traverse(x, count=3)
    assert found["mean"].shape == (3, 3, 2, 2, 1) and sorted(found["dimensions"]) == [0, 1, 2]


def test_interpolation_on_a_great_circle_has_the_ends_of_the_line(make_vae):
    vae = make_vae((4, 4, 1), latent_dim=3)
    x = np.random.default_rng(0).integers(0, 2, (4, 4, 4, 1)).astype(np.float32)
    line, circle = (vae.interpolate(x[:2], x[2:], 3, path=path) for path in walks.PATHS)
    np.testing.assert_allclose(line[[0, -1]], circle[[0, -1]], atol=1e-6)
    np.testing.assert_allclose(line[0], vae.reconstruct(x[:2]), atol=1e-6)
    with pytest.raises(ValueError, match=r"lerp, slerp.*'arc'"):
        vae.interpolate(x[:2], x[2:], path="arc")


def test_an_attribute_is_the_difference_of_the_means_of_those_that_have_it_and_the_others():
    codes = np.arange(12.0).reshape(6, 2)
    has = np.array([0, 0, 0, 1, 1, 1], bool)
    np.testing.assert_allclose(latent_space.attribute_vector(codes, has), [6, 6])
    for wrong in (np.ones(6, bool), np.zeros(6, bool), has[:3]):
        with pytest.raises(ValueError, match=r"Expected bool \[6\] with some of both"):
            latent_space.attribute_vector(codes, wrong)


def test_neighbours_are_the_nearest_in_any_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    codes, others = rng.standard_normal((9, 3)), rng.standard_normal((30, 3))
    distances = np.linalg.norm(codes[:, np.newaxis] - others, axis=-1)
    monkeypatch.setattr(latent_space, "_BLOCK", 60)
    found = latent_space.nearest(codes, others, 4)
    np.testing.assert_array_equal(found, np.argsort(distances, axis=1)[:, :4])
    with pytest.raises(ValueError, match=r"count.*<= 30.*31"):
        latent_space.nearest(codes, others, 31)


def test_noise_is_of_its_deviation_and_psnr_of_its_square():
    values = np.full((200, 8, 8, 1), 0.5, np.float32)
    found = latent_space.noisy(values, 0.05)
    assert found.std() == pytest.approx(0.05, rel=0.05)
    assert latent_space.psnr(found, values).mean() == pytest.approx(-20 * math.log10(0.05), abs=0.3)
    for noise in (0, 1.5):
        with pytest.raises(ValueError, match=r"noise.*Expected.*Received"):
            latent_space.noisy(values, noise)


@pytest.mark.all_only  # where the extra `maps` is installed
def test_a_map_by_umap_is_that_of_its_seed_and_keeps_clusters_apart_without_a_warning(recwarn):
    pytest.importorskip("umap")
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(60, 4)) + 8 * np.repeat([0, 1], 30)[:, np.newaxis]
    found, again = (latent_space.plane(codes, 1)["umap"] for _ in range(2))
    np.testing.assert_array_equal(found, again)
    first, second = found[:30], found[30:]
    between = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert between > 2 * max(first.std(axis=0).max(), second.std(axis=0).max())
    assert latent_space.plane(codes[:4], 1)["umap"].shape == (4, 2)  # the fewest that are explored
    assert not [each for each in recwarn if "umap" in each.filename]
