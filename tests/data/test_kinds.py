"""What values are: inferred kinds, what each kind asks for, and what is not finite."""

import numpy as np
import pytest
from data_cases import refused

from tfp_vae.data import Kind, Split, kinds

GREY = np.array([0, 7, 255], np.uint8)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param(np.array([True, False]), Kind.STATIC, id="bool"),
        pytest.param(np.array([0, 1], np.uint8), Kind.STATIC, id="uint8 of 0 and 1"),
        pytest.param(np.array([0.0, 1.0]), Kind.STATIC, id="floats of 0 and 1"),
        pytest.param(GREY, Kind.EIGHT_BIT, id="uint8"),
        pytest.param(np.array([0, 255], np.uint8), Kind.EIGHT_BIT, id="uint8 of 0 and 255"),
        pytest.param(np.array([0.0, 0.3, 1.0]), Kind.UNIT_INTERVAL, id="floats in [0, 1]"),
        pytest.param(np.array([-0.1, 0.5]), Kind.REAL, id="floats below 0"),
        pytest.param(np.array([0.5, 1.1]), Kind.REAL, id="floats above 1"),
        pytest.param(np.array([-3, 300]), Kind.REAL, id="integers out of a byte"),
    ],
)
def test_kind_is_inferred_from_dtype_and_range(values, kind):
    assert kinds.infer(values) is kind


@pytest.mark.parametrize("kind", list(Kind), ids=str)
def test_binary_and_discrete_kinds_are_the_ones_with_probabilities(kind):
    assert kind.is_binary == (kind in {"static", "dynamic", "threshold"})
    assert kind.is_discrete == (kind.is_binary or kind == "eight_bit")


@pytest.mark.parametrize(
    ("values", "fitting"),
    [
        pytest.param([0.0, 1.0], set(Kind), id="0 and 1"),
        pytest.param([0.0, 7 / 255], set(Kind) - {Kind.STATIC}, id="the grid of 256 levels"),
        pytest.param([0.0, 0.3001], set(Kind) - {Kind.STATIC, Kind.EIGHT_BIT}, id="in [0, 1]"),
        pytest.param([0.0, 1.001], {Kind.REAL}, id="above 1"),
        pytest.param([-0.001, 1.0], {Kind.REAL}, id="below 0"),
    ],
)
def test_values_fit_exactly_the_kinds_that_have_a_density_there(values, fitting):
    values = np.array(values, np.float32)
    assert {kind for kind in Kind if kinds.violation(values, kind) is None} == fitting


def test_all_256_levels_are_on_the_grid_in_float32():
    levels = np.arange(256, dtype=np.uint8).astype(np.float32) / 255
    assert kinds.violation(levels, Kind.EIGHT_BIT) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)
def test_first_value_that_is_not_finite_is_named_with_its_index(bad):
    values = np.zeros((3, 4), np.float32)
    values[2, 1] = values[2, 3] = bad
    with pytest.raises(ValueError) as error:
        kinds.check_finite(values, "The array")
    expected = f"2 values that are not finite. Expected finite numbers. Received {bad} at index"
    assert f"The array has {expected} (2, 1)." in str(error.value)


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int64, np.float64])
def test_finite_values_of_any_dtype_pass(dtype):
    kinds.check_finite(np.ones((2, 2), dtype), "The array")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[2**24 + 1, 3], [0, 5]], ["up to 16,777,216", "16777217"]),
        ([[1, 2**63 - 1], [0, 5]], ["up to 16,777,216", "column 1"]),
        (1.7e9 + np.arange(8.0).reshape(4, 2), ["subtract an offset", "column 0"]),
        ([[1e-60, 0.0], [3e-60, 1.0]], ["subtract an offset", "column 0"]),
    ],
    ids=["int64", "beyond float64", "times in seconds", "tiny"],
)
def test_values_that_float32_would_change_are_refused(values, words):
    with refused(*words):
        Split(np.asarray(values), "real", name="train")
    targets = np.asarray(values)[:, int("column 1" in words)]
    with refused(*words[:1]):
        Split(np.zeros((len(targets), 1)), "real", targets=targets)


@pytest.mark.parametrize(
    "values",
    [np.full((4, 1), 1.7e9 + 1), np.array([[0.1], [0.7]]), np.array([[2**24], [-(2**24)]])],
    ids=["constant", "decimals", "largest integers"],
)
def test_values_that_float32_keeps_are_taken(values):
    np.testing.assert_allclose(Split(values, "real").values(), values, rtol=1e-7)


@pytest.mark.parametrize("value", [2e19, -1e30])
def test_numbers_whose_squares_no_density_in_float32_has_are_refused(value):
    x = np.array([[0.5, 1.0], [value, 2.0]])
    for given in (x, x.astype(np.float32)):
        with refused("too large: their squares", "at most 1e+19", f"Received {value:g} at index"):
            Split(given, Kind.REAL)
    Split(np.array([[9.3e18], [-9.3e18]]), Kind.REAL)
