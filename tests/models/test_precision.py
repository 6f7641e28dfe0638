"""Half precision is for matrix products: what a bound is made of stays in float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv

SHAPE, CLASSES, COUNT = (4, 4, 1), 3, 6
POLICIES = ("mixed_bfloat16", "mixed_float16")
LABELS = np.arange(COUNT) % CLASSES


def _parts(decoder=None):
    return {
        "prior": tv.priors.StandardNormal(2),
        "encoder": tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
        "decoder": tv.decoders.Bernoulli(decoder or tv.networks.mlp([8]), SHAPE),
    }


def _bayesian_vae():
    layers = [tv.layers.DenseLocalReparameterization(8, "relu"), tv.layers.DenseFlipout(8, "relu")]
    return tv.VAE(**_parts(keras.Sequential(layers)), num_data=COUNT)


def _network(likelihood, layer="DenseLocalReparameterization", prior=1.0, **options):
    dense = getattr(keras.layers if layer == "Dense" else tv.layers, layer)
    own = {} if layer == "Dense" else {"prior": prior}
    layers = [keras.layers.Flatten(), dense(8, "relu", **own), dense(likelihood.num_features)]
    return tv.BayesianNetwork(keras.Sequential(layers), likelihood, num_data=COUNT, **options)


def _ensemble():
    member = _network(tv.likelihoods.Categorical(CLASSES))
    return tv.Ensemble(member, 2, input_shape=SHAPE, num_data=COUNT)


def _m2():
    layers = [keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    return tv.M2(**_parts(), classifier=keras.Sequential(layers), num_classes=CLASSES)


# Model, and what it is called with beside the images: a condition, targets or nothing.
MODELS = {
    "VAE": (lambda: tv.VAE(**_parts()), "nothing"),
    "VAE with Bayesian layers": (_bayesian_vae, "nothing"),
    "ConditionalVAE": (lambda: tv.ConditionalVAE(**_parts(), num_classes=CLASSES), "condition"),
    "M2": (_m2, "condition"),
    "classifier": (lambda: _network(tv.likelihoods.Categorical(CLASSES)), "targets"),
    "regression": (lambda: _network(tv.likelihoods.Normal("per_example")), "targets"),
    "counts, flipout": (lambda: _network(tv.likelihoods.Poisson(), "DenseFlipout"), "targets"),
    "KL without closed form": (
        lambda: _network(tv.likelihoods.Normal(), prior=tv.layers.priors.StudentT(1.0)),
        "targets",
    ),
    "point weights with a prior": (
        lambda: _network(tv.likelihoods.Normal(), "Dense", weight_prior=1.0),
        "targets",
    ),
    "Ensemble": (_ensemble, "targets"),
}


@pytest.mark.parametrize(
    "policy", [pytest.param(POLICIES[0], marks=pytest.mark.all_only), POLICIES[1]]
)
@pytest.mark.parametrize("name", MODELS)
def test_log_probabilities_and_kl_of_every_model_are_float32(name, policy, binary_images):
    make, beside = MODELS[name]
    images = binary_images(COUNT)
    keras.config.set_dtype_policy(policy)
    model = make()
    model.compile()
    x = (images, LABELS) if beside == "condition" else images
    outputs = model(x, training=True)
    terms = model.terms(x, LABELS, outputs)
    assert terms.log_likelihood.dtype == tf.float32
    for latent in terms.latents:
        for values in (latent.log_p, latent.log_q, latent.kl(), latent.kl_per_dimension()):
            assert values is None or values.dtype == tf.float32, latent.name
    if tf.is_tensor(terms.weights.kl):
        assert terms.weights.kl.dtype == tf.float32
    assert tv.objectives.elbo(terms).dtype == tf.float32
    loss = model.compute_loss(x=x, y=LABELS, y_pred=outputs)
    assert loss.dtype == tf.float32
    # Not in name only: a bound that came through the compute dtype would be one of its numbers.
    bound = np.array(tv.objectives.elbo(terms))
    assert np.any(np.array(tf.cast(tf.cast(bound, model.compute_dtype), tf.float32)) != bound)
    assert {w.dtype for w in model.trainable_variables} == {"float32"}


@pytest.mark.parametrize("name", ["VAE", "ConditionalVAE", "M2", "classifier", "Ensemble"])
@pytest.mark.parametrize("policy", ["float64", "bfloat16", "floatx"])
def test_weights_of_another_precision_are_refused_by_name_before_any_work(name, policy):
    try:
        if policy == "floatx":
            keras.config.set_floatx("float64")
        else:
            keras.config.set_dtype_policy(policy)
        with pytest.raises(ValueError, match=r"bounds in float32\. Expected .*Received floatx"):
            MODELS[name][0]()
    finally:
        keras.config.set_floatx("float32")
