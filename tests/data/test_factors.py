"""Images made from known factors, and factors of a user's own files."""

import numpy as np
import pytest

from tfp_vae import data
from tfp_vae.data import Kind


@pytest.fixture(scope="module")
def sprites():
    return data.load("sprites")


@pytest.mark.all_only
def test_every_combination_of_the_factors_of_sprites_is_there_once(sprites):
    splits = sprites.train, sprites.validation, sprites.test
    factors = np.concatenate([split.factors for split in splits])
    assert factors.shape == (92_160, len(data.FACTORS["sprites"]))
    assert [len(np.unique(column)) for column in factors.T] == [3, 6, 20, 16, 16]
    ranks = [np.unique(column, return_inverse=True)[1] for column in factors.T]
    assert len(np.unique(np.ravel_multi_index(ranks, (3, 6, 20, 16, 16)))) == 92_160
    assert sprites.kind is Kind.STATIC and sprites.shape == (32, 32, 1)


def test_factors_stay_beside_their_images_in_every_split(sprites):
    split = sprites.test.take(500)
    values, (shape, scale, _, x, y) = split.values()[..., 0], split.factors.T
    np.testing.assert_array_equal(split.labels, shape)
    grid = np.arange(32) + 0.5
    area = values.sum(axis=(1, 2))
    across = (values.sum(axis=1) * grid).sum(axis=1) / area
    down = (values.sum(axis=2) * grid).sum(axis=1) / area
    # The centre of the patch goes from 8 to 23; that of a heart is a little off it.
    assert np.abs(across - (8 + 15 * x)).max() < 1.2 and np.abs(down - (8 + 15 * y)).max() < 1.2
    assert np.corrcoef(area[shape == 0], scale[shape == 0] ** 2)[0, 1] > 0.99


def test_sprites_and_rooms_of_another_size_are_the_same_scenes(sprites):
    from tfp_vae.data.named.sprites import rooms

    del sprites
    values, factors = rooms(32)
    assert values.shape == (17_280, 32, 32, 3) and factors.shape == (17_280, 6)
    first = values[(factors[:, 3:] == factors[0, 3:]).all(axis=1)]
    assert len(first) == 6**3  # the hues of floor, wall and solid alone
    assert len({image.tobytes() for image in first}) == 6**3
    np.testing.assert_array_equal(rooms(32)[0][::100], values[::100])
    with pytest.raises(ValueError, match=r"rooms is not made.*\(32, 32\) or \(64, 64\).*\(16, 16"):
        data.load("rooms", image_size=(16, 16))


def test_factors_of_an_npz_file_are_read_and_dsprites_is_as_it_comes(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 2, (40, 4, 4)).astype(np.uint8)
    factors = np.stack([np.arange(40) % 4, np.arange(40) // 4], axis=1)
    np.savez(
        tmp_path / "dsprites.npz", imgs=images, latents_classes=factors, latents_values=factors
    )
    with pytest.warns(UserWarning, match="not read: latents_values"):
        found = data.load(tmp_path / "dsprites.npz", images=True)
    assert found.train.factors.shape == (len(found.train), 2) and found.kind is Kind.STATIC
    np.savez(tmp_path / "own.npz", x_train=images, factors_train=factors, x_test=images)
    found = data.load(tmp_path / "own.npz", images=True)
    assert found.train.factors is not None and found.test.factors is None
    np.savez(tmp_path / "alone.npz", x_train=images, factors_test=factors)
    with pytest.raises(ValueError, match=r"factors of the test split alone.*x_test"):
        data.load(tmp_path / "alone.npz")
    np.savez(tmp_path / "short.npz", x=images, factors=factors[:7])
    with pytest.raises(ValueError, match=r"factors do not fit.*\(40, F\).*\(7, 2\)"):
        data.load(tmp_path / "short.npz", images=True)
