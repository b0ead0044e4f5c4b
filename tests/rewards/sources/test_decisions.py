from __future__ import annotations

import numpy as np
import pytest

from rewards.sources.decisions import collapsed, constant_worth, decision_reward


def test_a_constant_policy_earns_on_average_what_the_formula_says():
    random = np.random.default_rng(0)
    actual = random.choice(3, 200_000, p=[0.7, 0.2, 0.1])
    bonus, penalty = [1.0, 2.0, 3.0], [0.5, 5.0, 0.0]
    worth = constant_worth([0.7, 0.2, 0.1], bonus, penalty)
    np.testing.assert_allclose(worth, [0.7 - 1.0, 0.4 - 0.35, 0.3 - 1.35], atol=1e-9)
    for always in range(3):
        paid = decision_reward(np.full_like(actual, always), actual, bonus, penalty)
        assert paid.mean() == pytest.approx(worth[always], abs=0.03)


def test_by_hand_and_what_is_not_known_is_null():
    paid = decision_reward([0, 1, 1, -1, 0], [0, 1, 0, 1, -1], [1.0, 2.0], [0.5, 5.0])
    np.testing.assert_array_equal(paid, [1.0, 2.0, -0.5, np.nan, np.nan])


def test_a_monitor_sees_a_class_that_is_never_decided_for():
    assert collapsed(0.0, 0.2, 0.15) and not collapsed(0.25, 0.2, 0.15)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        collapsed(1.5, 0.2, 0.1)
    with pytest.raises(ValueError, match="beyond 1"):
        decision_reward([2], [0], [1, 1], [1, 1])
    with pytest.raises(ValueError, match="summing to 1"):
        constant_worth([0.5, 0.6], [1, 1], [1, 1])
