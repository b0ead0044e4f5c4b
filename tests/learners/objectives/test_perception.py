from __future__ import annotations

import pytest
import torch

from learners.objectives.perception import hidden, perception_loss


def test_without_weights_nothing_is_added_and_where_nothing_is_hidden_there_is_no_divergence_and_no_gradient():
    logs = torch.tensor([[-1.0, -2.0, -0.1]]).requires_grad_()
    mask = torch.tensor([[True, True, False]])
    assert perception_loss(logs, logs.detach() - 1, mask, 0.0).loss.item() == 0
    same = perception_loss(logs, logs.detach().clone().requires_grad_(), mask, gamma=1.0)
    same.loss.sum().backward()
    assert same.divergence.item() == 0 and not logs.grad.any()


def test_by_hand():
    seen, masked = torch.tensor([[-1.0, -2.0]]), torch.tensor([[-2.0, -2.0]])
    found = perception_loss(seen, masked, torch.ones(1, 2, dtype=torch.bool), 0.5, 0.1, 0.2)
    # k3 of the first token: e⁻¹ + 1 − 1 = 0.367879; the second 0
    assert found.divergence.item() == pytest.approx(0.18393972)
    assert found.loss.item() == pytest.approx(-0.5 * 0.18393972 + 0.1 * 1.5 + 0.2 * 2.0)


def test_the_estimate_is_the_divergence_in_expectation():
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    each = perception_loss(p.log()[:, None], q.log()[:, None], torch.ones(3, 1)).divergence
    assert (p * each).sum().item() == pytest.approx((p * (p / q).log()).sum().item(), rel=1e-5)


def test_what_stands_where_the_mask_is_0_changes_neither_loss_nor_gradient():
    infinite = torch.tensor([[-1.0, -torch.inf]])
    seen, masked = infinite.clone().requires_grad_(), (infinite - 1).requires_grad_()
    found = perception_loss(seen, masked, torch.tensor([[1, 0]]), 0.5, 0.1, 0.2)
    assert found.loss.item() == pytest.approx(-0.5 * 0.367879 + 0.1 * 1.0 + 0.2 * 2.0, rel=1e-5)
    found.loss.sum().backward()
    assert seen.grad.isfinite().all() and masked.grad.isfinite().all()
    assert seen.grad[0, 0] != 0 and seen.grad[0, 1] == masked.grad[0, 1] == 0


def test_a_share_of_an_observation_is_hidden():
    shown = torch.arange(1, 2001).reshape(10, 200)
    generator = torch.Generator().manual_seed(0)
    found = hidden(shown, 0.6, 0, generator)
    assert 0.55 < (found == 0).float().mean().item() < 0.65 and bool(((found == shown) | (found == 0)).all())
    assert bool((hidden(shown, 0.0, 0, generator) == shown).all())
    with pytest.raises(ValueError, match="between 0 and 1"):
        hidden(shown, 1.5, 0, generator)
