from __future__ import annotations

import math

import pytest
import torch

from learners.objectives.adversarial_fitting import adversarial_fitting, log_odds

MASK = torch.tensor([[True, True], [True, False]])


def test_a_policy_that_is_the_generator_cannot_tell_and_pads_count_nothing():
    log_probs = torch.tensor([[-1.0, -2.0], [-0.5, -9.0]])
    odds = log_odds(log_probs, log_probs, MASK)
    assert odds.tolist() == [0, 0]
    assert float(adversarial_fitting(odds, odds)) == pytest.approx(2 * math.log(2))
    assert log_odds(log_probs, log_probs + 1, MASK).tolist() == [-2, -1]


def test_by_hand_with_two_actions():
    # D = 0.8 / (0.8 + 0.5) of what the expert did, 0.2 / (0.2 + 0.5) of what was generated
    expert = log_odds(torch.tensor([[0.8]]).log(), torch.tensor([[0.5]]).log(), torch.ones(1, 1))
    made = log_odds(torch.tensor([[0.2]]).log(), torch.tensor([[0.5]]).log(), torch.ones(1, 1))
    wanted = -math.log(0.8 / 1.3) - math.log(1 - 0.2 / 0.7)
    assert float(adversarial_fitting(expert, made)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
def test_its_best_policy_is_the_experts_whatever_the_generator_is():
    expert, generator = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.2, 0.3, 0.5])
    logits = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.Adam([logits], 0.05)
    for _ in range(600):
        odds = logits.log_softmax(0) - generator.log()
        plus, minus = torch.nn.functional.softplus(-odds), torch.nn.functional.softplus(odds)
        loss = (expert * plus + generator * minus).sum()  # the objective in expectation over both
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert logits.softmax(0).tolist() == pytest.approx(expert.tolist(), abs=1e-3)


def test_nothing_cannot_be_told_from_something():
    with pytest.raises(ValueError, match="at least one of each"):
        adversarial_fitting(torch.zeros(0), torch.zeros(2))
    with pytest.raises(ValueError, match=r"expected \[N, T\]"):
        log_odds(torch.zeros(2, 2), torch.zeros(2, 3), MASK)
