from __future__ import annotations

import math

import pytest
import torch

from learners.language.preferences import dpo
from learners.objectives.token_regularised import contrastive_rewards, token_regularised_dpo

MASK = torch.tensor([[[True, True]], [[True, False]]])
RATIO = torch.tensor([[[0.5, -0.2]], [[1.0, 99.0]]])


def test_without_alpha_or_with_equal_prompts_it_is_dpo():
    plain = dpo(torch.tensor([0.3 - 1.0]), 0.1)
    assert torch.allclose(token_regularised_dpo(RATIO, torch.full((2, 1, 2), 0.4), MASK, alpha=0.0), plain)
    same = contrastive_rewards(RATIO, RATIO)
    assert same.abs().max() == 0
    assert torch.allclose(token_regularised_dpo(RATIO, same, MASK), plain)


def test_by_hand():
    rewards = torch.tensor([[[0.5, -0.5]], [[0.25, 7.0]]])
    gain = 0.1 * (0.25 + 0.1 + 0.25)
    weight = 1 / (1 + math.exp(0.1 * -0.7))
    expected = -math.log(1 / (1 + math.exp(0.07))) - 0.2 * weight * gain
    assert token_regularised_dpo(RATIO, rewards, MASK, alpha=0.2).item() == pytest.approx(expected, rel=1e-5)


def test_a_good_token_is_raised_also_in_the_rejected_answer():
    ratio = torch.zeros(2, 1, 2, requires_grad=True)
    rewards = torch.tensor([[[0.0, 0.0]], [[0.5, 0.0]]])
    token_regularised_dpo(ratio, rewards, torch.ones(2, 1, 2, dtype=torch.bool), alpha=4.0).sum().backward()
    assert ratio.grad[1, 0, 0] < 0 < ratio.grad[1, 0, 1]


def test_bounds():
    assert contrastive_rewards(torch.tensor([50.0, -50.0]), torch.zeros(2)).tolist() == [0.5, -0.5]
    with pytest.raises(ValueError, match="expected at least 0"):
        token_regularised_dpo(RATIO, RATIO, MASK, alpha=-1)
