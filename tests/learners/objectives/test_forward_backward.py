from __future__ import annotations

import pytest
import torch

from learners.objectives.forward_backward import forward_backward, orthonormality, task_vector

STATES, ACTIONS, GAMMA = 4, 2, 0.8


def exact():
    """A round of four states: wait or go on. Next states, and discounted visits from each state under going on."""
    state = torch.arange(STATES).repeat_interleave(ACTIONS)
    action = torch.arange(ACTIONS).repeat(STATES)
    following = (state + action) % STATES
    step = torch.eye(STATES, dtype=torch.float64).roll(1, 1)
    return following, torch.linalg.inv(torch.eye(STATES, dtype=torch.float64) - GAMMA * step)


def test_exact_visits_are_where_the_loss_is_at_rest():
    following, visits = exact()
    often = torch.bincount(following, minlength=STATES) / len(following)
    forward = (visits[following] / often).requires_grad_()  # d is the number of states, and B tells them apart
    backward = torch.eye(STATES, dtype=torch.float64).requires_grad_()
    ahead = visits[(following + 1) % STATES] / often
    loss = forward_backward(forward, backward[following], ahead, backward[following].detach(), GAMMA)
    slopes = torch.autograd.grad(loss, [forward, backward])
    assert all(slope.abs().max() < 1e-9 for slope in slopes)
    moved = forward_backward(forward + 0.1, backward[following], ahead, backward[following].detach(), GAMMA)
    assert moved > loss


def test_by_hand_and_the_future_takes_no_gradient():
    forward, backward = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [0.5]])
    ahead, slow = torch.tensor([[2.0], [0.0]], requires_grad=True), torch.tensor([[1.0], [1.0]], requires_grad=True)
    # visits [[1, .5], [2, 1]]; later at γ = ½ [[1, 1], [0, 0]]: squares 0, ¼, 4, 1; the diagonal is 1 and 1
    found = forward_backward(forward.requires_grad_(), backward, ahead, slow, 0.5)
    assert found.item() == pytest.approx(5.25 / 4 - 2)
    found.backward()
    assert ahead.grad is None and slow.grad is None


def test_apart_and_of_one_size_costs_nothing():
    assert orthonormality(2**0.5 * torch.eye(2)).item() == pytest.approx(0.0, abs=1e-10)
    assert orthonormality(torch.ones(5, 2)).item() == pytest.approx(2.0)


def test_one_state_is_its_goal_and_the_order_does_not_matter():
    backward = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    goal = backward[2]
    assert torch.allclose(task_vector(goal[None]), 2 * goal / goal.norm())
    assert torch.allclose(task_vector(backward), task_vector(backward.flip(0)))
    assert task_vector(backward).norm().item() == pytest.approx(2.0)


def test_a_reward_of_one_state_is_that_state_as_the_goal():
    backward = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    rewards = torch.zeros(6)
    rewards[3] = 0.25
    assert torch.allclose(task_vector(backward, rewards), task_vector(backward[3:4]))


def test_what_names_no_task_is_refused():
    with pytest.raises(ValueError, match="add up to nothing"):
        task_vector(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    with pytest.raises(ValueError, match="add up to nothing"):
        task_vector(torch.eye(2), torch.tensor([torch.nan, 1.0]))
    with pytest.raises(ValueError, match="one at least"):
        task_vector(torch.zeros(0, 2))
    with pytest.raises(ValueError, match=r"expected \[N, d\] of all"):
        forward_backward(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(3, 3), 0.9)
