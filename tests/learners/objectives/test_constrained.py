from __future__ import annotations

import pytest
import torch

from learners.objectives.constrained import best_feasible, constrained_pairs, near_reference


def test_the_best_feasible_answer_meets_the_worst_infeasible_one_and_other_prompts_are_skipped():
    rewards = torch.tensor([[9.0, 1.0, 2.0, -3.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    feasible = torch.tensor([[False, True, True, False], [False] * 4, [True] * 4])
    chosen, rejected = constrained_pairs(rewards, feasible)
    assert chosen.tolist() == [2, -1, -1] and rejected.tolist() == [3, -1, -1]
    assert best_feasible(rewards, feasible).tolist() == [2, -1, 3]


def test_who_has_strayed_is_left_out_and_shapes_must_fit():
    assert near_reference(torch.tensor([0.5, 3.0]), 1.0).tolist() == [True, False]
    with pytest.raises(ValueError, match="expected \\[P, G\\]"):
        best_feasible(torch.zeros(2, 3), torch.ones(2, 2, dtype=torch.bool))
