"""What every test starts from: the same seed, float32, and a small trained-nothing VAE to hand."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

import tfp_vae as tv


def pytest_addoption(parser):
    parser.addoption(
        "--base-seed",
        type=int,
        default=0,
        help="Seed of the statistical tests; change it to tell luck from truth.",
    )


@pytest.fixture
def base_seed(request):
    return request.config.getoption("--base-seed")


@pytest.fixture(autouse=True)
def fresh_state(base_seed):
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(base_seed)
    yield
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session(free_memory=False)  # collecting takes longer than most tests


@pytest.fixture
def make_vae():
    """Returns a function that builds a small VAE for images of a shape."""

    def make(shape=(4, 4, 1), latent_dim=2, hidden=(8,), decoder=None, encoder=None, **options):
        encoder = encoder or tv.encoders.Gaussian
        decoder = decoder or tv.decoders.Bernoulli
        return tv.VAE(
            prior=tv.priors.StandardNormal(latent_dim),
            encoder=encoder(tv.networks.mlp(hidden), latent_dim),
            decoder=decoder(tv.networks.mlp(hidden), shape),
            **options,
        )

    return make


@pytest.fixture
def binary_images(base_seed):
    """Returns a function that draws binary images with a structure worth learning, [n, *shape]."""

    def draw(count, shape=(4, 4, 1)):
        rng = np.random.default_rng(base_seed)
        rows = rng.random((count, shape[0], 1, 1)) < 0.5
        return (rng.random((count, *shape)) < np.where(rows, 0.9, 0.1)).astype(np.float32)

    return draw
