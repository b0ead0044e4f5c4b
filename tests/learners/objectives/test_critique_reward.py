from __future__ import annotations

import math

import pytest
import torch

from learners.language.reward_losses import bradley_terry
from learners.objectives.critique_reward import critique_reward_losses, mean_score

LOGS = torch.log(torch.tensor([[[0.5, 0.25], [0.1, 0.1]], [[0.5, 0.9], [0.1, 0.1]]]))
MASK = torch.tensor([[[True, True], [False, False]], [[True, False], [False, False]]])
CHOSEN, REJECTED = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 2.0])


def test_writing_and_scoring_by_hand_and_pairs_alone_without_weight_or_critique():
    found = critique_reward_losses(LOGS, MASK, CHOSEN, REJECTED, 0.5)
    writing = 4 * math.log(2) / 3  # log 2 + log 4 + log 2 over three words
    assert found.tolist() == pytest.approx([0.5 * writing + math.log(1 + math.exp(-1)), math.log(2)])
    assert torch.equal(critique_reward_losses(LOGS, MASK, CHOSEN, REJECTED, 0.0), bradley_terry(CHOSEN, REJECTED))


def test_what_does_not_count_may_be_anything():
    logs = torch.where(MASK, LOGS, -torch.inf).requires_grad_()
    critique_reward_losses(logs, MASK, CHOSEN, REJECTED).sum().backward()
    assert torch.isfinite(logs.grad).all() and (logs.grad[~MASK] == 0).all()


def test_a_critique_that_is_missing_is_not_a_score_of_0():
    scores = torch.tensor([[1.0, 3.0, 5.0], [2.0, torch.nan, 4.0], [torch.nan] * 3])
    mean, there = mean_score(scores, ~scores.isnan())
    assert mean[:2].tolist() == [3.0, 3.0] and there.tolist() == [True, True, False]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected \[2, P, T\]"):
        critique_reward_losses(LOGS[0], MASK[0], CHOSEN, REJECTED)
    with pytest.raises(ValueError, match="expected equal"):
        mean_score(CHOSEN, torch.tensor(True))
