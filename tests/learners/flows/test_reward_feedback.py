from __future__ import annotations

import pytest
import torch

from learners.flows.reward_feedback import edited, foreseen, reward_losses
from learners.flows.sampler import sample

STEPS = 4


def near(points):
    return -(points - torch.tensor([1.0, -2.0])).square().sum(1)


def field(weight):
    return lambda x, sigma: torch.tanh(x @ weight) * (1 + sigma)


def drawn():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 2, generator=generator), torch.randn(2, 2, generator=generator).requires_grad_()


def test_at_the_last_step_one_reward_is_carried_back_through_the_sample_itself():
    noise, weight = drawn()
    velocity = field(weight)
    path = sample(velocity, noise, STEPS)
    loss = reward_losses(foreseen(velocity, noise, STEPS, STEPS - 1), {"near": near}, {"near": 1.0}).sum()
    assert torch.allclose(loss, -near(path.states[:, -1]).sum())
    before = path.states[:, -2]
    by_hand = before - velocity(before, 1 / STEPS) / STEPS  # the last Euler step alone has a gradient
    expected = torch.autograd.grad(-near(by_hand).sum(), weight)[0]
    assert torch.allclose(torch.autograd.grad(loss, weight)[0], expected, rtol=1e-5)


def test_a_straight_field_foresees_its_data_at_every_step():
    data, noise = torch.tensor([[2.0, 1.0]]), torch.tensor([[-1.0, 3.0]])
    for at in range(STEPS):
        assert torch.allclose(foreseen(lambda x, sigma: noise - data, noise, STEPS, at), data, atol=1e-6)


def test_rewards_are_added_by_their_weights():
    points = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    rewards = {"first": lambda x: x[:, 0], "sum": lambda x: x.sum(1)}
    assert reward_losses(points, rewards, {"first": 2.0, "sum": 0.5}).tolist() == [-2.5, -1.5]
    with pytest.raises(ValueError, match="the same names"):
        reward_losses(points, rewards, {"first": 1.0})
    with pytest.raises(ValueError, match="expected one from 0 to 3"):
        foreseen(lambda x, sigma: x, points, STEPS, 4)


def test_a_rest_of_all_steps_is_the_whole_chain_and_what_was_there_is_forgotten():
    noise, weight = drawn()
    velocity = field(weight)
    whole = sample(velocity, noise, STEPS).states[:, -1]
    for clean in (torch.zeros(5, 2), torch.full((5, 2), 7.0)):
        assert torch.allclose(edited(velocity, clean, noise, STEPS, left=STEPS), whole, atol=1e-6)


def test_only_the_last_steps_of_a_rest_have_a_gradient_and_each_step_is_one_evaluation():
    noise, weight = drawn()
    velocity, levels = field(weight), []

    def counted(x, sigma):
        levels.append((sigma, torch.is_grad_enabled()))
        return velocity(x, sigma)

    edited(counted, torch.zeros(5, 2), noise, STEPS, left=3, gradients=2)
    assert levels == [(0.75, False), (0.5, True), (0.25, True)]
    with pytest.raises(ValueError, match="gradients <= left"):
        edited(velocity, torch.zeros(5, 2), noise, STEPS, left=2, gradients=3)
