"""A good model file, how to pack a changed one, and what a refusal looks like."""

import zipfile

import keras
import pytest

import tfp_vae as tv
from tfp_vae.export.saved import archive

HOSTILE = "hostile_package"


@keras.saving.register_keras_serializable(package=HOSTILE)
class Dense(keras.layers.Dense):
    """What another package in the process may have registered, under the name of a plain layer."""


@keras.saving.register_keras_serializable(package=HOSTILE)
def double(x):
    """An activation of another package."""
    return 2 * x


def make_vae(layers=None):
    network = keras.Sequential([keras.layers.Flatten(), *(layers or [keras.layers.Dense(2)])])
    return tv.VAE(
        prior=tv.priors.StandardNormal(1),
        encoder=tv.encoders.Gaussian(network, 1),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([2]), (2, 1)),
    )


def pack(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def refused(path, reason, **arguments):
    with pytest.raises(ValueError, match=reason) as caught:
        tv.load(path, **arguments)
    message = str(caught.value)
    assert message.count("\n") == 0 and len(message) < 800, "not one line"
    assert "Expected" in message and "Received" in message


def members(folder):
    """Returns the members of a good file, saved in a folder."""
    make_vae().save(folder / "model.keras")
    return archive.read(folder / "model.keras")
