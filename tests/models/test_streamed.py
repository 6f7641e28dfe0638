"""Many draws are decoded a few at a time in training: the same steps, and room for those few."""

import math
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae.models import streamed
from tfp_vae.objectives import BOUNDS, IWAE

SHAPE = (4, 4, 1)
FEW = 4 * 8 * 16  # parameters of the likelihood of four draws of a batch


@pytest.fixture
def few(monkeypatch):
    """Room for four draws of a batch of eight."""
    monkeypatch.setattr(streamed, "MOST_PARAMETERS", FEW)


def _parts(**more):
    return {
        "prior": tv.priors.StandardNormal(2),
        "encoder": tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        "decoder": tv.decoders.Bernoulli(tv.networks.mlp([5]), SHAPE),
        **more,
    }


def _slopes(vae, binary_images):
    """Returns the loss of a batch of eight and its gradients, by one graph."""
    x = binary_images(8, SHAPE)
    y = np.arange(8) % 3 - (isinstance(vae, tv.M2)) if vae.supervised else None
    inputs, y = vae.to_keras(tf.constant(x), None if y is None else tf.constant(y, tf.int32))

    @tf.function(autograph=False)
    def run():
        with tf.GradientTape() as tape, vae.stepping():
            loss = vae.compute_loss(x=inputs, y=y, y_pred=vae(inputs, training=True))
        return loss, tape.gradient(loss, vae.trainable_variables)

    loss, found = run()
    return [loss, *(g for g in found if g is not None)]


@pytest.mark.parametrize(
    ("kind", "objective"),
    [
        ("vae", IWAE("dreg")),
        pytest.param("vae", IWAE("vimco"), marks=pytest.mark.all_only),
        pytest.param("vae", BOUNDS["piwae"](2), marks=pytest.mark.all_only),
        pytest.param("conditional", IWAE(), marks=pytest.mark.all_only),
        pytest.param("m2", IWAE("stl"), marks=pytest.mark.all_only),
    ],
)
def test_draws_a_few_at_a_time_give_the_loss_and_the_gradients_of_all_at_once(
    kind, objective, binary_images, monkeypatch
):
    def make():
        keras.utils.set_random_seed(0)
        parts = _parts(objective=objective, num_samples=12)
        if kind == "m2":
            return tv.M2(**parts, classifier=tv.networks.mlp([3]), num_classes=3)
        return tv.ConditionalVAE(**parts, num_classes=3) if kind != "vae" else tv.VAE(**parts)

    whole = _slopes(make(), binary_images)
    monkeypatch.setattr(streamed, "MOST_PARAMETERS", FEW)
    asked = []
    walk = streamed.streamed
    monkeypatch.setattr(
        "tfp_vae.models.vae.streamed",
        lambda log_prob, z, count: asked.append(count) or walk(log_prob, z, count),
    )
    found = _slopes(make(), binary_images)
    assert asked == [1 if kind == "m2" else 4]  # a row of M2 for each of three classes
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_draws_come_in_equal_parts_and_whole_where_rows_depend_on_each_other(few):
    z = tf.zeros([14, 8, 2])
    plain = tv.VAE(**_parts()).decoder
    assert streamed.draws_at_once(plain, z) == 2  # four are no part of 14
    assert streamed.draws_at_once(plain, z[:4]) is None
    dropping = keras.Sequential([keras.layers.Dense(4), keras.layers.Dropout(0.5)])
    normed = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization()])
    random = keras.Sequential([tv.layers.DenseReparameterization(4)])
    watched = keras.Sequential([keras.layers.Dense(4, activity_regularizer="l2")])
    for network in (dropping, normed, random, watched):
        vae = tv.VAE(**_parts(decoder=tv.decoders.Bernoulli(network, SHAPE)))
        vae(np.zeros((8, *SHAPE), np.float32))
        assert streamed.draws_at_once(vae.decoder, z) is None
    shared = tv.VAE(**_parts(decoder=tv.decoders.Normal(tv.networks.mlp([4]), SHAPE)))
    assert streamed.draws_at_once(shared.decoder, z) is None  # whose scale is that of the batch


@pytest.mark.all_only
def test_no_tensor_of_a_compiled_step_has_what_the_decoder_knows_of_all_draws(
    binary_images, monkeypatch
):
    def largest():
        vae = tv.VAE(**_parts(objective=IWAE("dreg"), num_samples=64))
        x = tf.constant(binary_images(8, SHAPE))

        @tf.function(autograph=False, jit_compile=True)
        def run(x):
            with tf.GradientTape() as tape, vae.stepping():
                loss = vae.compute_loss(x=x, y=None, y_pred=vae(x, training=True))
            return tape.gradient(loss, vae.trainable_variables)

        text = run.experimental_get_compiler_ir(x)(stage="optimized_hlo")
        sizes = re.findall(r"f32\[([0-9,]+)\]", text)
        return max(math.prod(map(int, size.split(","))) for size in sizes)

    assert largest() >= 64 * 8 * 16
    monkeypatch.setattr(streamed, "MOST_PARAMETERS", FEW)
    assert largest() < 64 * 8 * 5  # z, of 2 numbers, is there, and no layer of 5 or 16
