from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.views.parts import part_of
from rewards.views.view import Config, RewardView

COSTS = st.lists(st.floats(0, 1e3), min_size=2, max_size=20)


def scaled(*batches, **settings):
    """What becomes of the last of several batches."""
    part = {"part": "percentile_scale", "of": "cost", "to": "reward", **settings}
    view = RewardView(Config.model_validate({"name": "cheap", "parts": [part]}))
    for batch in batches:
        values = np.array([np.nan if cost is None else cost for cost in batch], np.float32)
        found = view.apply({"cost": Column(values, ~np.isnan(values))})
    return [round(float(r), 5) if w else None for r, w in zip(found.reward, found.weight, strict=True)]


def router(alpha, right, cost, form):
    """The whole reward of a router."""
    parts = [
        {"part": "percentile_scale", "preset": "router_r1", "of": "cost", "to": "cheap"},
        {"part": "gate", "preset": "if_right", "of": "cheap"},
        {"part": "weighted_sum", "coefficients": {"right": 1 - alpha, "cheap": alpha}},
        {"part": "gate", "preset": "form_or_minus_one", "of": "reward"},
    ]
    view = RewardView(Config.model_validate({"name": "router", "parts": parts}))
    columns = {"right": Column.full(right), "cost": Column.full(cost), "form": Column.full(form)}
    return view.apply(columns).reward.tolist()


def test_a_router_without_a_price_is_paid_for_form_and_outcome_and_a_malformed_answer_is_exactly_minus_1():
    right, cost, form = [1, 1, 0, 1, 0], [4, 9, 1, 1, 4], [1, 1, 1, 0, 0]
    assert router(0.0, right, cost, form) == [1, 1, 0, -1, -1]
    priced = router(0.6, right, cost, form)
    assert priced[3:] == [-1, -1] and priced[2] == 0, "a cheap wrong answer is worth nothing"
    assert priced[0] > priced[1] == pytest.approx(0.4)


def test_of_costs_that_are_all_alike_each_is_worth_a_half():
    assert scaled([3, 3, 3], preset="router_r1") == [0.5, 0.5, 0.5]
    assert scaled([7], preset="router_r1") == [0.5]


def test_by_hand():
    # Roots 1, 2, 3; a quarter and three quarters of them are 1.5 and 2.5.
    assert scaled([1, 4, 9], low=0.25, high=0.75, transform="root") == [0, 0.5, 1]
    assert scaled([1, 4, 9], low=0.25, high=0.75, transform="root", falling=True) == [1, 0.5, 0]
    assert scaled([0, 10, 5], low=0, high=1) == [0, 1, 0.5]


def test_only_the_latest_are_remembered_and_null_is_not_among_them():
    assert scaled([0, 100], [5, 10], low=0, high=1, window=2) == [0, 1]
    assert scaled([0, 100], [5, 10], low=0, high=1) == [0.05, 0.1]
    assert scaled([0, None, 8], [None, 4], low=0, high=1) == [None, 0.5]


@given(COSTS, st.floats(0.01, 100))
def test_another_currency_changes_nothing(costs, rate):
    part = part_of({"part": "percentile_scale", "preset": "router_r1", "of": "cost"})

    def found(values):
        return np.array(scaled(values, **part.model_dump(exclude={"part", "of", "to"})))

    values = np.array(costs, np.float32)
    if np.ptp(values) > 1:  # below, float32 has other numbers in the other currency
        assert found(values * np.float32(rate)) == pytest.approx(found(values), abs=1e-3)
    assert ((found(values) >= 0) & (found(values) <= 1)).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected low below high"):
        part_of({"part": "percentile_scale", "of": "cost", "low": 0.9, "high": 0.1})
    with pytest.raises(ValueError, match="got cost of -4; expected at least 0"):
        scaled([1, -4], transform="root")
