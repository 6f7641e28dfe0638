"""What every test starts from: the same seed, float32, and a small trained-nothing VAE to hand."""

import gc
import math
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TFP_VAE_XLA_CACHE", "")  # nothing of a test stays with its user

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.data.streams import Stream

sys.path.insert(0, str(pathlib.Path(__file__).parent))

pytest_plugins = ["durations"]

_SHARE = 5  # a process that holds a fifth of the machine's memory looks for what can go


def pytest_addoption(parser):
    parser.addoption(
        "--base-seed",
        type=int,
        default=0,
        help="Seed of the statistical tests; change it to tell luck from truth.",
    )


def pytest_configure(config):
    """Leaves graphs as they are written: to rewrite one costs more than the few steps of a test.

    A whole run rewrites them, as users have it.
    """
    if not config.getoption("whole"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def pytest_collection_finish():
    """Leaves out of every later collection the million objects of what is imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def _memory():
    """Returns the share of the machine's memory that this process holds."""
    try:
        pages = pathlib.Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]
    except OSError:
        return math.inf  # no Linux: not known
    return int(pages) / os.sysconf("SC_PHYS_PAGES")


@pytest.fixture(autouse=True, scope="module")
def no_heap_of_graphs():
    """Collects what the tests of a file left, once it is much: graphs refer to themselves."""
    yield
    if _memory() > 1 / _SHARE:
        gc.collect()


@pytest.fixture
def base_seed(request):
    return request.config.getoption("--base-seed")


@pytest.fixture(autouse=True)
def fresh_state(base_seed):
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(base_seed)
    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    yield
    registered.update(before)  # the code of a page may have registered another class of a name
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session(free_memory=False)  # collecting takes longer than most tests


@pytest.fixture
def prepared():
    """Returns a function that finds the folder of a shared data set, or skips the test by name."""

    def find(kind, name):
        variable = f"TFP_VAE_{kind.upper()}_DIR"
        beside = pathlib.Path(__file__).parents[2] / "shared" / kind
        folder = pathlib.Path(os.environ.get(variable) or beside)
        if not (folder / name).exists():
            pytest.skip(f"{name} is not in {folder}; {variable} says where it is")
        return folder

    return find


@pytest.fixture(scope="session")
def counting_stream():
    """Returns a `Stream` of an array that knows how much was read at once at `most`."""

    class Counting(Stream):
        def __init__(self, values):
            super().__init__(values.shape, 7)
            self._values, self.most = values, 0

        def read(self, numbers):
            self.most = max(self.most, len(numbers))
            return self._values[numbers]

    return Counting


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
