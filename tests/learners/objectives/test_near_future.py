from __future__ import annotations

import math

import pytest
import torch

from learners.objectives.near_future import best_guide, learning_signal, replaced, stalled


def bools(*rows):
    return torch.tensor(rows, dtype=torch.bool)


def test_nothing_is_replaced_where_none_may_be_and_right_answers_take_the_places_of_wrong_ones():
    own, guide = bools([1, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]), bools([0, 1, 1], [1, 1, 1], [0, 0, 1])
    assert (replaced(own, guide, 0) == -1).all()  # on-policy GRPO
    assert replaced(own, guide, 2).tolist() == [[-1, -1, 2, 1], [-1, -1, -1, -1], [-1, -1, -1, 2]]
    with pytest.raises(ValueError, match="got most=5"):
        replaced(own, guide, 5)


def test_a_checkpoint_that_is_the_policy_itself_costs_nothing_and_teaches_nothing():
    found = learning_signal(bools([1, 0])[0], bools([1, 0])[0], torch.zeros(4))
    assert found == (0.0, 1.0, 0.0)
    assert best_guide([found]) is None and best_guide([]) is None


def test_the_best_guide_is_strong_and_near():
    own = bools([1, 0, 0, 0])[0]
    near = learning_signal(bools([1, 1, 0, 0])[0], own, torch.zeros(1))
    middle = learning_signal(bools([1, 1, 1, 0])[0], own, torch.full((2,), math.log(1.5) / 2))
    far = learning_signal(bools([1, 1, 1, 1])[0], own, torch.full((2,), math.log(9.0) / 2))
    assert [round(s.value, 5) for s in (near, middle, far)] == [0.25, 0.33333, 0.08333]
    assert best_guide([near, middle, far]) == 1


def test_a_run_has_stalled_when_its_reward_no_longer_rises():
    assert not stalled([0.0, 0.1, 0.2], 3, 0.05) and stalled([0.0, 0.5, 0.5, 0.5], 3, 0.05)
    assert not stalled([1.0], 3, 0.05)
    with pytest.raises(ValueError, match="at least 2"):
        stalled([1.0], 1, 0.0)
