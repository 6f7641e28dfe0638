"""A process that was forked after TensorFlow had computed is told so, and does not hang."""

import os
import signal
import warnings

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tfp_vae import keras_private
from tfp_vae.models import forks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
X = np.ones((4, 3), np.float32)


def vae():
    model = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), (3,)),
    )
    model.compile("sgd", run_eagerly=True)
    return model


ASKS = {
    "a call": lambda model: model(X),
    "fit": lambda model: model.fit(X, verbose=0),
    "evaluate": lambda model: model.evaluate(X, verbose=0),
    "predict": lambda model: model.predict(X, verbose=0),
    "a batch": lambda model: model.train_on_batch(X),
    "a graph": lambda model: model.log_evidence(X, num_samples=2),
    "a generation": lambda model: model.generate(2),
}


def said_by_child(asks):
    """Returns what a forked process gets as the errors of some questions, a line each."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python itself, about threads
        pid = os.fork()
    if not pid:
        signal.alarm(20)  # it is killed where it hangs
        for ask in asks:
            try:
                ask()
            except RuntimeError as error:
                os.write(write, f"{error}\n".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        lines = file.read().splitlines()
    return lines, os.waitpid(pid, 0)[1]


def test_every_way_to_ask_a_model_says_it_at_once():
    model = vae()
    assert float(tf.constant(1.0) + 1.0) == 2.0 and keras_private.has_computed()
    lines, status = said_by_child([lambda ask=ask: ask(model) for ask in ASKS.values()])
    assert status == 0 and len(lines) == len(ASKS)
    assert all("Expected processes of multiprocessing.get_context('spawn')" in x for x in lines)
    forks.check()  # and this one goes on
