"""Losses of preferences and reward models by hand."""

from __future__ import annotations

import math

import pytest
import torch

from learners.language.preferences import dpo, hinge, ipo, kto, odds_ratio, simpo
from learners.language.reward_losses import (
    agreement,
    bradley_terry,
    entailment,
    margin_ranking,
    regression,
    scaled_bradley_terry,
)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def one(x):
    return torch.tensor([x], dtype=torch.float64)


def test_pairs_by_hand():
    assert dpo(one(2.0), 0.5).item() == pytest.approx(-math.log(sigmoid(1)))
    assert dpo(one(2.0), 0.5, 0.1).item() == pytest.approx(-0.9 * math.log(sigmoid(1)) - 0.1 * math.log(sigmoid(-1)))
    assert hinge(torch.tensor([1.0, 4.0]), 0.5).tolist() == [0.5, 0]
    assert ipo(one(1.0), 0.1).item() == pytest.approx((1 - 5) ** 2)
    assert simpo(one(-1.0), one(-2.0), 2, 0.5).item() == pytest.approx(-math.log(sigmoid(1.5)))
    # Odds of 0.5 are 1, of 0.2 are 1/4: log odds ratio log 4, of which the sigmoid is 0.8.
    assert odds_ratio(one(math.log(0.5)), one(math.log(0.2))).item() == pytest.approx(-math.log(0.8))


def test_at_the_reference_dpo_is_log_two_and_pulls_both_ways_alike():
    chosen, rejected = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    loss = dpo(chosen - rejected, 0.3)
    loss.sum().backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert chosen.grad.item() == -rejected.grad.item() == pytest.approx(-0.15)


def test_an_answer_that_is_certain_has_finite_odds():
    certain = torch.zeros(1, requires_grad=True)
    loss = odds_ratio(certain, one(-1.0).float())
    loss.sum().backward()
    assert loss.isfinite().all() and certain.grad.isfinite().all()


def test_liked_and_disliked_answers_by_hand():
    found = kto(torch.tensor([1.0, 1.0]), torch.tensor([1, 0]), torch.tensor(0.5), 2.0, 1.0, 3.0)
    assert found.tolist() == pytest.approx([1 - sigmoid(1), 3 * (1 - sigmoid(-1))])
    below = kto(torch.tensor([1.0]), torch.tensor([1]), torch.tensor(-9.0), 1.0)
    assert below.item() == pytest.approx(1 - sigmoid(1)), "a KL is not negative"


def test_reward_models_by_hand():
    chosen, rejected = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0])
    assert bradley_terry(chosen, rejected).tolist() == pytest.approx([-math.log(sigmoid(1)), math.log(2)])
    assert bradley_terry(chosen, rejected, torch.tensor([1.0, 0.0]), 0.1).tolist() == pytest.approx(
        [math.log(2) + 0.1, math.log(2)]
    )
    assert regression(torch.tensor([1.0]), torch.tensor([3.0])).item() == 4
    assert agreement(torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0])).tolist() == [1, 0, 0.5]


def test_scaled_bradley_terry_counts_a_pair_of_strength_n_n_times_and_with_strength_1_is_bradley_terry():
    chosen, rejected = torch.tensor([1.0, 0.0], requires_grad=True), torch.tensor([0.5, 2.0])
    strengths = torch.tensor([3, 1])
    assert torch.equal(scaled_bradley_terry(chosen, rejected, torch.ones(2)), bradley_terry(chosen, rejected))
    scaled = scaled_bradley_terry(chosen, rejected, strengths).sum()
    repeated = bradley_terry(chosen.repeat_interleave(strengths), rejected.repeat_interleave(strengths)).sum()
    assert scaled.item() == pytest.approx(-3 * math.log(sigmoid(0.5)) - math.log(sigmoid(-2)))
    torch.testing.assert_close(scaled, repeated)
    torch.testing.assert_close(torch.autograd.grad(scaled, chosen), torch.autograd.grad(repeated, chosen))
    with pytest.raises(ValueError, match="leave out pairs that nobody graded"):
        scaled_bradley_terry(chosen, rejected, torch.tensor([1.0, math.nan]))


def test_a_soft_label_mixes_a_pair_with_the_same_turned_round_margin_and_all():
    chosen, rejected, margins = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 2.0]), torch.tensor([0.3, -1.0])
    plain = bradley_terry(chosen, rejected, margins)
    assert torch.equal(bradley_terry(chosen, rejected, margins, soft_labels=torch.ones(2)), plain)
    turned = bradley_terry(rejected, chosen, -margins)
    torch.testing.assert_close(bradley_terry(chosen, rejected, margins, soft_labels=torch.zeros(2)), turned)
    mixed = bradley_terry(chosen, rejected, margins, soft_labels=torch.tensor([0.9, 0.5]))
    torch.testing.assert_close(mixed, torch.tensor([0.9, 0.5]) * plain + torch.tensor([0.1, 0.5]) * turned)
    smoothed = bradley_terry(chosen, rejected, soft_labels=torch.full((2,), 0.9))
    torch.testing.assert_close(smoothed, dpo(chosen - rejected, 1.0, label_smoothing=0.1))
    for label in (1.5, math.nan):
        with pytest.raises(ValueError, match="expected probabilities"):
            bradley_terry(chosen, rejected, soft_labels=torch.tensor([1.0, label]))


def test_entailment_over_principles_is_a_logistic_regression_for_each():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    labels = (torch.rand(20, 2, generator=generator) < 0.5).double()
    labels[:5, 0] = math.nan  # nobody said: these answers teach the other principle alone
    heads = torch.randn(2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(entailment(features @ heads.T, labels).sum(), heads)
    for k, first in ((0, 5), (1, 0)):
        x, y, w = features[first:], labels[first:, k], heads[k].detach()
        torch.testing.assert_close(slope[k], x.T @ ((x @ w).sigmoid() - y))


def test_entailment_by_hand():
    found = entailment(torch.tensor([[2.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, math.nan]]))
    assert found.tolist() == pytest.approx([-math.log(sigmoid(2)), -math.log(sigmoid(-2))])
    assert entailment(one(0.0), one(0.3)).item() == pytest.approx(math.log(2))
    with pytest.raises(ValueError, match="NaN where nobody said"):
        entailment(one(0.0), one(2.0))


def test_a_margin_is_asked_for_and_no_more_and_of_distances_it_is_the_triplet_loss():
    chosen, rejected = torch.tensor([1.0, 0.5, 0.0]), torch.tensor([0.5, 0.4, 1.0])
    torch.testing.assert_close(margin_ranking(chosen, rejected), torch.tensor([0.0, 0.2, 1.3]))
    assert margin_ranking(chosen + 5, rejected, 0.3).sum() == 0.0  # all gaps exceed it
    torch.testing.assert_close(margin_ranking(chosen, rejected, 2.0), 2 * hinge(chosen - rejected, 0.5))
    prompt, near, far = torch.eye(3)[[0]], torch.tensor([[0.6, 0.8, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    towards = [-(prompt - item).square().sum(1) for item in (near, far)]  # squared distances 0.8 and 2
    assert margin_ranking(*towards, 1.5).item() == pytest.approx(0.3)
    with pytest.raises(ValueError, match="got margin=-1"):
        margin_ranking(chosen, rejected, -1)
