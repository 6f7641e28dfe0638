"""What is a number or a count, and what only looks like one."""

import fractions
import math

import numpy as np
import pytest

from tfp_vae.arguments import MOST, check_choice, hint, is_count, is_number

NO_NUMBERS = (
    None,
    "2",
    "",
    [2],
    (2,),
    {},
    True,
    np.bool_(True),
    2j,
    math.nan,
    pytest.param(object(), id="object"),
)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number_is_neither(value):
    assert not is_number(value) and not is_count(value)


@pytest.mark.parametrize("value", [2, 2.0, np.int64(2), np.float32(2), fractions.Fraction(4, 2)])
def test_a_whole_number_of_any_type_is_both(value):
    assert is_number(value) and is_count(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, 2**1100, -(2**1100)])
def test_what_no_float_can_hold_is_neither(value):
    assert not is_number(value) and not is_count(value)


def test_bounds_are_part_of_the_range_and_above_is_not():
    assert is_number(0, 0) and not is_number(-1e-300, 0)
    assert is_number(1e-300, above=0) and not is_number(0, above=0)
    assert is_count(1) and not is_count(0) and is_count(0, 0) and is_count(3, 1, 3)
    assert is_count(MOST) and not is_count(MOST + 1) and not is_count(4, 1, 3)
    assert not is_count(1.5)


def test_a_name_is_meant_by_what_others_call_it_and_by_its_spelling():
    with pytest.raises(ValueError, match=r"Received 'Gaussian'\. Did you mean normal\?"):
        check_choice("likelihood", "Gaussian", ("bernoulli", "normal"))
    assert hint("gaussian", ("gaussians", "bernoulli")) == " Did you mean gaussians?"
    assert hint("mixed-bfloat", ("float32", "mixed_bfloat16")) == " Did you mean mixed_bfloat16?"
    assert hint("Aeg", ("Age", "age of house")) == " Did you mean Age?"
    assert hint("nothing near", ("age",)) == hint(3, ("3",)) == ""
