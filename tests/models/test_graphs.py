"""The one cache of compiled functions: each is traced once, and anew when what it holds is old."""

import keras
import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae import evaluation
from tfp_vae.models import graphs

SHAPE, CLASSES = (4, 4, 1), 3


@pytest.fixture
def made(monkeypatch):
    """Returns the jit flags of the graphs that were traced, one for each trace."""
    found = []

    class Recorded:
        @staticmethod
        def function(function, **options):
            def traced(*args):
                found.append(options["jit_compile"])
                return function(*args)

            return original(traced, **options)

    original = graphs.tf.function
    monkeypatch.setattr(graphs, "tf", Recorded)
    return found


@pytest.mark.all_only
def test_bounds_follow_the_jit_flag_of_the_last_compile(make_vae, binary_images, made):
    vae, x = make_vae(), binary_images(4)
    vae.compile(optimizer="adam", jit_compile=False)
    before = vae.bounds(x, 4).elbo
    vae.compile(optimizer="adam", jit_compile=True)
    after = vae.bounds(x, 4).elbo
    assert made == [False, True]
    np.testing.assert_allclose(before, after, rtol=1e-5)


def test_classify_of_m2_is_traced_once(binary_images, made):
    model = tv.M2(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([8]), SHAPE),
        classifier=keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(CLASSES)]),
        num_classes=CLASSES,
    )
    x = binary_images(6)
    first = model.classify(x).probs
    second = model.classify(x).probs
    assert len(made) == 1
    np.testing.assert_array_equal(first, second)


def test_likelihood_regret_is_traced_once(make_vae, binary_images, made):
    vae, x = make_vae(), binary_images(4)
    options = {"steps": 2, "num_samples": 2, "num_elbo_samples": 4}
    first = evaluation.likelihood_regret(vae, x, **options)
    second = evaluation.likelihood_regret(vae, x, **options)
    assert len(made) == 1
    np.testing.assert_array_equal(first, second)


def test_another_size_of_the_training_set_is_another_graph(make_vae, made):
    vae = make_vae()
    assert graphs.compiled(vae, "f", None, lambda: abs) is graphs.compiled(
        vae, "f", None, lambda: abs
    )
    before = graphs.compiled(vae, "f", None, lambda: abs)
    vae.num_data = 7
    assert graphs.compiled(vae, "f", None, lambda: abs) is not before


def test_many_models_with_the_same_code_are_no_warning_of_retracing(caplog):
    def plus_one(x):
        return x + 1

    logger = graphs.tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        for _ in range(7):
            assert graphs.traced(plus_one)(1.0) == 2
    finally:
        logger.removeHandler(caplog.handler)
    assert not [record for record in caplog.records if "retracing" in record.getMessage()]
