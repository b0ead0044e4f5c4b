"""Numbers in texts, near enough."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.verifiers.quantities import last_number, number_match


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


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_every_float_is_read_back(value):
    assert last_number(f"the answer is {value!r}") == value


def test_hostile_texts_take_no_time():
    start = time.process_time()
    for text in ("1," * 500_000, "-+" * 500_000, "1" * 1_000_000, "1.1." * 200_000):
        with contextlib.suppress(PolicyFault):
            last_number(text)
    assert time.process_time() - start < 20  # of this process: what is quadratic takes minutes
