from __future__ import annotations

import pytest
import torch

from learners.objectives.behaviour_alignment import alignment_reward, implicit_gradient

PRIMARY = torch.tensor([1.0, 0.0, 0.4], dtype=torch.float64)
AUXILIARY = torch.tensor([0.0, 1.0, -0.5], dtype=torch.float64)
PRICE = 0.5
"""Of large logits: it makes the inner level come to rest at one place."""


def blend(*numbers):
    base = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    return [base, *(torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers)]


def update(theta, phi):
    """The gradient of what a bandit's policy gains by r_φ, less a price of its logits."""
    reward = alignment_reward(phi[0], (phi[1], phi[2]), PRIMARY, AUXILIARY)
    gain = theta.softmax(-1) @ reward - PRICE / 2 * theta.square().sum()
    return torch.autograd.grad(gain, theta, create_graph=True)[0]


def test_in_a_bandit_it_is_the_gradient_of_the_unrolled_inner_level():
    phi = blend(1.0, 0.7)
    theta = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    for _ in range(40):
        theta = theta + 0.8 * update(theta, phi)
    unrolled = torch.autograd.grad(theta.softmax(-1) @ PRIMARY, phi)
    rest = theta.detach().requires_grad_()
    found = implicit_gradient(rest.softmax(-1) @ PRIMARY, update(rest, phi), rest, phi, rate=0.8, terms=40)
    for one, other in zip(found, unrolled, strict=True):
        assert torch.allclose(one, other, atol=1e-4) and one.abs().max() > 1e-3
    assert found[2] < 0 < found[1]  # this auxiliary reward misleads


def test_one_term_is_one_step_unrolled():
    phi = blend(1.0, 0.7)
    theta = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    found = implicit_gradient(theta.softmax(-1) @ PRIMARY, update(theta, phi), theta, phi, rate=0.1, terms=1)
    slope = torch.autograd.grad(theta.softmax(-1) @ PRIMARY, theta)[0]
    one_step = torch.autograd.grad(theta.detach() + 0.1 * update(theta, phi), phi, slope)
    assert all(torch.allclose(one, other) for one, other in zip(found, one_step, strict=True))


def test_what_the_outer_level_says_of_the_blend_itself_is_added():
    phi = blend(1.0, 0.7)
    theta = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    plain = implicit_gradient(theta.softmax(-1) @ PRIMARY, update(theta, phi), theta, phi, 0.1, 3)
    priced = implicit_gradient(theta.softmax(-1) @ PRIMARY - 0.25 * phi[2], update(theta, phi), theta, phi, 0.1, 3)
    assert torch.allclose(priced[2], plain[2] - 0.25) and torch.equal(priced[1], plain[1])


def test_a_blend_by_hand():
    base, weights = torch.tensor([0.5, 0.0]), (torch.tensor(2.0), torch.tensor([1.0, -1.0]))
    found = alignment_reward(base, weights, torch.tensor([1.0, 0.0]), torch.tensor([3.0, 3.0]))
    assert found.tolist() == [5.5, -3.0]
    with pytest.raises(ValueError, match="expected both of each step"):
        alignment_reward(base, weights, torch.zeros(2), torch.zeros(3))


def test_what_cannot_be_inverted_is_refused():
    phi = blend(1.0, 0.7)
    theta = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="one term at least"):
        implicit_gradient(theta.sum(), update(theta, phi), theta, phi, rate=0.1, terms=0)
    with pytest.raises(ValueError, match="a rate above 0"):
        implicit_gradient(theta.sum(), update(theta, phi), theta, phi, rate=0.0, terms=1)
    with pytest.raises(ValueError, match="expected the same shape"):
        implicit_gradient(theta.sum(), update(theta, phi)[:2], theta, phi, rate=0.1, terms=1)
