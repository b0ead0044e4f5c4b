from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.credit.turning_point import TurningPoint
from rewards.views.layout import Layout
from rewards.views.part import Table


def paid(values, start, steps, began=None, ended=None, **settings):
    arrays = [np.array([np.nan if v is None else v for v in found]) for found in (values, start)]
    columns = {name: Column(a, ~np.isnan(a)) for name, a in zip(("v", "start"), arrays, strict=True)}
    table = Table(columns, Layout.of(steps=steps, began=began, ended=ended), {"start": "episode"})
    found = TurningPoint(of="v", **settings).apply(table, {})
    return [round(float(v), 5) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_turning_points_by_hand():
    # 0 → −1 → 0 → 2: the second step turns against the trend of the first, and the third follows it.
    assert paid([-1, 0, 2], [0], [3]) == [-1, 3, 2]
    # 0 → 1 → 0.5 → 2: the first step goes where all goes; so does the last, which has nothing after it.
    assert paid([1, 0.5, 2], [0], [3]) == [2, -0.5, 1.5]
    # 0 → 1 → 2 → 1.5: the first step is followed by more; no other turns.
    assert paid([1, 2, 1.5], [0], [3]) == [1.5, 1, -0.5]
    assert paid([0.7], [0.2], [1]) == [0.5]  # the outcome less the deterministic baseline
    assert paid([1, 2, 1.5], [0], [3], began=[False]) == [None, 1, -0.5]  # what came before the first is elsewhere


def test_a_monotone_path_turns_nowhere_inside():
    assert paid([1, 2, 4, 5], [0], [4]) == [5, 1, 2, 1]
    assert paid([1, 2, 4, 5, 3, 2, 0], [0, 5], [4, 3]) == [5, 1, 2, 1, -5, -1, -2]


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=7), start=st.integers(-3, 3))
def test_each_step_is_paid_its_increment_or_all_that_came_of_it(values, start):
    found = paid(values, [start], [len(values)])
    before = np.array([start, *values[:-1]])
    change, whole = np.array(values) - before, values[-1] - before
    assert all(f in (c, w) for f, c, w in zip(found, change, whole, strict=True))
    if all(f == c for f, c in zip(found, change, strict=True)):
        assert sum(found) == values[-1] - start


def test_balanced_keeps_as_many_down_as_up():
    values, start, steps = [-1, 0, 2, -1, 0, 3, 1, 0, -2], [0, 0, 0], [3, 3, 3]
    assert paid(values, start, steps) == [-1, 3, 2, -1, 4, 3, 1, -3, -2]
    assert paid(values, start, steps, balance=True) == [-1, 1, 2, -1, 4, 3, 1, -3, -2]


def test_what_hangs_on_an_unknown_end_is_unknown():
    assert paid([1, 2, None, 1], [0, 0], [3, 1]) == [None, None, None, 1]
    assert paid([1, None, 3], [0], [3]) == [pytest.approx(3), None, None]
    assert paid([1, 2], [None], [2]) == [None, None]
    assert paid([1, 2, 1], [0, 0], [2, 1], ended=[False, True]) == [None, None, 1]  # where it was cut, R_T is not here
