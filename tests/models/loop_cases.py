"""Small models and numbers of the tests of how data come to a training."""

import keras

import tfp_vae as tv

N = 22  # no multiple of the batch size: the last batch is a short one


def small_vae():
    """Returns a VAE of 4 x 4 binary images."""
    return tv.VAE(**_parts())


def small_m2():
    """Returns an M2 of 4 x 4 binary images with three classes."""
    classifier = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    return tv.M2(classifier=classifier, num_classes=3, **_parts())


def _parts():
    return {
        "prior": tv.priors.StandardNormal(2),
        "encoder": tv.encoders.Gaussian(tv.networks.mlp([8]), 2),
        "decoder": tv.decoders.Bernoulli(tv.networks.mlp([8]), (4, 4, 1)),
    }
