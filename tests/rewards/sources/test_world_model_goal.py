from __future__ import annotations

import numpy as np
import pytest

from rewards.sources.world_model_goal import action_deviation, best_and_worst, chunk_reward, goal_distance

FORETOLD = [[1.0, 1.0], [0.0, 0.5], [3.0, 0.0]]
ACTIONS = [[[1.0], [1.0]], [[0.0], [0.0]], [[1.0], [0.0]]]
SHOWN = [[1.0], [0.5]]


def test_both_rewards_by_hand_and_their_sum():
    far, off = goal_distance(FORETOLD, [1.0, 0.0]), action_deviation(ACTIONS, SHOWN)
    assert far.tolist() == [-1.0, -1.5, -2.0] and off.tolist() == [-0.5, -1.5, -0.5]
    assert chunk_reward(FORETOLD, [1.0, 0.0], ACTIONS, SHOWN, 0.5).tolist() == [-1.25, -2.25, -2.25]
    assert chunk_reward(FORETOLD, [1.0, 0.0], ACTIONS, SHOWN, 0.0).tolist() == far.tolist()
    heavy = chunk_reward(FORETOLD, [1.0, 0.0], [*ACTIONS[:2], [[0.6], [0.5]]], SHOWN, 1e6)
    assert heavy.argsort().tolist() == [1, 0, 2]  # the order of cloning


def test_what_is_unknown_is_in_no_pair():
    found = best_and_worst([[np.nan, 1.0, 3.0], [2.0, 2.0, np.nan], [np.nan, np.nan, 0.0], [-1.0, 0.0, -2.0]])
    assert found.valid.tolist() == [True, False, False, True]
    assert (found.chosen[0], found.rejected[0]) == (2, 1) and (found.chosen[3], found.rejected[3]) == (1, 2)
    assert np.isnan(goal_distance([[np.nan, 0.0]], [0.0, 0.0])).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected \[..., N, D\]"):
        goal_distance(FORETOLD, [1.0])
    with pytest.raises(ValueError, match=r"expected \[..., N, h, m\]"):
        action_deviation(ACTIONS, [[1.0]])
    with pytest.raises(ValueError, match="at least 0"):
        chunk_reward(FORETOLD, [1.0, 0.0], ACTIONS, SHOWN, -1.0)
    with pytest.raises(ValueError, match="at least one"):
        best_and_worst(np.zeros((2, 0)))
