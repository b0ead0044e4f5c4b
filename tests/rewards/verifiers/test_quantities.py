"""Numbers in texts, near enough."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.verifiers.quantities import last_number, nearness, number_match, number_nearness


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42.0),
        ("first 3, then -1.5", -1.5),
        ("it is 1,234,567.5 in all.", 1234567.5),
        ("about 12.5%", 0.125),
        ("about 12.5 % of it", 0.125),
        (r"\boxed{50\%}", 0.5),
        ("6.02e23", 6.02e23),
        ("x2 = 7", 7.0),
        (".5", 0.5),
        ("so x = −5", -5.0),
        ("between 3−5", 5.0),
        ("so 10, or ten", 10.0),
        ("the share is 3/4", 0.75),
        ("minus: -1/2.", -0.5),
        ("on 1/2/2024", 2024.0),
        ("it is 5, in m /4", 4.0),
        ("7, as 1/0 is none", 7.0),
    ],
)
def test_the_last_number_is_read(text, value):
    assert last_number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "none", "e5", "-", "1e999", "version a1b"])
def test_no_number_is_the_policys_fault(text):
    with pytest.raises(PolicyFault, match="no number"):
        last_number(text)


def test_the_tolerance_is_relative():
    assert number_match("105", 100.0) == 1.0
    assert number_match("95.0", 100.0) == 1.0
    assert number_match("105.01", 100.0) == 0.0
    assert number_match("0.01", 0.0) == 0.0
    assert number_match("0", 0.0) == 1.0
    assert number_match("1", float("nan")) is None


def test_nearness_by_hand():
    # |a − b| = 1/2: a quarter for the absolute distance; a half of 5 is a tenth of it: 0.05
    assert number_nearness("it is 5.5", 5.0) == pytest.approx(1 - 0.25 - 0.05, abs=1e-6)
    assert number_nearness("4", "5") == pytest.approx(0.5 - 0.1, abs=1e-6)
    assert number_nearness("100", 5.0) == 0.0 and number_nearness("5", 5.0) == 1.0
    assert number_nearness("0.5", 0.0) == pytest.approx(0.25)  # relative to 0, everything is far
    assert number_nearness("5", float("nan")) is None and number_nearness("5", "five") is None
    np.testing.assert_array_equal(nearness([1.0, np.nan], [1.0, 1.0]), [1.0, np.nan])
    with pytest.raises(PolicyFault, match="no number"):
        number_nearness("five", 5.0)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_nearness_is_one_for_the_answer_alone_and_never_below_nothing(said, wanted):
    found = float(nearness(said, wanted))
    assert 0.0 <= found <= 1.0 and float(nearness(wanted, wanted)) == 1.0
    assert found < 1.0 or abs(said - wanted) <= 1e-12  # nearer is rounding


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_every_float_is_read_back(value):
    assert last_number(f"the answer is {value!r}") == value


def test_hostile_texts_take_no_time():
    start = time.process_time()
    for text in ("1," * 500_000, "-+" * 500_000, "1" * 1_000_000, "1.1." * 200_000):
        with contextlib.suppress(PolicyFault):
            last_number(text)
    assert time.process_time() - start < 20  # of this process: what is quadratic takes minutes
