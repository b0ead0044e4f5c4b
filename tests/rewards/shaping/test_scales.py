from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of


def made(part, columns, group_level=()):
    number = len(columns["r"])
    shown = {
        name: Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))
        for name, values in columns.items()
    }
    levels = {name: "group" if name in group_level else "episode" for name in columns}
    built = part_of({"of": "r", **part})
    found = built.apply(Table(shown, Layout.of([1] * number, [0] * number), levels), {"batches": 1})
    return [round(float(v), 5) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_an_answer_as_good_as_the_reference_is_worth_a_half_and_a_reference_that_failed_is_left_out():
    par = {"part": "reference_relative", "preset": "par", "references": ["x", "y"]}
    shown = {"r": [1.0, 3.0, None], "x": [1.0], "y": [None]}
    assert made(par, shown, ("x", "y")) == [0.5, round(1 / (1 + np.exp(-2.0)), 5), None]
    assert made(par, {"r": [1.0], "x": [None], "y": [None]}, ("x", "y")) == [None]


@settings(max_examples=50, deadline=None)
@given(st.floats(-4, 4, width=16), st.floats(-4, 4, width=16), st.floats(-4, 4, width=16))
def test_a_constant_added_to_the_reward_model_changes_nothing(score, reference, more):
    par = {"part": "reference_relative", "preset": "par", "references": ["x"]}
    one = made(par, {"r": [score], "x": [reference]}, ("x",))
    two = made(par, {"r": [score + more], "x": [reference + more]}, ("x",))
    assert one == pytest.approx(two, abs=1e-4) and 0 <= one[0] <= 1


def test_with_one_zone_only_the_exact_answer_is_paid_and_with_four_by_quarters():
    shown = {"r": [0.2, 0.25, 0.75, 1.0, 1.7, None]}
    assert made({"part": "tiers", "zones": 1}, shown) == [0, 0, 0, 1, 1, None]
    assert made({"part": "tiers", "preset": "ssl"}, shown) == [0, 0.25, 0.75, 1, 1, None]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1, width=16), min_size=2, max_size=6), st.integers(1, 9))
def test_zones_keep_the_order(near, zones):
    found = made({"part": "tiers", "zones": zones}, {"r": sorted(near)})
    assert found == sorted(found)


def test_the_median_of_a_task_is_worth_a_half_whatever_its_unit():
    part = {"part": "quartile_logistic", "preset": "medgrpo", "quartiles": {0: (1, 2, 3), 1: (100, 200, 300)}}
    shown = {"r": [2, 4, 200, 400, 0, None], "task": [0, 0, 1, 1, 0, 0]}
    assert made(part, shown) == [0.5, 0.95257, 0.5, 0.95257, 0.04743, None]
    with pytest.raises(ValueError, match=r"got tasks \[7\] without quartiles"):
        made(part, {"r": [1], "task": [7]})
    with pytest.raises(ValueError, match="expected p25"):
        part_of({**part, "of": "r", "quartiles": {0: (3, 2, 1)}})


def test_a_factor_goes_from_start_to_end_and_stays_there():
    part = part_of({"part": "anneal", "preset": "atom_searcher_process", "of": "r", "period": 4})
    assert [part.weight(k) for k in (1, 3, 5, 99)] == [0.5, 0.25, 0, 0]
    both = part_of({"part": "anneal", "preset": "atom_searcher_outcome", "of": "r", "period": 4})
    assert all(part.weight(k) + both.weight(k) == 1 for k in range(1, 9))
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        part_of({"part": "anneal", "of": "r", "start": 1, "end": 0, "period": 0})


def test_a_closed_gate_pays_what_it_is_told_to():
    gate = {"part": "gate", "preset": "form_or_minus_one"}
    assert made(gate, {"r": [1.1, 1.0, None], "form": [1, 0, 1]}) == [1.1, -1, None]
    assert made(gate, {"r": [1.0], "form": [None]}) == [None]
