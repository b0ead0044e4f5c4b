from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.advantages.decoupled import Decoupled
from rewards.advantages.group_relative import GroupRelative
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def table(group, **rewards):
    layout = Layout.of(steps=[1] * len(group), group=group)
    return Table({n: column(*v) for n, v in rewards.items()}, layout, dict.fromkeys(rewards, "episode"))


def test_combinations_that_grpo_confuses_stay_apart():
    # Two groups of two: format and answer (0, 0) against (0, 1), and (0, 0) against (1, 1).
    shown = table([0, 0, 1, 1], a=(0, 0, 0, 1), b=(0, 1, 0, 1))
    apart = Decoupled(coefficients={"a": 1, "b": 1}, epsilon=0, batch=False).apply(shown, {}).values
    assert apart.tolist() == pytest.approx([-0.70711, 0.70711, -1.41421, 1.41421], rel=1e-5)
    total = table([0, 0, 1, 1], r=(0, 1, 0, 2))
    assert GroupRelative(of="r", epsilon=0).apply(total, {}).values.tolist() == pytest.approx(
        [-0.70711, 0.70711] * 2, rel=1e-5
    )
    whole = Decoupled(coefficients={"a": 1, "b": 1}, epsilon=0).apply(shown, {}).values
    assert whole.tolist() == pytest.approx((apart / apart.std(ddof=1)).tolist(), rel=1e-5)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.lists(st.none() | st.floats(-9, 9, width=16), min_size=6, max_size=6))
def test_with_one_reward_it_is_grpo(values):
    shown = table([0, 0, 0, 1, 1, 1], r=values)
    one = Decoupled(coefficients={"r": 1}).apply(shown, {})
    other = GroupRelative(of="r", epsilon=1e-4).apply(shown, {})
    np.testing.assert_array_equal(one.valid, other.valid)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-6)


def test_what_is_not_known_of_one_reward_still_counts_for_the_other():
    shown = table([0, 0, 0], a=(0, 1, None), b=(0, 0, 3))
    found = Decoupled(coefficients={"a": 1, "b": 1}, epsilon=0, batch=False).apply(shown, {})
    assert found.valid.tolist() == [True, True, False]
    b = -1 / np.sqrt(3)  # (0 − 1) / √3: the third answer is in the mean of b
    assert found.values[:2].tolist() == pytest.approx([-0.70711 + b, 0.70711 + b], abs=1e-5)


def test_equal_rewards_have_no_advantage_and_weights_must_be_finite():
    found = Decoupled(coefficients={"a": 1, "b": 2}).apply(table([0, 0], a=(0.1, 0.1), b=(3, 3)), {})
    assert found.values.tolist() == [0, 0]
    with pytest.raises(ValueError, match="finite"):
        Decoupled(coefficients={"a": float("inf")})
