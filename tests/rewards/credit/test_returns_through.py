from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView

NUMBERS = st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6)
UI_S1 = {"part": "returns", "preset": "ui_s1", "of": "r"}


def made(layout, part, *more, **columns):
    """What a view of the parts writes last, None for NULL."""
    parts = [part, *more, {"part": "weighted_sum", "coefficients": {(more or [part])[-1].get("to", "r"): 1.0}}]
    levels = {name: "step" for name in columns}
    view = RewardView(Config.model_validate({"name": "returns", "components": levels, "parts": parts}))
    given = {
        name: Column(np.array([v or 0 for v in values], np.float32), np.array([v is not None for v in values]))
        for name, values in columns.items()
    }
    found = view.apply(given, layout)
    return [float(r) if w else None for r, w in zip(found.reward, found.weight, strict=True)]


def test_credit_does_not_cross_a_patch():
    # The second step does not match: it keeps its own reward, and the first is not paid for it or for what follows.
    layout = Layout.of([4])
    found = made(layout, UI_S1, r=[1, 0.1, 1, 1], match=[1, 0, 1, 1])
    assert found == pytest.approx([1, 0.1, 1.5, 1])
    assert made(layout, UI_S1, r=[1, 0.1, 1, 1], match=[1, 1, 1, 1]) == pytest.approx([1.425, 0.85, 1.5, 1])


@given(NUMBERS)
def test_who_always_matches_has_plain_discounted_returns(rewards):
    layout = Layout.of([4, 2])
    plain = made(layout, {"part": "returns", "of": "r", "gamma": 0.5}, r=rewards)
    assert made(layout, UI_S1, r=rewards, match=[1] * 6) == plain


@given(NUMBERS, st.lists(st.sampled_from([0, 1]), min_size=6, max_size=6))
def test_without_discounted_future_and_episode_it_is_grpo_of_single_steps(rewards, match):
    layout = Layout.of([2, 2, 2], group=[0, 0, 0])
    stepwise = {"part": "position_relative", "preset": "tp_grpo", "of": "r", "to": "of step"}
    whole = [
        {"part": "reduce", "of": "paid", "by": "sum", "to": "all"},
        {"part": "group_relative", "preset": "grpo", "of": "all", "to": "of episode"},
        {"part": "weighted_sum", "coefficients": {"of step": 1.0, "of episode": 0.0}, "to": "summed"},
    ]
    columns = {"r": rewards, "paid": rewards, "match": match}
    found = made(layout, {**UI_S1, "gamma": 0.0}, stepwise, *whole, **columns)
    assert found == made(layout, stepwise, r=rewards)


def test_where_credit_flows_unknown_the_returns_are():
    layout = Layout.of([4])
    assert made(layout, UI_S1, r=[1, 1, 1, 1], match=[1, None, 1, 1]) == [None, None, 1.5, 1]
    assert made(layout, UI_S1, r=[1, 1, None, 1], match=[0, 1, 1, 1]) == [1, None, None, 1]
