from __future__ import annotations

import pytest
import torch

from learners.objectives.advantage_regression import advantage_regression, step_advantages, success_loss


def test_without_advantages_the_reference_is_best_and_by_hand_it_is_half_the_square():
    assert not advantage_regression(torch.zeros(3), torch.zeros(3), 0.1).any()
    found = advantage_regression(torch.tensor([1.0]), torch.tensor([0.2]), 0.1)  # ½ (1 − 2)²
    assert found.item() == pytest.approx(0.5)


def test_the_best_policy_of_a_state_has_the_advantages_as_log_ratios_up_to_second_order():
    reference, beta = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64), 1.0
    advantages = torch.tensor([0.3, 0.1, 0.0], dtype=torch.float64)
    advantages = advantages - (reference * advantages).sum()
    logits = reference.log().clone().requires_grad_()
    optimiser = torch.optim.LBFGS([logits], max_iter=100, tolerance_grad=1e-12)

    def closure():
        optimiser.zero_grad()
        apart = logits.log_softmax(0) - reference.log()
        loss = (reference * advantage_regression(apart, advantages, beta)).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    apart = (logits.log_softmax(0) - reference.log()).detach()
    second_order = ((reference * (advantages / beta).square()).sum() / 2).item()
    assert (apart - advantages / beta).abs().max().item() < 1.5 * second_order


def test_step_advantages_telescope_to_outcome_less_first_value():
    values, outcome = torch.tensor([[0.2, 0.5, 0.4]]), torch.tensor([1.0])
    found = step_advantages(values, outcome)
    assert torch.allclose(found, torch.tensor([[0.3, -0.1, 0.6]]))
    assert found.sum().item() == pytest.approx(0.8)


def test_the_critic_is_best_at_the_success_rate():
    logit = torch.logit(torch.tensor([0.3], dtype=torch.float64)).requires_grad_()
    success_loss(logit, torch.tensor([0.3], dtype=torch.float64)).sum().backward()
    assert logit.grad.item() == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="beta > 0"):
        advantage_regression(torch.zeros(1), torch.zeros(1), 0.0)
