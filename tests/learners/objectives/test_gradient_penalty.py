from __future__ import annotations

import pytest
import torch

from learners.objectives.gradient_penalty import gradient_norms, gradient_penalty, interpolated


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_straight_line_of_slope_k_costs_nothing():
    weights = torch.tensor([3.0, 4.0])  # of length 5
    norms = gradient_norms(lambda x: x @ weights + 7.0, seeded(6, 2))
    assert norms.tolist() == pytest.approx([5.0] * 6)
    assert gradient_penalty(norms, limit=5.0).item() == pytest.approx(0.0, abs=1e-10)
    assert gradient_penalty(norms, limit=3.0).item() == pytest.approx(4.0)


def test_only_one_side_costs_where_one_side_is_asked_for():
    norms = torch.tensor([0.0, 1.0, 3.0])
    assert gradient_penalty(norms).item() == pytest.approx((1 + 0 + 4) / 3)
    assert gradient_penalty(norms, one_sided=True).item() == pytest.approx(4 / 3)


def test_norms_are_those_of_the_formula_and_train_what_made_them():
    scale = torch.tensor(2.0, requires_grad=True)
    at = seeded(5, 3)
    norms = gradient_norms(lambda x: scale * x.square().sum(-1), at)
    assert torch.allclose(norms, 4 * at.norm(dim=-1))
    (slope,) = torch.autograd.grad(norms.sum(), scale)
    assert slope.item() == pytest.approx(2 * at.norm(dim=-1).sum().item(), rel=1e-5)
    assert not at.requires_grad


def test_points_lie_between_the_two_and_both_ends_are_reached():
    one, other = torch.zeros(500, 2), torch.ones(500, 2)
    found = interpolated(one, other, torch.Generator().manual_seed(0))
    assert torch.equal(found[:, 0], found[:, 1])  # one draw for all numbers of a pair
    assert 0 <= found.min() < 0.02 and 0.98 < found.max() <= 1
    assert torch.equal(interpolated(one, one, torch.Generator()), one)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected the same \[N, D\]"):
        interpolated(torch.zeros(2, 2), torch.zeros(3, 2), torch.Generator())
    with pytest.raises(ValueError, match="expected at least 0"):
        gradient_penalty(torch.zeros(2), limit=-1.0)
