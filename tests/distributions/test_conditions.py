"""Conditions: what networks see of them, what data have to bring, how they join examples."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfp_vae.data import Kind, Split
from tfp_vae.distributions.conditions import Classes, Nothing, Vector, join, joined_shape


def _split(**beside):
    return Split(np.zeros((3, 2), np.float32), Kind.REAL, name="test", **beside)


def test_a_class_is_one_hot_and_a_vector_is_itself():
    np.testing.assert_array_equal(Classes(3).encode([2, 0]), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(Vector(2).encode([[1, 2.5]]), [[1, 2.5]])
    np.testing.assert_array_equal(Vector(1).encode([1, 2]), [[1], [2]])
    assert Nothing().encode([1]) is None


def test_conditions_are_read_from_what_stands_beside_the_examples():
    labelled = _split(labels=np.array([0, 2, 1]))
    measured = _split(targets=np.array([0.5, 1.0, -1.0]))
    np.testing.assert_array_equal(Classes(3).of(labelled), [0, 2, 1])
    np.testing.assert_array_equal(Vector(1).of(measured), [[0.5], [1.0], [-1.0]])
    assert Nothing().of(labelled) is None and not Nothing() and Classes(3) and Vector(1)
    assert list(Classes(3).beside([1])) == ["labels"] and list(Vector(1).beside([1])) == ["targets"]
    assert Nothing().beside([1]) == {}
    np.testing.assert_array_equal(Classes(3).default(5), [0, 1, 2, 0, 1])
    assert Nothing().default(5) is None and Vector(1).default(5) is None
    for condition, split in ((Classes(3), labelled), (Vector(1), measured), (Nothing(), measured)):
        condition.check(split)


@pytest.mark.parametrize(
    ("condition", "beside", "message"),
    [
        (Classes(3), {}, r"labels from 0 to 2. Received none"),
        (Classes(3), {"labels": np.array([0, 3, 1])}, r"labels from 0 to 2. Received 0 to 3"),
        (Vector(2), {}, r"shape \(N, 2\). Received none"),
        (Vector(2), {"targets": np.zeros(3)}, r"shape \(N, 2\). Received shape \(3,\)"),
    ],
)
def test_examples_without_their_condition_are_refused(condition, beside, message):
    with pytest.raises(ValueError, match=rf"test examples lack their condition.*{message}"):
        condition.check(_split(**beside))


@pytest.mark.parametrize("condition", [Nothing(), Classes(3), Vector(2)])
def test_a_condition_survives_serialisation(condition):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(condition))
    assert type(again) is type(condition)
    assert (again.size, again.num_classes) == (condition.size, condition.num_classes)


def test_sizes_below_one_are_refused():
    for make in (Classes, Vector):
        with pytest.raises(ValueError, match=r"Impossible.*Expected.*>= 1.*Received 0"):
            make(0)


def test_joined_examples_have_what_is_beside_them_behind_their_values_or_as_planes():
    x = tf.reshape(tf.range(8.0), [2, 2, 2, 1])
    beside = [tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.ones([5, 2, 1])]
    flat = join(x, beside, (2, 2, 1), "flat")
    assert flat.shape == (5, 2, 7) and joined_shape((2, 2, 1), 3, "flat") == (7,)
    np.testing.assert_array_equal(flat[4, 1], [4, 5, 6, 7, 3, 4, 1])
    planes = join(x, beside, (2, 2, 1), "planes")
    assert planes.shape == (5, 2, 2, 2, 4) and joined_shape((2, 2, 1), 3, "planes") == (2, 2, 4)
    np.testing.assert_array_equal(planes[3, 1, 0, 1], [5, 3, 4, 1])
    np.testing.assert_array_equal(join(x, [], (2, 2, 1), "flat"), x)
    assert joined_shape((2, 2, 1), 0, "flat") == (2, 2, 1)
