from __future__ import annotations

import pytest
import torch

from learners.language.preferences import dpo
from learners.objectives.group_equivalent import group_equivalent


def test_one_winner_and_one_loser_is_dpo_and_without_variance_it_is_dpo_between_means():
    won, lost = torch.tensor([[0.3], [-1.0]]), torch.tensor([[-0.5], [2.0]])
    assert torch.allclose(group_equivalent(won, lost), dpo((won - lost)[:, 0], 0.1))
    several, others = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, -2.0, -4.0]])
    assert torch.allclose(group_equivalent(several, others, variance_weight=0.0), dpo(torch.tensor([2.0 + 2.0]), 0.1))


def test_the_variance_of_equivalents_is_charged_and_missing_ones_are_left_out():
    several, others = torch.tensor([[1.0, 3.0, 99.0]]), torch.zeros(1, 1)
    known = torch.tensor([[True, True, False]])
    # β = 1: mean 2, population variance 1
    found = group_equivalent(several, others, beta=1.0, variance_weight=0.5, known=known)
    assert torch.allclose(found, dpo(torch.tensor([2.0]), 1.0) + 0.5)


def test_a_prompt_without_winners_is_refused():
    with pytest.raises(ValueError, match="one of each"):
        group_equivalent(torch.zeros(1, 2), torch.zeros(1, 1), known=torch.zeros(1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="expected \\[P, n\\]"):
        group_equivalent(torch.zeros(1, 2), torch.zeros(2, 1))
