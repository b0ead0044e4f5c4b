"""Whole numbers in the place of values: in their order, and equal where they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.views.keys import numbered, ordered, pairs, ranks
from rewards.views.layout import Layout

floats = st.floats(allow_nan=False, width=32)
whole = st.integers(-5, 5) | st.integers(-(2**40), 2**40)


@given(st.lists(floats, max_size=30))
def test_bits_are_in_the_order_of_floats(values):
    array = np.array(values, np.float32)
    keys = ordered(array)
    assert ((keys >= 0) & (keys < 2**32)).all()
    for a, x in zip(array, keys, strict=True):
        assert (keys < x).tolist() == (array < a).tolist() and (keys == x).tolist() == (array == a).tolist()


def test_both_zeros_are_one_and_infinities_are_at_the_ends():
    keys = ordered(np.array([-np.inf, -1.0, -0.0, 0.0, 1e-45, np.inf], np.float32))
    assert keys[2] == keys[3]
    assert (np.diff(keys[[0, 1, 2, 4, 5]]) > 0).all()


@pytest.mark.slow
@given(st.lists(whole, max_size=30) | st.lists(floats, max_size=30))
def test_numbers_are_those_of_numpy_s_unique(values):
    array = np.array(values)
    np.testing.assert_array_equal(numbered(array), np.unique(array, return_inverse=True)[1].reshape(-1))


@given(st.lists(st.tuples(st.integers(0, 6), whole | floats), max_size=30))
def test_pairs_are_those_of_numpy_s_unique(values):
    one, two = np.array([a for a, _ in values], np.int64), np.array([float(b) for _, b in values], np.float64)
    expected = np.unique(np.stack([one.astype(float), two]), axis=1, return_inverse=True)[1] if values else []
    np.testing.assert_array_equal(pairs(one, two), np.reshape(expected, -1))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3) | st.integers(0, 2**33 - 2)), max_size=30), st.booleans()
)
def test_ranks_are_those_of_a_sort_of_each_group(members, skewed):
    group = np.array([g + 1000 * (skewed and g == 3) for g, _ in members], np.int64)
    keys = np.array([k for _, k in members], np.int64)
    expected = [
        sum(h == g and (j, at) < (k, place) for at, (h, j) in enumerate(zip(group, keys, strict=True)))
        for place, (g, k) in enumerate(zip(group, keys, strict=True))
    ]
    assert ranks(group, keys).tolist() == expected


def test_a_layout_says_who_owns_what_once_and_nobody_may_write_it():
    layout = Layout.of(steps=[2, 1, 3], group=[0, 1, 0], tokens=[1, 0, 2, 1, 1, 1])
    owner = layout.owner("token", "group")
    assert owner.tolist() == [0, 1, 1, 0, 0, 0]
    assert layout.owner("token", "group") is owner
    assert layout.owner("step", "step").tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="read-only"):
        owner[0] = 1
    assert layout.group.flags.writeable
    assert layout.place("step").tolist() == [0, 1, 0, 0, 1, 2]
    assert layout.place("token").tolist() == [0, 0, 1, 0, 1, 2]
