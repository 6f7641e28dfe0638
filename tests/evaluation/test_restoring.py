"""Noise taken away by filters and by a decoder, and the width of strokes, against known answers."""

import math

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.evaluation import latent_space, restoring


def _bars(width):
    image = np.zeros((1, 20, 20, 1), np.float32)
    image[:, 2:18, 6 : 6 + width] = 1
    return image


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_width_of_a_bar_is_its_pixels(width):
    # Ends are a little narrower than the middle.
    assert restoring.stroke_width(_bars(width))[0] == pytest.approx(width, rel=0.15)
    assert restoring.stroke_width(_bars(width).transpose(0, 2, 1, 3))[0] == pytest.approx(
        restoring.stroke_width(_bars(width))[0]
    )


def test_an_image_without_strokes_has_no_width_and_colours_are_refused():
    assert restoring.stroke_width(np.zeros((2, 5, 5, 1), np.float32)).tolist() == [0, 0]
    with pytest.raises(ValueError, match=r"grey images.*\(N, H, W, 1\).*\(1, 5, 5, 3\)"):
        restoring.stroke_width(np.zeros((1, 5, 5, 3)))


def test_filters_leave_constant_images_alone_and_take_noise_from_them():
    flat = np.full((3, 16, 16, 2), 0.5, np.float32)
    inside = (slice(None), slice(2, -2), slice(2, -2))
    for way in (restoring.median, lambda x: restoring.wiener(x, 0.1)):
        np.testing.assert_allclose(way(flat)[inside], flat[inside], atol=1e-6)
        noisy = latent_space.noisy(flat, 0.1)
        assert way(noisy)[inside].std() < 0.7 * noisy[inside].std()
    # Where all variance is noise, Wiener's filter is the mean of the window: nine pixels.
    strong = restoring.wiener(latent_space.noisy(flat, 0.1), 10.0)
    assert strong[inside].std() == pytest.approx(0.1 / 3, rel=0.25)


def test_a_pixel_alone_is_gone_after_a_median_filter():
    image = np.zeros((1, 7, 7, 1), np.float32)
    image[0, 3, 3] = 1
    assert restoring.median(image).max() == 0


def test_the_fitted_latent_is_the_ridge_regression_of_a_linear_decoder(make_vae):
    # x = W z: the best z of N(z; 0, 1) N(x; W z, s^2) is (W'W + s^2)^-1 W'x, with no value cut.
    vae = make_vae((2, 2, 1), hidden=(), decoder=tv.decoders.Normal)
    vae(np.zeros((1, 2, 2, 1), np.float32))
    kernel = np.array([[0.3, -0.2, 0.1, 0.2], [0.1, 0.2, -0.3, 0.1]], np.float32)
    vae.decoder.projection.kernel.assign(kernel)
    vae.decoder.projection.bias.assign(np.full(4, 0.5))
    x = np.random.default_rng(0).uniform(0.3, 0.7, (3, 2, 2, 1)).astype(np.float32)
    z = np.linalg.solve(
        kernel @ kernel.T + 0.2**2 * np.eye(2), kernel @ (x.reshape(3, 4) - 0.5).T
    ).T
    expected = (z @ kernel + 0.5).reshape(x.shape)
    found = restoring.fitted(vae, x, 0.2, steps=300)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_every_way_is_judged_on_the_same_noisy_images_and_windows_on_others(make_vae, monkeypatch):
    rng = np.random.default_rng(0)
    known, others = rng.integers(0, 2, (2, 6, 8, 8, 1)).astype(np.float32)
    sizes = []
    original = restoring.median
    monkeypatch.setattr(
        restoring, "median", lambda x, size: sizes.append((len(x), size)) or original(x, size)
    )
    found = restoring.denoised(make_vae((8, 8, 1)), known, others[:4], 0.3, seed=2)
    assert [*found] == ["noisy", "median", "wiener", "encoded", "fitted"]
    np.testing.assert_array_equal(found["noisy"], latent_space.noisy(known, 0.3, 2))
    assert sizes[:2] == [(4, 3), (4, 5)] and sizes[2][0] == 6
    for name, values in found.items():
        assert values.shape == known.shape, name
        assert math.isfinite(latent_space.psnr(values, known).mean())
