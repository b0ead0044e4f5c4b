from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from learners.language.reward_losses import bradley_terry
from learners.objectives.meta_reward import meta_gradients, score_difference


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_equal_scores_are_at_the_lower_bound_and_far_ones_at_twice_that():
    found = score_difference(torch.tensor([[2.0, 2, 2], [0.0, 50, 100]]))
    assert found.tolist() == pytest.approx([2 / 9 * 3 / 2, 2 / 9 * 3])
    assert score_difference(torch.tensor([[0.0, 1.0]])).item() == pytest.approx(sigmoid(1) / 2)


def test_a_constant_added_to_all_scores_changes_no_difference():
    scores = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(score_difference(scores + 3), score_difference(scores))


def losses(model, read):
    chosen, rejected = read
    return lambda: bradley_terry(model(chosen)[:, 0], model(rejected)[:, 0]).mean()


@pytest.fixture
def world():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    return model, (torch.randn(6, 3), torch.randn(6, 3)), torch.randn(5, 4, 3)


def test_without_a_rate_it_is_the_plain_gradient(world):
    model, read, shifted = world
    expected = torch.autograd.grad(losses(model, read)(), list(model.parameters()))
    meta_gradients(model.parameters(), lambda: score_difference(model(shifted)[..., 0]).mean(), losses(model, read), 0)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_the_gradient_is_that_of_where_scores_are_further_apart_and_the_model_stays_where_it_is(world):
    model, read, shifted = world
    before = copy.deepcopy(model.state_dict())

    def difference(of):
        return score_difference(of(shifted)[..., 0]).mean()

    found = meta_gradients(model.parameters(), lambda: difference(model), losses(model, read), 0.5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    moved = copy.deepcopy(model)
    for parameter, up in zip(
        moved.parameters(), torch.autograd.grad(difference(model), list(model.parameters())), strict=True
    ):
        parameter.data += 0.5 * up
    assert difference(moved) > difference(model)
    torch.testing.assert_close(found, losses(moved, read)().detach())
    expected = torch.autograd.grad(losses(moved, read)(), list(moved.parameters()))
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_loss_that_fails_leaves_the_model_where_it_was(world):
    model, _, shifted = world
    before = copy.deepcopy(model.state_dict())

    def fail():
        raise RuntimeError("no loss")

    with pytest.raises(RuntimeError, match="no loss"):
        meta_gradients(model.parameters(), lambda: score_difference(model(shifted)[..., 0]).mean(), fail, 0.5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="two answers or more"):
        score_difference(torch.zeros(3, 1))
    with pytest.raises(ValueError, match="leave out prompts"):
        score_difference(torch.tensor([[0.0, math.nan]]))
    with pytest.raises(ValueError, match="at least 0"):
        meta_gradients([], lambda: torch.zeros(()), lambda: torch.zeros(()), -1.0)
