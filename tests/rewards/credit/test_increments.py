from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of

LEVELS = {"prior": "episode", "mass": "episode"}


def column(values):
    array = np.array([np.nan if v is None else v for v in values])
    return Column(array, ~np.isnan(array))


def gained(values, steps, prior=(0.5,), mass=(1.0,), began=None, ended=None, **settings):
    columns = {"v": column(values), "prior": column(prior), "mass": column(mass)}
    part = part_of({"part": "increments", "of": "v", **settings})
    found = part.apply(Table(columns, Layout.of(steps=steps, began=began, ended=ended), LEVELS), {})
    return [round(float(v), 5) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_increments_by_hand():
    assert gained([0.2, 0.5, 0.1, 0.3], [3, 1], prior=[0.0, 0.5], preset="p2s") == [0.2, 0.3, -0.4, 0.3]
    assert gained([0.2, 0.5, 0.1, 0.3], [3, 1], prior=[0.1, 0.5], before="prior") == [0.1, 0.3, -0.4, -0.2]
    last = gained([0.5, 0.5], [2], mass=[0.8], preset="siop")
    assert last == [0, 0.4]  # nothing learnt: the last turn earns (1 − λ) q
    assert gained([0.5], [1], mass=[0.8], preset="siop") == [0.4]


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.floats(0, 1, width=16), min_size=1, max_size=6),
    prior=st.floats(0, 1, width=16),
    mass=st.floats(0, 1, width=16),
)
def test_turns_telescope_to_what_was_learnt_in_all(values, prior, mass):
    found = sum(gained(values, [len(values)], prior=[prior], mass=[mass], preset="siop"))
    expected = mass * (math.log(values[-1] + 1e-6) - math.log(prior + 1e-6)) + 0.5 * mass
    assert found == pytest.approx(expected, abs=1e-3)
    gain = sum(gained(values, [len(values)], prior=[prior], preset="information_gain"))
    assert gain == pytest.approx(math.log(values[-1] + 1e-6) - math.log(prior + 1e-6), abs=1e-3)


def test_a_step_that_looks_back_on_what_is_not_known_is_not_known():
    assert gained([0.2, None, 0.1, 0.3], [4], before="prior") == [-0.3, None, None, 0.2]
    assert gained([0.2, 0.3], [2], prior=[None], before="prior") == [None, 0.1]
    assert gained([0.2, 0.3], [1, 1], prior=[0.1] * 2, mass=[1, None], weight="mass") == [0.2, None]
    assert gained([0.2, 0.3, 0.5, 0.1], [2, 2], began=[True, False]) == [0.2, 0.1, None, -0.4]


def test_what_ends_an_episode_is_not_paid_where_it_was_cut():
    rows = {"steps": [2, 2], "began": [True, False], "ended": [False, True]}
    assert gained([0.2, 0.3, 0.5, 0.1], **rows, final=2.0) == [0.2, 0.1, None, 1.6]


def test_a_logarithm_of_what_is_below_0_is_refused():
    with pytest.raises(ValueError, match="expected no value below 0"):
        gained([-0.1], [1], log=True)
