"""Tables with named columns, and labels in the forms that other tools give them."""

import numpy as np
import pytest
from data_cases import refused, sizes, splits_of

from tfp_vae import data
from tfp_vae.data import Split, answers, frames


class Categories:
    def __init__(self, names):
        self.categories = np.array(names).view(Levels)


class Levels(np.ndarray):
    to_list = np.ndarray.tolist


class Series:
    """What pandas and polars have alike of a column."""

    def __init__(self, values, dtype=None):
        self.values = np.asarray(values)
        self.dtype = dtype or self.values.dtype

    def to_numpy(self):
        return self.values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


class Frame:
    """What they have alike of a table."""

    def __init__(self, **columns):
        self.of = {name: Series(values) for name, values in columns.items()}

    @property
    def columns(self):
        return list(self.of)

    def __len__(self):
        return len(next(iter(self.of.values())).values)

    def __getitem__(self, key):
        if isinstance(key, list):
            return Frame(**{name: self.of[name].values for name in key})
        return self.of[key]

    def to_numpy(self):
        return np.stack([each.values for each in self.of.values()], axis=1)


N = 40
A, B = np.arange(N) / 8 - 2, np.arange(N) % 7


def test_a_frame_is_a_table_of_numbers_whose_columns_have_names():
    loaded = data.load(Frame(a=A, b=B), labels=Series(np.array(["no", "yes"])[B % 2]))
    assert (sizes(loaded), loaded.kind, loaded.columns) == ((32, 4, 4), "real", ("a", "b"))
    assert loaded.class_names == ("no", "yes") == loaded.test.class_names
    for split in splits_of(loaded):
        np.testing.assert_array_equal(split.labels, split.values()[:, 1] % 2)


def test_a_column_of_a_frame_may_be_the_target():
    classes = data.load(Frame(a=A, b=B, c=A), target="b")
    assert (classes.task, classes.num_classes, classes.columns) == ("classification", 7, ("a", "c"))
    assert data.load(Frame(a=A, b=B), target="a").task == "regression"
    with refused("Unknown column", "'z'"):
        data.load(Frame(a=A, b=B), target="z")


def test_columns_in_another_order_are_put_in_order():
    train, test = Frame(a=A, b=B, y=A), Frame(y=A, b=B, a=A)
    loaded = data.load({"training": train, "test": test}, target="y")
    assert sizes(loaded) == (36, 4, N)
    np.testing.assert_allclose(loaded.test.values(), np.stack([A, B], 1))
    again = Split(Frame(b=B, a=A), "real", columns=loaded.columns)
    np.testing.assert_allclose(again.values(), loaded.test.values())
    with refused("'a' missing", "'A' unknown"):
        Split(Frame(b=B, A=A), "real", columns=loaded.columns)
    with refused("tables are not those of splits", "train, more"):
        data.load({"train": train, "more": test})


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (np.where(B == 3, np.nan, B), ["not finite", "nan in row 3", "'b'"]),
        (np.array([None, *B[1:]], object), ["missing", "'b'", "index (0,)"]),
        (np.array(["x"] * N), ["holds no numbers", "'b'", "<U1"]),
        (np.full(N, "2020-01-01", "M8[D]"), ["holds no numbers", "'b'"]),
    ],
    ids=["NaN", "None", "text", "dates"],
)
def test_columns_that_are_no_numbers_are_refused_by_name(column, words):
    with refused(*words):
        data.load(Frame(a=A, b=column), labels=B)


def test_a_frame_of_bytes_is_an_array_of_bytes():
    assert data.load(Frame(a=B.astype(np.uint8), b=B.astype(np.uint8))).kind == "eight_bit"
    assert data.load(Frame(a=B, b=B)).kind == "real"


# Labels.

Y = np.arange(6) % 3


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (Y[:, np.newaxis], None),
        (Y.astype(np.float32), None),
        (Y.astype(np.float16), None),
        (np.eye(3)[Y], None),
        (np.eye(3, dtype=bool)[Y], None),
        (np.array(["ape", "bee", "cow"])[Y], ("ape", "bee", "cow")),
        (np.array(["2", "9", "10"], object)[Y], ("2", "9", "10")),
        (Series(np.array(["z", "y", "x"], object)[Y], Categories(["z", "y", "x"])), tuple("zyx")),
        (Series(np.array([5, 7, 8])[Y], Categories([5, 7, 8])), ("5", "7", "8")),
        (Frame(y=Y), None),
        (Frame(z=Y == 0, b=Y == 1, c=Y == 2), ("z", "b", "c")),
    ],
    ids=[
        "N x 1", "floats", "halves", "one-hot", "one-hot bool", "text", "numbers as text",
        "categories", "categories of numbers", "frame", "one-hot frame",
    ],
)  # fmt: skip
def test_labels_are_taken_in_every_usual_form(labels, names):
    split = Split(np.zeros((6, 2)), "real", labels)
    np.testing.assert_array_equal(split.labels, Y)
    assert split.class_names == names and split.select([3, 1], "some").class_names == names


@pytest.mark.parametrize(
    "labels",
    [
        [0, -1, 2],
        [0.0, np.nan, 2.0],
        [0, None, 2],
        np.ma.array([0, 7, 2], mask=[0, 1, 0]),
        np.array(["a", None, "c"], object),
    ],
    ids=["-1", "NaN", "None", "mask", "None in text"],
)
def test_marks_of_missing_labels_are_no_class(labels):
    found, names = answers.classes(labels, "train", ("a", "b", "c"))
    assert found.tolist() == [0, data.UNLABELLED, 2] and names == ("a", "b", "c")


def test_labels_of_minus_one_and_one_are_refused():
    with refused("-1 means no label", "labels > 0"):
        data.load(np.zeros((9, 2)), labels=[-1, 1, 1] * 3)


def test_texts_of_all_splits_have_the_same_numbers(tmp_path):
    x = np.linspace(-1, 1, 18).reshape(9, 2)
    np.savez(
        tmp_path / "a.npz",
        X_train=x,
        y_train=["b", "c", "b"] * 3,
        X_val=x,
        y_val=["a", "c", "a"] * 3,
    )
    loaded = data.load(tmp_path / "a.npz")
    assert loaded.class_names == ("a", "b", "c") and set(loaded.train.labels) == {1, 2}
    assert loaded.validation.labels.tolist() == [0, 2, 0] * 3
    with refused("unknown classes", "'d' at index 1"):
        Split(x, "real", ["a", "d"] + ["a"] * 7, class_names=loaded.class_names)


def test_names_of_classes_stay_with_what_is_held_out():
    labels = np.array(["ape", "bee", "cow"])[np.arange(60) % 3]
    loaded = data.load(np.zeros((60, 2)), labels=labels)
    rest, outside = data.hold_out(loaded, [1])
    assert rest.class_names == ("ape", "cow") and outside.class_names == ("ape", "bee", "cow")


def test_masked_values_are_refused():
    with refused("masked", "beside", "index (1, 0)"):
        data.load(np.ma.array(np.zeros((9, 2)), mask=[[0, 0], [1, 0]] + [[0, 0]] * 7))


def test_marks_of_what_is_missing_are_told_from_values():
    NAType = type("NAType", (), {})
    gaps = [None, np.nan, np.float32("nan"), np.ma.masked, np.datetime64("NaT"), NAType()]
    assert all(map(frames.is_missing, gaps)) and not any(
        map(frames.is_missing, [0, "", "nan", 1.5])
    )


# Cuts.


def test_rare_classes_are_in_every_part_of_a_cut():
    labels = np.zeros(300, int)
    labels[:9], labels[9:11], labels[11] = 1, 2, 3
    x = np.arange(300.0)[:, np.newaxis]
    loaded = data.load(x, labels=labels)
    assert sizes(loaded) == (243, 27, 30)
    counts = [np.bincount(split.labels, minlength=4).tolist() for split in splits_of(loaded)]
    assert np.sum(counts, axis=0).tolist() == [288, 9, 2, 1]
    train, validation, test = counts
    assert min(train) >= 1 and validation[1] >= 1 and test[1:] == [1, 1, 0]
    again = data.load(x, labels=labels)
    assert again.digests == loaded.digests


def test_a_cut_by_class_has_the_shares_of_the_whole():
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    loaded = data.load(np.zeros((200, 1)), labels=labels)
    assert np.bincount(loaded.test.labels).tolist() == [10, 6, 4]
    # A class of two in each of many: there are more classes than a tenth of the examples.
    pairs = data.load(np.zeros((40, 1)), labels=np.arange(40) % 20)
    assert sizes(pairs) == (18, 2, 20) and np.bincount(pairs.test.labels).tolist() == [1] * 20
