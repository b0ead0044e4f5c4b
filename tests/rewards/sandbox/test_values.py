"""Plain data crosses the wall unchanged, and nothing but plain data crosses."""

from __future__ import annotations

import collections
import enum
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sandbox.inside.values import decode, encode

keys = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5)
plain = st.recursive(
    keys | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False) | st.sets(keys) | st.frozensets(keys),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=10,
)


def across(value):
    encoded = json.dumps(encode(value, lambda thing: 7))
    return decode(json.loads(encoded), lambda number: ("object", number))


def same(one, other):
    """Equal, also in type, all the way down."""
    if type(one) is not type(other) or (isinstance(one, (list, tuple)) and not all(map(same, one, other))):
        return False
    return repr(one) == repr(other) or one == other


@given(plain)
def test_plain_data_comes_out_as_it_went_in(value):
    assert same(across(value), value)


def test_large_numbers_and_odd_floats():
    assert across(10**10_000) == 10**10_000
    assert across(-(2**53)) == -(2**53)
    assert across(float("inf")) == float("inf")
    assert np.isnan(across(float("nan")))
    assert across("\ud800") == "\ud800"


def test_types_of_its_own_become_pythons_own():
    class Sly(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    class Colour(enum.IntEnum):
        RED = 3

    Point = collections.namedtuple("Point", "x y")
    for value, plainly in (
        (Sly(3), 3),
        (Colour.RED, 3),
        (Point(1, 2), (1, 2)),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (np.float64(0.5), 0.5),
        (np.arange(3), [0, 1, 2]),
        (bytearray(b"x"), b"x"),
    ):
        assert same(across(value), plainly)


def test_everything_else_stays_where_it_is():
    assert across(object()) == ("object", 7)
    assert across([len]) == [("object", 7)]


@pytest.mark.parametrize("data", [{}, {"a": 1}, {"int": "0x1", "x": 2}, {"pickle": "x"}])
def test_unknown_tags_are_refused(data):
    with pytest.raises(ValueError, match="no value is encoded"):
        decode(data, lambda number: number)
