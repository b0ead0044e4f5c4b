from __future__ import annotations

import pytest
import torch

from learners.language.preferences import dpo
from learners.objectives.multi_objective import modpo


def test_all_weight_on_the_compared_objective_is_dpo_and_without_margins_beta_is_divided_by_the_weight():
    h = torch.tensor([-1.0, 0.5, 3.0])
    assert torch.allclose(modpo(h, torch.zeros(3, 0), [1.0]), dpo(h, 0.1))
    assert torch.allclose(modpo(h, torch.tensor([[5.0], [-2.0], [0.0]]), [1.0, 0.0]), dpo(h, 0.1))
    assert torch.allclose(modpo(h, torch.zeros(3, 1), [0.25, 0.75]), dpo(h, 0.4))


def test_by_hand():
    # (0.1 · 2 − 0.5 · 1) / 0.5 = −0.6
    found = modpo(torch.tensor([2.0]), torch.tensor([[1.0]]), [0.5, 0.5])
    assert found.item() == pytest.approx(-torch.nn.functional.logsigmoid(torch.tensor(-0.6)).item())


def test_the_policy_of_multi_objective_rlhf_has_no_gradient():
    # Bradley-Terry labels of r_1; π ∝ exp((w_1 r_1 + w_2 r_2) / β) over three answers, uniform reference.
    one, two, weights, beta = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, -1.0, 0.5]), [0.3, 0.7], 0.5
    logits = ((weights[0] * one + weights[1] * two) / beta).requires_grad_()
    log_pi, loss = logits.log_softmax(0), torch.zeros(())
    for a in range(3):
        for b in range(3):
            likelihood = torch.sigmoid(one[a] - one[b])
            loss = (
                loss
                + likelihood * modpo((log_pi[a] - log_pi[b])[None], (two[a] - two[b])[None, None], weights, beta)[0]
            )
    loss.backward()
    assert torch.allclose(logits.grad, torch.zeros(3), atol=1e-6)


@pytest.mark.parametrize("weights", [[0.0, 1.0], [0.5, 0.6], [1.2, -0.2], [1.0]])
def test_weights_off_the_simplex_or_none_on_the_compared_objective_are_refused(weights):
    with pytest.raises(ValueError, match="expected"):
        modpo(torch.zeros(1), torch.zeros(1, 1), weights)
