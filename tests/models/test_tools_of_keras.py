"""What people do to any Keras model is done to ours: backups, checkpoints, clones."""

import keras
import numpy as np
import pytest

import tfp_vae as tv

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = np.arange(20) % 2


def network(seed=0):
    """Returns a compiled network whose weights start where the seed says."""
    keras.utils.set_random_seed(seed)
    layers = [tv.layers.DenseFlipout(2, initial_scale=1.0)]
    model = tv.BayesianNetwork(keras.Sequential(layers), tv.likelihoods.Categorical(2))
    model.compile(keras.optimizers.Adam(0.1), run_eagerly=True)
    return model


def vae(seed=0):
    keras.utils.set_random_seed(seed)
    model = tv.VAE(
        prior=tv.priors.StandardNormal(1),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([]), 1),
        decoder=tv.decoders.Normal(tv.networks.mlp([]), (3,)),
    )
    model.compile(keras.optimizers.Adam(0.1), run_eagerly=True)
    return model


MODELS = {"network": (network, (X, Y)), "vae": (vae, (X,))}


class Stop(keras.callbacks.Callback):
    """A power cut before the last epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise RuntimeError("power cut")


@pytest.mark.parametrize("kind", MODELS)
# Of h5py, which asks variables of Keras for arrays.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
def test_a_backup_of_keras_goes_on_to_the_same_weights(kind, tmp_path):
    make, data = MODELS[kind]

    def fit(model, *callbacks):
        model.fit(*data, epochs=2, verbose=0, callbacks=[*callbacks])
        return model

    whole = fit(make())
    with pytest.raises(RuntimeError, match="power cut"):
        fit(make(), keras.callbacks.BackupAndRestore(str(tmp_path)), Stop())
    again = fit(make(seed=1), keras.callbacks.BackupAndRestore(str(tmp_path)))
    assert int(again.optimizer.iterations) == int(whole.optimizer.iterations) == 2
    assert again.data_kind == whole.data_kind and again.num_data == whole.num_data == 20
    for found, expected in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
def test_a_checkpoint_of_keras_is_a_model_that_loads(tmp_path):
    path = tmp_path / "{epoch}.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(str(path), "val_elbo", save_best_only=True)
    model = network()
    model.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[checkpoint])
    loaded = tv.load(tmp_path / "1.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize("kind", MODELS)
def test_a_clone_has_weights_of_its_own_and_the_same_settings(kind):
    make, _ = MODELS[kind]
    model = make()
    model.build((None, 3))
    clone = keras.models.clone_model(model)
    clone.build((None, 3))
    assert clone.get_config()["seed"] == model.get_config()["seed"]
    assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]
    assert not {id(w) for w in clone.weights} & {id(w) for w in model.weights}
