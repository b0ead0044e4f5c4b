"""Losses by hand, and their gradients."""

import math

import pytest
import torch

from learners.losses import (
    clipped_policy_loss,
    clipped_value_loss,
    entropy_loss,
    importance_weighted_policy_loss,
    normalised,
    probability_ratio,
    weighted_mean,
)


def logs(*ratios):
    return torch.tensor(ratios, dtype=torch.float64).log().requires_grad_()


def test_weighted_mean_by_hand():
    assert weighted_mean(torch.tensor([1.0, 2, 6])).item() == 3
    assert weighted_mean(torch.tensor([1.0, 2, 6]), torch.tensor([1, 3, 0])).item() == 7 / 4
    assert weighted_mean(torch.tensor([1.0, math.nan]), torch.tensor([True, False])).item() == 1


def test_no_step_that_counts_is_no_loss_and_no_gradient():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = weighted_mean(x, torch.zeros(2))
    loss.backward()
    assert loss.item() == 0 and x.grad.tolist() == [0, 0]


def test_policy_loss_by_hand():
    # clip 0.25 keeps ratios in [0.8, 1.25]: min(2 · 1, 1.25 · 1), min(0.5 · 1, 0.8 · 1), min(2 · -1, 1.25 · -1),
    # min(0.5 · -1, 0.8 · -1)
    advantage = torch.tensor([1.0, 1, -1, -1], dtype=torch.float64)
    loss = clipped_policy_loss(logs(2, 0.5, 2, 0.5), torch.zeros(4), advantage, 0.25)
    assert loss.item() == pytest.approx(-(1.25 + 0.5 - 2 - 0.8) / 4)


def test_the_gradient_is_zero_exactly_where_the_ratio_has_gone_too_far():
    target = logs(2, 0.5, 2, 0.5, 1.1, 1.1)
    advantage = torch.tensor([1.0, 1, -1, -1, 1, -1], dtype=torch.float64)
    clipped_policy_loss(target, torch.zeros(6), advantage, 0.25).backward()
    # elsewhere d loss / d log pi = -ratio A / N
    expected = [0, -0.5 / 6, 2 / 6, 0, -1.1 / 6, 1.1 / 6]
    assert target.grad.tolist() == pytest.approx(expected)


def test_on_policy_the_gradient_is_the_policy_gradient():
    target = torch.tensor([-1.0, -2.0], requires_grad=True)
    advantage = torch.tensor([3.0, -4.0])
    clipped_policy_loss(target, target.detach().clone(), advantage, 0.1).backward()
    assert target.grad.tolist() == (-advantage / 2).tolist()


def test_a_masked_step_has_no_gradient_whatever_stands_there():
    target = torch.tensor([-1.0, math.nan, -1.0], requires_grad=True)
    clipped_policy_loss(
        target, -torch.ones(3), torch.tensor([1.0, math.nan, 2.0]), 0.1, torch.tensor([1.0, 0, 1])
    ).backward()
    assert target.grad[[0, 2]].tolist() == [-0.5, -1.0]
    assert target.grad[1].item() == 0


def test_ratios_do_not_overflow():
    assert torch.isfinite(probability_ratio(torch.tensor([0.0]), torch.tensor([-1e4]))).all()


def test_value_loss_by_hand():
    # (1 - 2)^2 inside the clip; anchor 0 may move to 0.5: max((3 - 1)^2, (0.5 - 1)^2) = 4;
    # max((3 - 4)^2, (0.5 - 4)^2) = 12.25
    value, anchor = torch.tensor([1.0, 3, 3]), torch.tensor([0.9, 0, 0])
    target = torch.tensor([2.0, 1, 4])
    assert clipped_value_loss(value, anchor, target, 0.5).item() == pytest.approx((1 + 4 + 12.25) / 3)
    assert clipped_value_loss(value, anchor, target).item() == pytest.approx((1 + 4 + 1) / 3)


def test_a_value_that_has_moved_far_enough_is_not_pushed_further():
    value = torch.tensor([3.0, 3.0], requires_grad=True)
    clipped_value_loss(value, torch.zeros(2), torch.tensor([4.0, 1.0]), 0.5).backward()
    assert value.grad.tolist() == [0, 2 * (3 - 1) / 2]


def test_where_values_have_not_moved_the_clip_changes_no_gradient():
    value = torch.tensor([1.0, 2.0], requires_grad=True)
    clipped_value_loss(value, value.detach().clone(), torch.tensor([0.0, 5.0]), 0.5).backward()
    assert value.grad.tolist() == [1.0, -3.0]


def test_entropy_loss_rewards_randomness():
    entropy = torch.tensor([1.0, 3.0], requires_grad=True)
    loss = entropy_loss(entropy)
    loss.backward()
    assert loss.item() == -2 and entropy.grad.tolist() == [-0.5, -0.5]


def test_gradients_agree_with_finite_differences():
    random = torch.Generator().manual_seed(0)
    draws = torch.randn(4, 8, generator=random, dtype=torch.float64)
    target, behaviour, advantage, weight = draws[0], draws[1], draws[2], draws[3].abs()
    assert torch.autograd.gradcheck(
        lambda x: clipped_policy_loss(x, behaviour, advantage, 0.2, weight), target.clone().requires_grad_()
    )
    assert torch.autograd.gradcheck(
        lambda x: clipped_value_loss(x, behaviour, advantage, 0.2, weight), target.clone().requires_grad_()
    )


def test_the_importance_weighted_policy_gradient_is_that_of_the_paper():
    # rho = min(1, pi/mu) multiplies A grad log pi, and is not itself differentiated.
    target = torch.tensor([math.log(0.5), math.log(0.2), math.log(0.9)], requires_grad=True)
    behaviour = torch.tensor([0.25, 0.4, 0.9]).log()
    advantage = torch.tensor([2.0, 3.0, -1.0])
    loss = importance_weighted_policy_loss(target, behaviour, advantage, rho_bar=1.0)
    loss.backward()
    assert target.grad.tolist() == pytest.approx([-2.0 / 3, -0.5 * 3.0 / 3, 1.0 / 3])
    weighted = importance_weighted_policy_loss(target, behaviour, advantage, 1.0, torch.tensor([1.0, 0.0, 0.0]))
    assert weighted.item() == pytest.approx(-2.0 * math.log(0.5))


def test_normalised_advantages_have_mean_zero_and_deviation_one_where_they_count():
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0])
    values = normalised(torch.tensor([1.0, 2.0, 6.0, 1e9]), weight)[:3]
    assert values.mean().item() == pytest.approx(0, abs=1e-6)
    assert values.std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_equal_advantages_are_0_whatever_rounding_makes_of_their_mean_and_what_is_not_finite_stays():
    # 100.1 · 3 is rounded, and a third of it is another number than 100.1.
    equals = torch.tensor([100.1] * 3 + [7.0])
    assert normalised(equals, torch.tensor([0.3, 0.3, 0.4, 0.0]))[:3].tolist() == [0, 0, 0]
    assert normalised(torch.zeros(3)).tolist() == [0, 0, 0]
    assert normalised(torch.tensor([1.0, math.nan])).isnan().all()
