from __future__ import annotations

import math

import pytest
import torch

from learners.objectives.rubric_guidance import exchanged, guidance, rubric_rewards


def test_one_item_and_no_refinement_is_the_outcome_itself():
    outcome = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert torch.equal(rubric_rewards(outcome[..., None], torch.tensor([3.0])), outcome)
    nothing = torch.full((2,), math.nan)
    assert not exchanged(outcome, nothing, guidance(outcome[..., None], torch.ones(1)).bar).any()


def test_a_group_with_a_full_answer_is_left_alone_and_in_others_the_best_is_told_what_it_misses():
    met = torch.tensor([[[1.0, 1, 1], [0, 0, 0]], [[1, 0, 0], [0, 1, 0]]])
    weights = torch.tensor([1.0, 2.0, 1.0])
    found = guidance(met, weights)
    assert rubric_rewards(met, weights).tolist() == [[1.0, 0.0], [0.25, 0.5]]
    assert found.needed.tolist() == [False, True] and found.best.tolist() == [0, 1]
    assert found.unmet.tolist() == [[False] * 3, [True, False, True]]
    assert found.bar.tolist() == [math.inf, 0.5]


def test_the_worst_gives_way_to_what_is_better_than_the_best():
    rewards = torch.tensor([[0.2, 0.5, math.nan], [0.2, 0.5, 0.0], [0.0, 0.1, 0.2], [math.nan] * 3])
    bar = torch.tensor([0.5, 0.5, math.inf, 0.0])
    found = exchanged(rewards, torch.tensor([0.6, 0.5, 1.0, 1.0]), bar)
    assert found.tolist() == [[True, False, False], [False] * 3, [False] * 3, [False] * 3]


def test_an_item_that_does_not_count_is_not_missed_and_what_is_not_known_is_no_zero():
    met = torch.tensor([[[1.0, 0.0], [math.nan, 1.0]], [[math.nan, 1.0], [math.nan, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    weights = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    rewards, found = rubric_rewards(met, weights), guidance(met, weights)
    assert rewards[0, 0] == 1 and rewards[:2].isnan().tolist() == [[False, True], [True, True]]
    assert found.needed.tolist() == [False, False, True]
    assert found.unmet[0].tolist() == [False, False] and found.unmet[2].tolist() == [True, False]


def test_shapes_and_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected \[P, G, M\]"):
        rubric_rewards(torch.zeros(2, 3, 4), torch.ones(3))
    with pytest.raises(ValueError, match="a sum above 0"):
        rubric_rewards(torch.zeros(2, 3, 4), torch.zeros(4))
    with pytest.raises(ValueError, match=r"expected \[P, G\], \[P\] and \[P\]"):
        exchanged(torch.zeros(2, 3), torch.zeros(3), torch.zeros(2))
