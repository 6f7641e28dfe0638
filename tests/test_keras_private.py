"""The private names of Keras and TensorFlow that we use still mean what they meant."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_vae import keras_private


class Halves(keras.Layer):
    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(), name="scale")
        self.offset = self.add_weight(shape=(), name="offset", trainable=False)
        self.inside = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(3)])

    def call(self, x):
        return self.inside(x) * self.scale + self.offset


def small(**options):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", **{"loss": "mse", **options})
    return model


X, Y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)


def test_sublayers_are_the_direct_ones():
    layer = Halves()
    assert keras_private.sublayers(layer) == [layer.inside]


def test_all_sublayers_are_those_at_any_depth_without_the_layer_itself():
    layer = Halves()
    found = keras_private.all_sublayers(layer)
    assert layer not in found
    assert {layer.inside, *layer.inside.layers} <= set(found)
    assert len(found) == len(set(map(id, found)))


def test_own_variables_are_without_those_of_layers_inside():
    layer = Halves()
    layer.inside.build((None, 2))
    assert [v.name for v in keras_private.own_variables(layer)] == ["scale", "offset"]


def test_the_raw_step_counts_every_batch_where_gradients_accumulate():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(gradient_accumulation_steps=2), "mse")
    model.fit(X, Y, batch_size=2, verbose=0)
    assert int(keras_private.raw_step(model.optimizer).numpy()) == 4
    assert int(model.optimizer.iterations.numpy()) == 2


def test_the_raw_step_is_that_of_the_optimizer_inside_a_loss_scale():
    inner = keras.optimizers.SGD()
    outer = keras.optimizers.LossScaleOptimizer(inner)
    assert keras_private.raw_step(outer) is keras_private.raw_step(inner)


def test_a_weight_has_a_place_in_its_optimizer():
    weights = [keras.Variable(0.0), keras.Variable(1.0)]
    optimizer = keras.optimizers.SGD()
    optimizer.build(weights)
    assert [keras_private.index_of(optimizer, each) for each in weights] == [0, 1]


def test_a_built_model_takes_a_layer_in_the_place_of_another_and_its_optimizer_says_so():
    class Whole(keras.Model):
        def __init__(self):
            super().__init__()
            self.inside = Halves()

        def call(self, x):
            return self.inside(x)

    model = Whole()
    model(X)
    model.compile("sgd", "mse")
    first, second = keras.layers.Dense(1), keras.layers.Dense(1)
    for layer in (first, second):
        layer.build((None, 3))
    for layer in (first, second, None):
        keras_private.put_layer(model, "beside", layer)
        inside = keras_private.sublayers(model)
        assert model.beside is layer
        assert [each in inside for each in (first, second)] == [layer is first, layer is second]
    with pytest.raises(ValueError, match="cannot add new elements of state"):
        model.more = keras.layers.Dense(1)
    assert keras_private.knows(model.optimizer, first.trainable_variables)  # not built
    model.optimizer.build(model.trainable_variables)
    assert keras_private.knows(model.optimizer, model.trainable_variables)
    assert not keras_private.knows(model.optimizer, first.trainable_variables)


def test_the_strategy_of_a_model_is_none_or_the_one_it_was_made_under():
    assert keras_private.strategy_of(small()) is None
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        assert keras_private.strategy_of(small()) is strategy


def test_an_evaluation_inside_fit_is_told_from_one_by_hand():
    seen = []

    class Watched(keras.Sequential):
        def evaluate(self, *args, **kwargs):
            seen.append(keras_private.is_nested_evaluation(kwargs))
            return super().evaluate(*args, **kwargs)

    model = Watched([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, validation_data=(X, Y), verbose=0)
    model.evaluate(X, Y, verbose=0)
    assert seen == [True, False]


def test_a_callback_can_have_fit_start_at_another_epoch():
    class Late(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            keras_private.start_at_epoch(self.model, 2)

    model = small()
    history = model.fit(X, Y, epochs=4, callbacks=[Late()], verbose=0)
    assert history.epoch == [2, 3]
    keras_private.start_at_epoch(model, None)
    assert model.fit(X, Y, epochs=2, verbose=0).epoch == [0, 1]


def test_the_fields_of_a_model_checkpoint_exist(tmp_path):
    callback = keras.callbacks.ModelCheckpoint(str(tmp_path / "m.keras"), save_freq=10)
    small().fit(X, Y, batch_size=2, callbacks=[callback], verbose=0)
    batches, last = (getattr(callback, name) for name in keras_private.CHECKPOINT_FIELDS)
    assert (batches, last) == (4, 3)


def test_frozen_functions_have_constants_for_variables():
    variable = tf.Variable(2.0)
    function = tf.function(lambda x: x * variable, autograph=False)
    frozen = keras_private.freeze_variables(function.get_concrete_function(tf.TensorSpec([])))
    variable.assign(5.0)
    assert not frozen.graph.variables
    assert float(frozen(tf.constant(3.0))[0]) == 6.0


def test_every_variable_is_told_before_it_is_made_in_this_context_alone():
    shapes = []

    def look(shape):
        shapes.append(shape)
        if len(shapes) > 2:
            raise MemoryError

    with keras_private.before_variables(look):
        keras.layers.Dense(3).build((None, 2))
        with pytest.raises(MemoryError):
            keras.layers.Dense(10**9).build((None, 10**6))
    assert shapes == [(2, 3), (3,), (10**6, 10**9)]
    keras.layers.Dense(3).build((None, 2))
    assert len(shapes) == 3


def test_a_configuration_for_hdf5_is_told_from_another(tmp_path):
    class Asked(keras.Sequential):
        def get_config(self):
            told.append(keras_private.is_saved_as_hdf5())
            return super().get_config()

    told, model = [], Asked([keras.Input((2,)), keras.layers.Dense(3)])
    keras.saving.save_model(model, tmp_path / "a.keras")
    keras.saving.save_model(model, str(tmp_path / "a.h5"))
    assert set(told[:-1]) == {False} and told[-1]


def test_an_export_of_keras_is_looked_at_first(monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr(keras.Model, "export", lambda *args, **options: written.append(args))

    def look(model, form):
        if form == "onnx":
            raise ValueError("not this one")

    monkeypatch.setattr(keras_private, "_EXPORT_LOOKS", [])
    keras_private.before_export(look)
    model = small()
    with pytest.raises(ValueError, match="not this one"):
        model.export(tmp_path, format="onnx")
    model.export(tmp_path)
    assert written == [(model, tmp_path, "tf_saved_model")]


def test_every_way_to_write_a_graph_of_a_layer_is_looked_at_first(monkeypatch, tmp_path):
    seen, model, other = [], small(), small()

    def look(layer, how):
        seen.append((layer, how))
        raise ValueError("not this one")

    monkeypatch.setattr(keras_private, "_EXPORT_LOOKS", [])
    keras_private.before_export(look)
    archive, spec = keras.export.ExportArchive(), [tf.TensorSpec((None, 2))]

    def calls(x):
        keras_private.look_at_call(other)
        return x

    def added(function):
        archive.add_endpoint("inside", function, spec)
        return archive

    for way in (
        lambda: archive.track(model),
        lambda: archive.add_endpoint("serve", model.call, spec),
        lambda: archive.track_and_add_endpoint("serve", model, spec),
        lambda: tf.saved_model.save(model, str(tmp_path / "a")),
        lambda: added(calls).write_out(str(tmp_path / "a"), verbose=False),
    ):
        with pytest.raises(ValueError, match="not this one"):
            way()
    assert [each for each, _ in seen] == [model, model, model, model, other]
    assert [how for _, how in seen][2:4] == ["keras.export.ExportArchive", "tf.saved_model.save"]
    calls(1.0)
    tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    assert len(seen) == 5


def test_weights_as_bytes_are_the_file_that_keras_writes(tmp_path):
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.BatchNormalization()])
    model.build((None, 2))
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "a.weights.h5"
    path.write_bytes(keras_private.weights_as_bytes(model))
    before = model.get_weights()
    model.set_weights([weight + 1 for weight in before])
    model.load_weights(path)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    model.save_weights(tmp_path / "b.weights.h5")
    assert abs(path.stat().st_size - (tmp_path / "b.weights.h5").stat().st_size) <= 4096
