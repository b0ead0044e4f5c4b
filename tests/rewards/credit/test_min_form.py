from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.credit.min_form import MinForm
from rewards.views.layout import Layout
from rewards.views.part import Table


def formed(rewards, steps, temperature=0.1):
    valid = np.array([v is not None for v in rewards])
    column = Column(np.array([np.nan if v is None else v for v in rewards]), valid)
    found = MinForm(of="r", temperature=temperature).apply(Table({"r": column}, Layout.of(steps=steps)), {})
    return [float(v) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_weights_by_hand():
    low, high = 1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(1.0))  # softmax of 0 and −(0.6 − 0.5)/0.1
    assert formed([0.5, 0.6], [2]) == pytest.approx([0.5 * low, 0.6 * high])
    assert formed([0.7], [1]) == pytest.approx([0.7])
    assert sum(formed([0.4] * 5, [5])) == pytest.approx(0.4)
    assert formed([0.5, None, 0.6, 0.3], [3, 1]) == [
        pytest.approx(0.5 * low),
        None,
        pytest.approx(0.6 * high),
        pytest.approx(0.3),
    ]


@settings(max_examples=25, deadline=None)
@given(rewards=st.lists(st.integers(-20, 20), min_size=1, max_size=8))
def test_the_sum_is_the_least_reward_for_a_small_temperature(rewards):
    assert sum(formed(rewards, [len(rewards)], temperature=0.01)) == pytest.approx(min(rewards), abs=1e-4)


def test_huge_rewards_do_not_overflow():
    assert formed([1e30, -1e30], [2]) == [0, pytest.approx(-1e30)]
