"""Splits: batches, order and binarisation as pure functions of (seed, epoch, step)."""

import numpy as np
import pytest
import tensorflow as tf
from data_cases import refused

from tfp_vae.data import Data, Kind, Split

N = 97
BINARY = [Kind.STATIC, Kind.DYNAMIC, Kind.THRESHOLD]


def numbered(count=N, kind=Kind.EIGHT_BIT):
    """Returns a split of images that hold their number."""
    images = np.zeros((count, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    return Split(images, kind, labels=np.arange(count))


def order(split, batch_size=10, seed=0, epoch=0):
    batches = split.epoch(batch_size, seed, epoch).as_numpy_iterator()
    return [int(n) for batch in batches for n in np.rint(batch[:, 0, 0, 0] * 255)]


def grey(count=200, level=None, kind=Kind.DYNAMIC):
    """Returns a split of equal grey images: a ramp from 0 to 255, or one level."""
    image = np.linspace(0, 255, 16).astype(np.uint8) if level is None else np.full(16, level)
    return Split(np.tile(image.astype(np.uint8), (count, 1)).reshape(count, 4, 4, 1), kind)


def epoch_values(split, seed=0, epoch=0, batch_size=50):
    return [*split.epoch(batch_size, seed, epoch).as_numpy_iterator()]


def assert_mean_is_the_intensity(images, intensity):
    """Compares the mean of draws [n, ...] with probabilities [...] within 4 standard errors."""
    count = len(images)
    error = np.sqrt((intensity * (1 - intensity)).sum() / count) / intensity.size
    assert abs(images.mean() - intensity.mean()) <= 4 * error
    # Pixel by pixel, so that no inversion or permutation passes.
    assert np.all(
        np.abs(images.mean(axis=0) - intensity)
        <= 4.5 * np.sqrt(intensity * (1 - intensity) / count) + 1e-6
    )
    assert np.all(images[:, intensity == 0] == 0)
    assert np.all(images[:, intensity == 1] == 1)


@pytest.mark.parametrize("batch_size", [1, 10, N])
def test_an_epoch_has_every_example_exactly_once(batch_size):
    seen = order(numbered(), batch_size)
    assert sorted(seen) == list(range(N))
    assert seen != list(range(N))


@pytest.mark.parametrize("make", ["epoch", "dataset"])
def test_last_batch_is_short_and_the_number_of_batches_is_known(make):
    split = numbered()
    batches = split.epoch(10, 0, 0) if make == "epoch" else split.dataset(10)
    assert [len(batch) for batch in batches] == [10] * 9 + [7]
    assert int(batches.cardinality()) == split.num_batches(10) == 10


def test_order_is_a_function_of_seed_and_epoch():
    split = numbered()
    first = order(split, seed=3, epoch=5)
    assert order(split, seed=3, epoch=5) == first
    assert order(numbered(), seed=3, epoch=5) == first
    assert order(split, seed=4, epoch=5) != first
    assert order(split, seed=3, epoch=6) != first


def test_order_does_not_depend_on_the_batch_size():
    assert order(numbered(), batch_size=7) == order(numbered(), batch_size=50)


def test_order_ignores_the_global_seeds():
    tf.random.set_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = order(numbered())
    tf.random.set_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert order(numbered()) == first


def test_an_epoch_variable_is_read_anew_by_every_iterator():
    split, epoch = numbered(), tf.Variable(0, dtype=tf.int64)
    batches = split.epoch(N, 0, epoch)
    seen = []
    for number in range(3):
        epoch.assign(number)
        seen.append(
            [int(n) for b in batches.as_numpy_iterator() for n in np.rint(b[:, 0, 0, 0] * 255)]
        )
    assert seen == [order(split, N, epoch=number) for number in range(3)]
    assert seen[0] != seen[1] != seen[2]


@pytest.mark.parametrize("batch_size", [-1, 0, N + 1])
def test_a_batch_size_out_of_one_to_n_is_refused(batch_size):
    with refused("batch_size"):
        numbered().epoch(batch_size, 0, 0)
    with pytest.raises(ValueError, match=f"Expected 1 to {N}.*Received {batch_size}"):
        numbered().check_batch_size(batch_size)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        pytest.param(np.uint8([[0, 51, 255]]), Kind.EIGHT_BIT, [0, 0.2, 1], id="uint8 is k/255"),
        pytest.param(np.array([[False, True]]), Kind.STATIC, [0, 1], id="bool"),
        pytest.param(np.array([[0.25, 1.0]]), Kind.UNIT_INTERVAL, [0.25, 1], id="float64"),
        pytest.param(np.array([[-3.5, 8.0]]), Kind.REAL, [-3.5, 8], id="real"),
    ],
)
def test_batches_are_float32_intensities(values, kind, expected):
    split = Split(values, kind)
    for batches in (split.dataset(1), split.epoch(1, 0, 0)):
        (batch,) = batches.as_numpy_iterator()
        assert batch.dtype == np.float32
        np.testing.assert_allclose(batch, [expected], rtol=1e-6)
    assert split.values().dtype == split.intensities().dtype == np.float32
    assert split.shape == values.shape[1:]


def test_dynamic_training_images_have_the_intensities_as_mean(base_seed):
    split = grey(500)
    images = [b for e in range(4) for b in epoch_values(split, base_seed, e)]
    assert_mean_is_the_intensity(np.concatenate(images), split.intensities()[0])


def test_frozen_images_have_the_intensities_as_mean():
    split = grey(2000)
    assert_mean_is_the_intensity(split.values(), split.intensities()[0])


def test_dynamic_training_images_differ_between_epochs_and_steps():
    split = grey(level=128)  # all images alike: only the binarisation can tell batches apart
    first, second = epoch_values(split, epoch=0), epoch_values(split, epoch=1)
    batches = [batch.tobytes() for batch in first + second]
    assert len(set(batches)) == len(batches) == 8
    # Independent bits agree in half of the places.
    assert abs(np.mean(first[0] == first[1]) - 0.5) < 4 * 0.5 / np.sqrt(first[0].size)
    assert abs(np.mean(first[0] == second[0]) - 0.5) < 4 * 0.5 / np.sqrt(first[0].size)


def test_one_example_is_drawn_anew_in_every_epoch():
    drawn = [epoch_values(grey(1, 128), epoch=e, batch_size=1)[0].tobytes() for e in range(8)]
    assert len(set(drawn)) >= 7  # of 2^16 images


def test_dynamic_training_images_are_equal_for_the_same_seed_and_epoch():
    for a, b in zip(epoch_values(grey(), 1, 7), epoch_values(grey(), 1, 7), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(
        (a != b).any()
        for a, b in zip(epoch_values(grey(), 1, 7), epoch_values(grey(), 2, 7), strict=True)
    )


def test_dynamic_binarisation_belongs_to_the_image_it_came_from():
    images = np.zeros((N, 8), np.uint8)
    images[:, :7] = 255 * (np.arange(N)[:, np.newaxis] >> np.arange(7) & 1)  # the number in bits
    images[:, 7] = 128
    drawn = np.concatenate(epoch_values(Split(images, Kind.DYNAMIC), batch_size=10))
    assert sorted(drawn[:, :7] @ 2 ** np.arange(7)) == list(range(N))


@pytest.mark.parametrize("kind", BINARY, ids=str)
def test_one_pass_is_the_same_every_time_and_binary(kind):
    split = grey(kind=kind) if kind is not Kind.STATIC else Split(np.eye(8, dtype=bool), kind)
    dataset = split.dataset(30)
    first = np.concatenate([*dataset.as_numpy_iterator()])
    tf.random.set_seed(99)
    np.testing.assert_array_equal(np.concatenate([*dataset.as_numpy_iterator()]), first)
    np.testing.assert_array_equal(np.concatenate([*split.dataset(7).as_numpy_iterator()]), first)
    np.testing.assert_array_equal(split.values(), first)
    assert set(np.unique(first)) == {0.0, 1.0}


def test_freezing_twice_changes_nothing():
    frozen = grey().frozen()
    assert frozen.kind is Kind.DYNAMIC
    assert frozen.frozen() is frozen
    assert frozen.digest == grey().frozen().digest
    batches = [np.concatenate(epoch_values(frozen, epoch=e)).sum(axis=0) for e in range(2)]
    np.testing.assert_array_equal(*batches)


def test_the_first_examples_are_frozen_as_in_the_whole_split():
    np.testing.assert_array_equal(grey().take(30).values(), grey().values(slice(30)))


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.uint8([[0, 127, 128, 255]]), id="uint8"),
        pytest.param(np.array([[0.0, 0.49999, 0.5, 1.0]]), id="floats"),
    ],
)
def test_threshold_is_one_from_exactly_one_half_on(values):
    split = Split(values, Kind.THRESHOLD)
    np.testing.assert_array_equal(split.values(), [[0, 0, 1, 1]])
    np.testing.assert_array_equal(epoch_values(split, batch_size=1), [[[0, 0, 1, 1]]])


@pytest.mark.parametrize("kind", ["eight_bit", "unit_interval", "real"])
def test_grey_and_real_values_reach_the_model_unchanged(kind):
    split = grey(3, kind=kind)
    assert split.frozen() is split
    np.testing.assert_array_equal(epoch_values(split, batch_size=3)[0], split.intensities())


def test_digest_tells_pixels_labels_and_kinds_apart():
    images, labels = np.arange(24, dtype=np.uint8).reshape(6, 4), np.arange(6)
    other = images.copy()
    other[5, 3] += 1
    digests = [
        Split(images, "eight_bit", labels).digest,
        Split(other, "eight_bit", labels).digest,
        Split(images, "eight_bit", labels[::-1]).digest,
        Split(images, "eight_bit").digest,
        Split(images, "unit_interval", labels).digest,
    ]
    assert len(set(digests)) == 5
    assert Split(images.copy(), "eight_bit", labels.copy(), "other name").digest == digests[0]


def test_labels_follow_their_examples():
    split = numbered().select(np.array([5, 2]), "chosen")
    np.testing.assert_array_equal(split.labels, [5, 2])
    np.testing.assert_array_equal(np.rint(split.intensities()[:, 0, 0, 0] * 255), [5, 2])
    assert numbered().take(4).labels.tolist() == [0, 1, 2, 3]


def test_data_knows_its_shape_kind_and_classes():
    split = numbered(5)
    data = Data("five", split, split.take(2), split.take(1))
    assert (data.shape, data.kind, data.num_classes) == ((2, 2, 1), Kind.EIGHT_BIT, 5)
    assert data.digests == {
        "train": split.digest,
        "validation": split.take(2).digest,
        "test": split.take(1).digest,
    }
    assert "5 + 2 + 1 examples of shape (2, 2, 1), eight_bit" in repr(data)
    unlabelled = Split(np.zeros((2, 2)), "static")
    assert Data("none", unlabelled, unlabelled, unlabelled).num_classes is None


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        pytest.param(np.full((3, 2), np.nan), "real", "nan at index (0, 0)", id="NaN"),
        pytest.param(np.array([[0, np.inf]]), "real", "inf at index (0, 1)", id="infinity"),
        pytest.param(np.array([[0.0, 1.5]]), "unit_interval", "in [0, 1]", id="above 1"),
        pytest.param(np.array([[-0.5, 1.0]]), "dynamic", "in [0, 1]", id="below 0"),
        pytest.param(np.array([[0.0, 0.3]]), "static", "only 0 and 1", id="grey as static"),
        pytest.param(np.uint8([[0, 9]]), "static", "only 0 and 1", id="uint8 as static"),
        pytest.param(
            np.array([[0.0, 0.3001]]), "eight_bit", "multiples of 1/255", id="off the grid"
        ),
        pytest.param(np.zeros((0, 4)), "real", "(0, 4)", id="no examples"),
        pytest.param(np.zeros((4, 0)), "real", "(4, 0)", id="no pixels"),
        pytest.param(np.zeros(4), "real", "(4,)", id="no axis of examples"),
        pytest.param(np.array(4.0), "real", "()", id="a number"),
    ],
)
def test_unusable_values_are_refused(values, kind, words):
    with refused(words, "train"):
        Split(values, kind, name="train")


@pytest.mark.parametrize(
    ("labels", "received"),
    [
        pytest.param([0, 1], "Received shape (2,)", id="too few"),
        pytest.param([0, 1, 2, 3], "Received shape (4,)", id="too many"),
        pytest.param(np.ones((3, 3), int), "argmax(axis=1)", id="several of one-hot"),
        pytest.param(np.zeros((3, 4, 4), int), "classes of pixels", id="of each pixel"),
        pytest.param([0.0, 0.5, 1.0], "Received 0.5 at index (1,)", id="fractions"),
        pytest.param(["cat", "NA", "cow"], "Received 'NA' at index 1", id="mark of a missing one"),
        pytest.param(["cat", "", "cow"], "Received '' at index 1", id="no text"),
        pytest.param(np.array([0, "a", 1], object), "Received 'a' of type str", id="mixed"),
        pytest.param([1j, 0, 1], "Received dtype complex128", id="complex"),
        pytest.param([0, 2, -2], "Received -2 at index (2,)", id="negative"),
        pytest.param([0, 2**31, 1], "Received 2147483648 at index (1,)", id="beyond int32"),
    ],
)
def test_labels_that_are_not_one_class_number_per_example_are_refused(labels, received):
    with refused("train labels", received):
        Split(np.zeros((3, 4)), "static", labels, "train")


def with_targets(shape=(N,), kind=Kind.EIGHT_BIT):
    """Returns the numbered images with targets that tell the number: number + column / 4."""
    targets = np.arange(N).reshape(N, *(1,) * (len(shape) - 1)) + np.zeros(shape)
    targets = targets + np.arange(shape[1]) / 4 if len(shape) > 1 else targets
    return Split(numbered().intensities(), kind, name="train", targets=targets)


@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, 3)], ids=str)
def test_targets_are_kept_in_float32_and_are_y(shape):
    split = with_targets(shape)
    assert (split.targets.dtype, split.targets.shape) == (np.float32, shape)
    assert split.labels is None
    np.testing.assert_array_equal(split.y, split.targets)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_targets_may_be_real_numbers_of_any_dtype(dtype):
    targets = np.array([0, 1, 1], dtype)
    split = Split(np.zeros((3, 4)), "real", targets=targets)
    assert split.y.dtype == np.float32 and split.y.tolist() == [0, 1, 1]


def test_y_is_int32_labels_or_none():
    assert numbered().y.dtype == np.int32
    assert numbered().y.tolist() == list(range(N))
    assert grey().y is None


def test_targets_follow_their_examples():
    split = with_targets((N, 2))
    chosen = split.select(np.array([5, 2]), "chosen")
    np.testing.assert_array_equal(chosen.targets, [[5, 5.25], [2, 2.25]])
    np.testing.assert_array_equal(split.take(2).targets, [[0, 0.25], [1, 1.25]])
    for kind in ("dynamic", "threshold"):
        frozen = with_targets(kind=kind).frozen()
        np.testing.assert_array_equal(frozen.targets, np.arange(N))


def test_digest_tells_targets_apart_from_labels_and_from_none():
    images, numbers = np.zeros((4, 2)), np.arange(4)
    made = [
        Split(images, "real"),
        Split(images, "real", numbers),
        Split(images, "real", targets=numbers),
        Split(images, "real", targets=numbers[:, np.newaxis]),
        Split(images, "real", targets=numbers[::-1]),
    ]
    assert len({split.digest for split in made}) == 5
    assert Split(images, "real", targets=numbers * 1.0, name="b").digest == made[2].digest


def test_digest_without_targets_is_what_it_has_always_been():
    images = np.arange(24, dtype=np.uint8).reshape(6, 4)
    assert Split(images, "eight_bit").digest.startswith("16b48044437ab1c3")
    assert Split(images, "eight_bit", np.arange(6)).digest.startswith("027bb985f96aef21")


@pytest.mark.parametrize("shape", [None, (N,), (N, 2)], ids=["labels", "targets", "wide targets"])
def test_y_belongs_to_the_x_of_its_batch(shape):
    split = numbered() if shape is None else with_targets(shape)
    dtype = np.int32 if shape is None else np.float32
    for batches in (split.dataset(10, with_y=True), split.epoch(10, 0, 0, with_y=True)):
        assert int(batches.cardinality()) == 10
        seen = []
        for x, y in batches.as_numpy_iterator():
            assert y.dtype == dtype and y.shape == (len(x), *split.y.shape[1:])
            number = np.rint(x[:, 0, 0, 0] * 255).astype(int)
            np.testing.assert_array_equal(y, split.y[number])
            seen += number.tolist()
        assert sorted(seen) == list(range(N))


@pytest.mark.parametrize("kind", [*BINARY[1:], Kind.EIGHT_BIT], ids=str)
def test_order_and_binarisation_are_the_same_with_and_without_y(kind):
    split = Split(grey().intensities(), kind, targets=np.arange(200))
    for make in (lambda **o: split.epoch(30, 3, 5, **o), lambda **o: split.dataset(30, **o)):
        pairs = [*make(with_y=True).as_numpy_iterator()]
        for (x, _), alone in zip(pairs, make().as_numpy_iterator(), strict=True):
            np.testing.assert_array_equal(x, alone)


def test_y_of_a_split_without_any_is_refused():
    split = Split(np.zeros((3, 4)), "static", name="train")
    for make in (split.dataset, lambda size, **o: split.epoch(size, 0, 0, **o)):
        with refused("The train split has neither labels nor targets."):
            make(2, with_y=True)
        assert len([*make(2)]) == 2


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        pytest.param([0.0, np.nan, 1], "Received nan at index (1,)", id="NaN"),
        pytest.param([[0.0], [1], [-np.inf]], "Received -inf at index (2, 0)", id="infinity"),
        pytest.param([0, 1e300, 2], "Received 1e+300 at index (1,)", id="too large for float32"),
        pytest.param([0.0, 1.0], "Received shape (2,)", id="too few"),
        pytest.param([0.0, 1.0, 2.0, 3.0], "Received shape (4,)", id="too many"),
        pytest.param(np.zeros((3, 2, 2)), "Received shape (3, 2, 2)", id="three axes"),
        pytest.param(np.zeros((3, 0)), "Received shape (3, 0)", id="no columns"),
        pytest.param(1.5, "Received shape ()", id="a number"),
        pytest.param(["1", "2", "3"], "Received dtype <U1", id="text"),
        pytest.param([1j, 2, 3], "Received dtype complex128", id="complex"),
        pytest.param([None, 1, 2], "Received None at index (0,)", id="objects"),
    ],
)
def test_targets_that_are_not_finite_numbers_one_row_per_example_are_refused(targets, words):
    with refused("train target", words):
        Split(np.zeros((3, 4)), "real", name="train", targets=targets)


def test_labels_and_targets_together_are_refused():
    with refused("train", "both labels and targets"):
        Split(np.zeros((3, 4)), "real", np.arange(3), "train", np.arange(3.0))


def test_data_know_their_task():
    images = np.zeros((3, 4))
    for options, task in (
        ({"labels": [0, 1, 2]}, "classification"),
        ({"targets": [0, 1, 2]}, "regression"),
        ({}, None),
    ):
        split = Split(images, "real", **options)
        data = Data("three", split, Split(images, "real"), split)
        assert data.task == task
        assert data.num_classes == (3 if task == "classification" else None)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="grayish"):
        Split(np.zeros((3, 4)), "grayish")


def test_examples_that_there_are_not_are_refused_by_number():
    split = Split(np.zeros((3, 2), np.float32), Kind.STATIC, labels=np.arange(3), name="train")
    for index in ([3], np.array(["a"]), np.ones(4, bool), 0.5):
        with refused("train split has no such examples", "from 0 to 2"):
            split.select(index, "some")
