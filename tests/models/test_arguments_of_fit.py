"""Every argument of Keras' methods does what Keras documents, or is refused by name."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv

N = 30
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = np.arange(N) % 2


def classifier(**options):
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.layers.Dense(2)])
    model = tv.BayesianNetwork(network, tv.likelihoods.Categorical(2), weight_prior=1.0)
    model.build((None, 3))
    model.compile("sgd", **options)
    return model


def table_vae():
    model = tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=tv.decoders.Normal(tv.networks.mlp([4]), (3,)),
    )
    model.compile("sgd")
    return model


@pytest.fixture
def asked(monkeypatch):
    """Returns a function that fits a model and returns what Keras was asked to do, undone."""
    seen = {}

    def record(self, **arguments):
        seen.update(arguments, current=self.current)

    monkeypatch.setattr(keras.Model, "fit", record)

    def ask(model, *data, **options):
        seen.clear()
        model.fit(*data, **options)
        return dict(seen)

    return ask


def test_every_argument_of_keras_is_one_of_ours_in_the_same_place():
    for name in ("compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch"):
        ours = inspect.signature(getattr(tv.BayesianNetwork, name)).parameters
        theirs = inspect.signature(getattr(keras.Model, name)).parameters
        assert list(ours) == list(theirs), name


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 3},
        {"verbose": 2},
        {"steps_per_epoch": 4},
        {"validation_steps": 1},
        {"validation_freq": 2},
        {"validation_freq": [1, 3]},
        {"initial_epoch": 1},
    ],
    ids=str,
)
def test_keras_gets_what_it_was_told(asked, options):
    seen = asked(classifier(), X, Y, validation_data=(X, Y), **options)
    for name, value in options.items():
        assert seen[name] == value


def test_weights_and_cuts_leave_the_batch_size_and_the_order(asked):
    plain = asked(classifier(), X, Y)["current"].feed
    weighted = asked(classifier(), X, Y, sample_weight=np.ones(N))["current"].feed
    assert weighted.batch_size == plain.batch_size
    np.testing.assert_array_equal(weighted.order(3)[0], plain.order(3)[0])
    cut = asked(classifier(), X, Y, validation_split=0.1)["current"]
    known = asked(classifier(), X[:27], Y[:27])["current"]
    assert cut.feed.batch_size == known.feed.batch_size
    np.testing.assert_array_equal(cut.feed.order(1)[0], known.feed.order(1)[0])
    np.testing.assert_array_equal(cut.feed.arrays[0], X[:27])
    np.testing.assert_array_equal(cut.validation.arrays[0], X[27:])


def test_validation_data_take_the_place_of_a_cut_as_in_keras(asked):
    seen = asked(classifier(), X, Y, validation_split=0.5, validation_data=(X[:7], Y[:7]))
    np.testing.assert_array_equal(seen["current"].feed.arrays[0], X)
    np.testing.assert_array_equal(seen["current"].validation.arrays[0], X[:7])


def test_numbers_of_epochs_and_steps_may_have_any_whole_type(asked):
    for given, plain in ((np.int64(2), 2), ((1, 3), [1, 3]), ({2}, [2]), (np.array([1]), [1])):
        seen = asked(classifier(), X, Y, validation_data=(X, Y), validation_freq=given)
        assert seen["validation_freq"] == plain and type(seen["validation_freq"]) is type(plain)


def test_whole_floats_are_counts_and_a_batch_is_no_larger_than_the_data(asked):
    more = {"batch_size": 8.0, "epochs": 2.0, "initial_epoch": 1.0, "validation_batch_size": 4.0}
    seen = asked(classifier(), X, Y, validation_data=(X, Y), **more)
    assert [type(seen[name]) for name in ("epochs", "initial_epoch")] == [int, int]
    assert (seen["current"].feed.batch_size, seen["current"].validation.batch_size) == (8, 4)
    assert asked(classifier(), X, Y, 10**6)["current"].feed.batch_size == N
    model = classifier()
    small, large = (model.predict(X, batch_size=size, verbose=0) for size in (8.0, 10**6))
    np.testing.assert_allclose(small, large, rtol=1e-4)


def test_a_batch_size_is_of_arrays_alone_and_a_dataset_has_its_own(asked):
    own = batches(X, Y)
    assert asked(classifier(), X, Y, 10, validation_data=own)["current"].validation is None
    for options in ({"batch_size": 4}, {"validation_data": own, "validation_batch_size": 4}):
        x = (own,) if "batch_size" in options else (X, Y)
        with pytest.raises(ValueError, match=r"batch_size goes with arrays.*Received 4"):
            classifier().fit(*x, **options)


def test_a_cut_knows_n_and_keeps_the_weights_of_each_side(asked):
    model, weights = classifier(), np.arange(N, dtype=np.float32)
    seen = asked(model, X, Y, validation_split=0.2, sample_weight=weights)["current"]
    assert model.num_data == 24
    np.testing.assert_array_equal(seen.feed.arrays[-1], weights[:24])
    np.testing.assert_array_equal(seen.validation.arrays[-1], weights[24:])


def test_shuffle_false_keeps_the_order(asked):
    feed = asked(classifier(), X, Y, shuffle=False)["current"].feed
    np.testing.assert_array_equal(feed.order(5)[0], np.arange(N))


def test_class_weights_are_weights_of_the_examples_of_a_class(asked):
    names = np.array(["no", "yes"])[Y]
    for labels, by_class in ((Y, {1: 3.0}), (Y, {1.0: 3}), (names, {"yes": 3.0}), (names, {1: 3})):
        feed = asked(classifier(), X, labels, class_weight=by_class)["current"].feed
        np.testing.assert_array_equal(feed.arrays[-1], np.where(Y == 1, 3.0, 1.0))
    model = classifier()
    model.num_data = N
    assert asked(model, batches(X, Y), class_weight={1.0: 3})["class_weight"] == {1: 3.0}


def test_validation_has_its_own_batch_size(asked):
    seen = asked(classifier(), X, Y, 10, validation_data=(X, Y), validation_batch_size=7)
    assert seen["current"].validation.batch_size == 7
    assert (
        asked(classifier(), X, Y, 10, validation_data=(X, Y))["current"].validation.batch_size == 10
    )


def test_a_data_is_trained_on_its_train_and_validated_on_its_validation(asked):
    data = tv.data.load(X, labels=Y, kind="real")
    seen = asked(classifier(), data)["current"]
    np.testing.assert_array_equal(seen.feed.arrays[0], data.train.values())
    np.testing.assert_array_equal(seen.validation.arrays[0], data.validation.values())
    with pytest.raises(ValueError, match=r"three splits\. Expected one of them: data\.train"):
        classifier().evaluate(data)


def test_callbacks_come_as_one_as_several_or_as_a_list_of_keras(asked):
    one = keras.callbacks.TerminateOnNaN()
    for given in (one, [one], (one,), keras.callbacks.CallbackList([one], model=classifier())):
        assert one in asked(classifier(), X, Y, callbacks=given)["callbacks"]


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("val_accuracy", "max"),
        ("accuracy", "max"),
        ("val_elbo", "max"),
        ("val_expected_log_likelihood", "max"),
        ("kl", "min"),
        ("val_loss", "min"),
    ],
)
@pytest.mark.parametrize("kind", ["EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint"])
def test_callbacks_are_told_whether_more_is_better(asked, kind, monitor, mode, tmp_path):
    options = {"filepath": tmp_path / "a.keras", "save_best_only": True}
    options = options if kind == "ModelCheckpoint" else {}
    callback = getattr(keras.callbacks, kind)(monitor=monitor, **options)
    asked(classifier(), X, Y, callbacks=[callback])
    assert callback.mode == mode


def batches(*parts):
    parts = parts if len(parts) > 1 else parts[0]
    return tf.data.Dataset.from_tensor_slices(parts).batch(10)


def refusals():
    ones, none = np.ones(N), "Received"
    return {
        "loss": (lambda: classifier(loss="mse"), r"compile got loss"),
        "metrics": (lambda: classifier(metrics=["mae"]), r"compile got metrics"),
        "weighted_metrics": (lambda: classifier(weighted_metrics=["mae"]), r"weighted_metrics"),
        "loss_weights": (lambda: classifier(loss_weights=[2.0]), r"compile got loss_weights"),
        "steps_per_execution": (
            lambda: classifier(steps_per_execution="most"),
            r"steps_per_execution\. Expected an integer",
        ),
        "monitor": (
            lambda: classifier().fit(X, Y, callbacks=keras.callbacks.EarlyStopping("val_acurracy")),
            r"'val_acurracy' is better.*Did you mean accuracy",
        ),
        "a checkpoint in another format": (
            lambda: classifier().fit(X, Y, callbacks=keras.callbacks.ModelCheckpoint("a.h5")),
            r"ModelCheckpoint.*ending in \.keras.*a\.h5",
        ),
        "both weights": (
            lambda: classifier().fit(X, Y, sample_weight=ones, class_weight={0: 1.0}),
            "at the same time",
        ),
        "class_weight without classes": (
            lambda: table_vae().fit(X, class_weight={0: 2.0}),
            "class_weight weights the examples of a class",
        ),
        "class_weight of no class": (
            lambda: classifier().fit(X, Y, class_weight={7: 2.0}),
            r"class that there is not.*from 0 to 1.*Received 7",
        ),
        "class_weight of no name": (
            lambda: classifier().fit(X, np.array(["a", "b"])[Y], class_weight={"c": 2.0}),
            "some of a, b, or numbers from 0 to 1.*Received 'c'",
        ),
        "class_weight of no class, dataset": (
            lambda: classifier().fit(batches(X, Y), class_weight={2: 2.0}),
            "class that there is not",
        ),
        "class_weight without classes, dataset": (
            lambda: table_vae().fit(batches(X), class_weight={0: 2.0}),
            "a model without classes",
        ),
        "weights of zero": (
            lambda: classifier().fit(X, Y, sample_weight=0 * ones),
            "leave nothing to learn from",
        ),
        **{
            f"{name}={value}": (
                lambda name=name, value=value: classifier().fit(X, Y, **{name: value}),
                name,
            )
            for name, value in (
                ("epochs", -1),
                ("epochs", 1.5),
                ("steps_per_epoch", 0),
                ("validation_steps", 0),
                ("validation_freq", 0),
                ("validation_freq", [0]),
                ("initial_epoch", -1),
                ("verbose", "loud"),
                ("verbose", 3),
                ("shuffle", "batch"),
                ("batch_size", True),
                ("epochs", True),
            )
        },
        "an end before the start": (
            lambda: classifier().fit(X, Y, epochs=5, initial_epoch=10),
            r"initial_epoch; 15 are 5 more\. Received epochs=5 and initial_epoch=10",
        ),
        **{
            f"a rate of {rate}, {name}": (run, f"Impossible learning rate.*Received {rate:g} at")
            for rate in (float("nan"), float("inf"), -0.5)
            for name, run in (
                ("fit", lambda rate=rate: at_rate(rate).fit(X, Y)),
                ("train_on_batch", lambda rate=rate: at_rate(rate).train_on_batch(X, Y)),
            )
        },
        **{
            f"a class weight of {weight}": (
                lambda weight=weight: classifier().fit(X, Y, class_weight={0: weight}),
                "weight of class 0",
            )
            for weight in (-1.0, float("nan"), True)
        },
        **{
            f"a sample weight of {weight}": (
                lambda weight=weight: classifier().fit(X, Y, sample_weight=weight * ones),
                "sample weight",
            )
            for weight in (-1.0, float("nan"))
        },
        **{
            f"{name} of an optimizer": (
                lambda name=name, value=value: with_adam(**{name: value}).fit(X, Y),
                rf"Impossible {name} of Adam\. Expected a number >= 0",
            )
            for name, value in (
                ("clipnorm", -1.0),
                ("global_clipnorm", -1.0),
                ("clipvalue", float("nan")),
                ("weight_decay", -0.1),
                ("epsilon", -1e-7),
            )
        },
        "class weights of zero": (
            lambda: classifier().fit(X, Y, class_weight={0: 0.0, 1: 0}),
            "class weights leave nothing to learn from",
        ),
        "words of evaluate": (lambda: classifier().evaluate(X, Y, verbose="loud"), "verbose"),
        "words of predict": (lambda: classifier().predict(X, verbose="loud"), "verbose"),
        "steps of evaluate": (lambda: classifier().evaluate(X, Y, steps=0), "steps"),
        **{
            f"no end, {name}": (run, rf"no end. Expected {argument}, or .* Received {argument}=N")
            for name, argument, run in (
                ("fit", "steps_per_epoch", lambda: classifier().fit(batches(X, Y).repeat())),
                ("fit of parts", "steps_per_epoch", lambda: classifier().fit(Endless())),
                (
                    *("validation", "validation_steps"),
                    lambda: classifier().fit(X, Y, validation_data=batches(X, Y).repeat()),
                ),
                ("evaluate", "steps", lambda: classifier().evaluate(batches(X, Y).repeat())),
                ("predict", "steps", lambda: classifier().predict(batches(X).repeat())),
            )
        },
        "an optimizer of nothing": (lambda: table_vae().compile({}), "Unknown optimizer"),
        "the optimizer of another model": (second_use, "has trained another model.*SGD after 0 st"),
        "fit inside of fit": (nested, "is in training.*Received a call inside of it"),
        "steps of predict": (lambda: classifier().predict(X, steps=0), "steps"),
        "a name of a callback": (
            lambda: classifier().fit(X, Y, callbacks="EarlyStopping"),
            "callbacks has what is none.*Received 'EarlyStopping'",
        ),
        "a class of callbacks": (
            lambda: classifier().fit(X, Y, callbacks=[keras.callbacks.TerminateOnNaN]),
            "Received the class TerminateOnNaN",
        ),
        "a callback of evaluate": (
            lambda: classifier().evaluate(X, Y, callbacks="CSVLogger"),
            "callbacks has what is none",
        ),
        "a callback of predict": (
            lambda: classifier().predict(X, callbacks=keras.callbacks.CSVLogger),
            "Received the class CSVLogger",
        ),
        "a field of a checkpoint": (
            lambda: classifier().fit(
                X, Y, callbacks=keras.callbacks.ModelCheckpoint("{epoch}-{val_elbo:.2f}.keras")
            ),
            "field that there is not.*'val_elbo'",
        ),
        "an open field of a checkpoint": (
            lambda: classifier().fit(X, Y, callbacks=keras.callbacks.ModelCheckpoint("{a.keras")),
            "cannot be filled in",
        ),
        "run_eagerly": (lambda: classifier(run_eagerly="no"), "Unknown run_eagerly"),
        "jit_compile": (lambda: classifier(jit_compile="yes"), "Unknown jit_compile"),
        "an optimizer": (lambda: table_vae().compile("adma"), "Unknown optimizer.*'adma'"),
        "no optimizer": (lambda: without_optimizer().fit(X), r"fit\(\) needs an optimizer"),
        "no optimizer, batch": (
            lambda: without_optimizer().train_on_batch(X),
            r"train_on_batch\(\) needs an optimizer",
        ),
        "no folder": (lambda: classifier().save("not/there/a.keras"), "no folder for not/there"),
        "no path": (lambda: classifier().save(None), "Unusable filepath"),
        "names of columns": (
            lambda: classifier_of(columns=["a", "a"]),
            "Unusable columns. Expected different texts",
        ),
        "names of classes": (lambda: classifier_of(class_names=[None, 3]), "Unusable class_names"),
        "a cut of a Data": (
            lambda: classifier().fit(tv.data.load(X, labels=Y, kind="real"), validation_split=0.2),
            "A Data brings its validation split",
        ),
        "a dataset of single examples": (
            lambda: classifier().fit(tf.data.Dataset.from_tensor_slices((X, Y))),
            r"not batched\. Expected batches.*Received single ones, x of shape \(3,\)",
        ),
        "single examples without y": (
            lambda: table_vae().fit(tf.data.Dataset.from_tensor_slices(X)),
            r"training dataset is not batched",
        ),
        "y without use": (lambda: table_vae().fit(X, Y), "targets that the model has no use for"),
        "y beside a dataset": (
            lambda: classifier().fit(keras.utils.PyDataset(), Y),
            "bring their targets",
        ),
        "several inputs": (lambda: classifier().fit([X, X], Y), "one array that it cuts"),
        "validation_batch_size": (
            lambda: classifier().fit(X, Y, validation_batch_size=0),
            "validation_batch_size",
        ),
        "overwrite": (lambda: classifier().save(__file__[:-3] + ".keras", zipped=False), "zipped"),
        "not compiled": (lambda: uncompiled().fit(X), r"must call compile\(\) before calling fit"),
        "not compiled, batch": (lambda: uncompiled().train_on_batch(X), r"must call compile\(\)"),
        "not compiled, evaluate": (lambda: uncompiled().evaluate(X), r"must call compile\(\)"),
        "objective": (lambda: uncompiled(objective="elbo"), r"Unusable objective"),
        "ensemble": (lambda: tv.Ensemble(uncompiled(), 2), f"needs a pattern.*{none}"),
    }


def without_optimizer():
    model = table_vae()
    model.compile(None)
    return model


def classifier_of(**options):
    network = keras.Sequential([keras.layers.Dense(2)])
    return tv.BayesianNetwork(network, tv.likelihoods.Categorical(2), **options)


class Endless(keras.utils.PyDataset):
    """Batches without a number of them."""

    num_batches = None

    def __getitem__(self, index):
        return X, Y


def at_rate(rate):
    model = classifier()
    model.optimizer.learning_rate = rate
    return model


def with_adam(**options):
    model = classifier()
    model.compile(keras.optimizers.Adam(1e-3, **options))
    return model


def second_use():
    first, second = classifier(), classifier()
    first.optimizer.build(first.trainable_variables)
    second.compile(first.optimizer)
    second.fit(X, Y)


def nested():
    model = classifier(run_eagerly=True)
    again = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: model.fit(X, Y))
    model.fit(X, Y, verbose=0, callbacks=[again])


def uncompiled(**options):
    return tv.VAE(
        prior=tv.priors.StandardNormal(2),
        encoder=tv.encoders.Gaussian(tv.networks.mlp([4]), 2),
        decoder=tv.decoders.Bernoulli(tv.networks.mlp([4]), (3,)),
        **options,
    )


@pytest.mark.parametrize("case", list(refusals()))
def test_what_does_nothing_is_refused_before_work(case):
    run, message = refusals()[case]
    with pytest.raises(ValueError, match=message) as caught:
        run()
    assert "Expected" in str(caught.value)
    assert "Received" in str(caught.value)


def test_a_checkpoint_may_have_every_metric_in_its_path(asked, tmp_path):
    path = str(tmp_path / "{epoch:02d}-{val_accuracy:.2f}-{loss:.3f}.keras")
    asked(classifier(), X, Y, callbacks=keras.callbacks.ModelCheckpoint(path), validation_split=0.5)


def test_a_legacy_file_that_nothing_could_load_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"legacy HDF5.*Expected a path ending in \.keras"):
        keras.saving.save_model(classifier(), str(tmp_path / "a.h5"))


def test_save_replaces_no_file_that_it_may_not(tmp_path):
    model, path = classifier(), tmp_path / "a.keras"
    path.write_text("mine")
    with pytest.raises(ValueError, match="is there already"):
        model.save(path, overwrite=False)
    assert path.read_text() == "mine"


def test_compile_is_that_of_the_saved_model_after_a_reload(tmp_path):
    classifier(run_eagerly=True, steps_per_execution=3).save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras")
    assert again.compiled
    assert again.run_eagerly
    assert again.steps_per_execution == 3


def test_ctrl_c_leaves_the_last_whole_epoch_and_says_so(capsys):
    kept = []

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            kept[:] = [np.array(w) for w in self.model.weights]

        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:  # in the second epoch of three batches
                raise KeyboardInterrupt

    model = classifier()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, 10, epochs=3, verbose=0, callbacks=Stop())
    for weight, value in zip(model.weights, kept, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert "as it was after epoch 1" in capsys.readouterr().out


def test_auto_is_one_step_per_execution():
    assert classifier(steps_per_execution="auto").steps_per_execution == 1


def test_weights_of_another_model_change_none(tmp_path):
    path = tmp_path / "a.weights.h5"

    def of(units):
        network = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(units)])
        model = tv.BayesianNetwork(network, tv.likelihoods.Categorical(units), weight_prior=1.0)
        model.build((None, 3))
        return model

    of(2).save_weights(path)
    model = of(4)  # whose first layer fits
    before = model.get_weights()
    with pytest.raises(ValueError, match="could not be loaded"):
        model.load_weights(path)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
