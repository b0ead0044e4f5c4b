from __future__ import annotations

import math

import pytest
import torch

from learners.objectives.mass_covering import generator, mass_covering, mastered

KINDS = ("forward", "js", "alpha", "reverse")


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_that_has_not_moved_pays_nothing(kind):
    assert generator(torch.zeros(3), kind).abs().max() < 1e-6


@pytest.mark.parametrize("kind", ["js", "alpha"])
def test_where_the_policy_has_not_moved_there_is_no_slope(kind):
    ratio = torch.zeros(1, requires_grad=True)
    generator(ratio, kind).sum().backward()
    assert ratio.grad.abs().max() < 1e-6


def test_by_hand():
    two = torch.tensor([math.log(2.0)])
    assert generator(two, "forward").item() == pytest.approx(-math.log(2))
    assert generator(two, "js").item() == pytest.approx(2 * math.log(2) - 3 * math.log(1.5), rel=1e-5)
    assert generator(two, "alpha", 0.5).item() == pytest.approx((2**0.5 - 1 - 0.5) / -0.25, rel=1e-4)
    with pytest.raises(ValueError, match="between 0 and 1"):
        generator(two, "alpha", 1.0)


def test_expectations_are_divergences_and_forgetting_costs_more_than_learning():
    reference, policy = torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([0.1, 0.3, 0.6]).double()
    ratio = (policy / reference).log()
    forward = (reference * generator(ratio, "forward")).sum()
    assert torch.allclose(forward, (reference * (reference / policy).log()).sum())
    middle = (policy + reference) / 2
    js = (policy * (policy / middle).log()).sum() + (reference * (reference / middle).log()).sum()
    assert torch.allclose((reference * generator(ratio, "js")).sum(), js)
    forgotten = generator(torch.tensor([-6.0, 0.0]), "forward"), generator(torch.tensor([-6.0, 0.0]), "reverse")
    assert forgotten[0][0] > 5 and forgotten[1][0].abs() < 0.02


def test_without_eta_it_is_nothing_and_padding_is_not_looked_at():
    own = torch.tensor([[-1.0, torch.nan]], requires_grad=True)
    mask = torch.tensor([[True, False]])
    assert mass_covering(own, torch.tensor([[-2.0, 0.0]]), mask, eta=0.0).item() == 0
    found = mass_covering(own, torch.tensor([[-2.0, 0.0]]), mask, kind="forward", eta=0.5)
    found.backward()
    assert found.item() == pytest.approx(-0.5) and own.grad.tolist() == [[-0.5, 0.0]]


def test_only_what_is_always_solved_is_mastered():
    assert mastered(torch.tensor([[True, True], [True, False]])).tolist() == [True, False]
