"""What the columns of a table are, and what stands beside the examples of a split."""

import numpy as np
import pytest
from data_cases import refused
from stream_cases import noise

from tfp_vae.data import Column, Kind, Schema, Split

TABLE = np.array([[1.5, 0, 2], [-3.0, 1, 0], [0.25, 1, 1]], np.float32)
MIXED = Schema(
    (
        Column("age"),
        Column("sex", "binary", ("f", "m")),
        Column("town", "categorical", ("a", "b", "c")),
    )
)


def test_columns_of_one_kind_give_a_table_its_kind_and_others_make_it_real():
    assert Schema(MIXED.columns[1:2]).kind is Kind.STATIC
    assert MIXED.kind is Kind.REAL
    assert MIXED.names == ("age", "sex", "town") and MIXED[1].levels == ("f", "m")
    split = Split(TABLE, schema=MIXED)
    assert (split.kind, split.schema, len(split.schema)) == (Kind.REAL, MIXED, 3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Schema(()), ["told apart", "[]"]),
        (lambda: Schema((Column("a"), Column("a"))), ["told apart", "['a', 'a']"]),
        (lambda: Schema(("a",)), ["needs a column", "'a'"]),
        (lambda: Column(3), ["needs a name", "3"]),
        (lambda: Column("a", "static"), ["Unknown kind of column", "'static'"]),
        (lambda: Column("a", "binary", "abc"), ["'a'", "two levels", "['a', 'b', 'c']"]),
        (lambda: Column("a", "count", ("b", "c")), ["'a'", "no levels", "['b', 'c']"]),
        (lambda: Split(TABLE, "static", schema=MIXED), ["two kinds", "'real'", "'static'"]),
        (lambda: Split(TABLE, schema=("age",)), ["needs a schema"]),
        (lambda: Split(TABLE), ["Unknown kind", "None"]),
        (lambda: Split(TABLE[:, :2], schema=MIXED), ["do not fit the schema", "(N, 3)", "(3, 2)"]),
        (lambda: Split(TABLE[:, ::-1], schema=MIXED), ["column 'town'", "from 0 to 2"]),
        (lambda: Split(TABLE * [1, 2, 1], schema=MIXED), ["column 'sex'", "from 0 to 1"]),
    ],
)
def test_a_schema_that_is_none_or_does_not_fit_is_refused(make, words):
    with refused(*words):
        make()


def beside(count, shape):
    return {
        "labels": np.arange(count) % 3,
        "factors": np.arange(2 * count).reshape(count, 2),
        "observed": np.random.default_rng(0).random((count, *shape)) < 0.5,
    }


@pytest.mark.parametrize("kind", ["dynamic", "threshold", "eight_bit"])
def test_factors_and_observed_values_go_with_the_examples(kind):
    images = noise(6, (2, 2, 1))
    given = beside(6, (2, 2, 1))
    split = Split(images, kind, beside=given)
    index = [4, 1]
    for part, rows in (
        (split.frozen(), slice(None)),
        (split.frozen().unfrozen(), slice(None)),
        (split.in_memory(), slice(None)),
        (split.take(2), slice(2)),
        (split.select(index, "some"), index),
        (split.frozen().select(index, "some").unfrozen(), index),
    ):
        assert part.beside.keys() == given.keys()
        for name, values in given.items():
            np.testing.assert_array_equal(getattr(part, name), values[rows])
    assert split.factors.dtype == np.float32 and split.observed.dtype == np.bool_
    other = split.retargeted(np.arange(6.0))
    assert other.labels is None and set(other.beside) == {"targets", "factors", "observed"}
    assert set(other.relabelled(np.arange(6)).beside) == set(given)


def test_a_table_keeps_its_schema_where_its_columns_stay():
    split = Split(TABLE, schema=MIXED, targets=np.arange(3.0))
    assert split.take(2).schema is split.frozen().schema is MIXED
    assert split.mapped(lambda x: x[:, :2], "narrow").schema is None


def test_what_stands_beside_has_a_part_in_the_digest():
    images = noise(6, (2, 2, 1))
    given = beside(6, (2, 2, 1))
    digests = {
        Split(images, "eight_bit", beside=part).digest
        for part in ({}, given, given | {"factors": given["factors"] + 1}, {"labels": [0] * 6})
    }
    assert len(digests) == 4
    labelled = Split(images, "eight_bit", given["labels"])
    assert labelled.digest == Split(images, "eight_bit", beside={"labels": given["labels"]}).digest


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"factors": np.zeros(6)}, ["factors do not fit", "(6, F)", "(6,)"]),
        ({"factors": np.zeros((5, 2))}, ["factors do not fit", "(5, 2)"]),
        ({"factors": np.full((6, 2), np.nan)}, ["factor array", "not finite"]),
        ({"observed": np.ones((6, 2, 2), bool)}, ["observed values do not fit", "(6, 2, 2, 1)"]),
        ({"observed": np.ones((6, 2, 2, 1))}, ["array of bool", "float64"]),
        ({"factor": np.zeros((6, 2))}, ["Unknown array", "factor", "Did you mean factors?"]),
        ({"labels": np.arange(6), "targets": np.arange(6.0)}, ["both labels and targets"]),
    ],
)
def test_what_does_not_fit_the_examples_is_refused(given, words):
    with refused(*words):
        Split(noise(6, (2, 2, 1)), "eight_bit", beside=given)


def test_labels_are_given_once():
    with refused("labels twice"):
        Split(noise(6, (2, 2, 1)), "eight_bit", np.arange(6), beside={"labels": np.arange(6)})


def test_missing_values_are_not_given_to_a_model_as_if_they_were_observed():
    images, mask = noise(6, (2, 2, 1)), np.ones((6, 2, 2, 1), bool)
    assert len(list(Split(images, "eight_bit", beside={"observed": mask}).dataset(3))) == 2
    mask[2, 1, 1] = False
    with refused("missing values", "Received 1 missing"):
        Split(images, "eight_bit", beside={"observed": mask}).dataset(3)


def test_values_are_not_changed_where_some_are_missing():
    split = Split(noise(6, (2, 2, 1)), "eight_bit", beside=beside(6, (2, 2, 1)))
    with refused("cannot be changed", "missing"):
        split.mapped(lambda x: x, "other")
