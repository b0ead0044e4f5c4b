"""Policy losses, their parts and their gradients: by hand, and what must hold for any numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from learners.language.aggregation import Aggregation, aggregate, coefficients
from learners.language.clipping import Clip, Soft, Truncate, Unbounded
from learners.language.corrections import Correction, correction_weights
from learners.language.divergences import estimate, exact
from learners.language.policy_loss import PolicyLoss, policy_losses
from learners.language.presets import NAMES, preset
from learners.language.ratios import log_ratios
from learners.language.value_loss import value_losses

TWO_AND_ONE = torch.tensor([0, 0, 1])
ONES = torch.ones(3)
LOG_PROBS = arrays(np.float64, 6, elements=st.floats(-4, 0))
THREE_TWO_ONE = torch.tensor([0, 0, 0, 1, 1, 2])


def loss_of(log_probs, anchor, advantages, weights, sequence, config):
    losses = policy_losses(log_probs, anchor, advantages, weights, sequence, config)
    return aggregate(losses.loss, coefficients(weights, sequence, config.aggregation)), losses


def logs(*ratios):
    return torch.tensor(ratios, dtype=torch.float64).log().requires_grad_()


def test_ratios_at_each_level_by_hand():
    # Two tokens of ratio 2 and 8, then one of ratio 3.
    def at(level):
        return log_ratios(logs(2, 8, 3), torch.zeros(3), ONES, TWO_AND_ONE, level).exp().tolist()

    assert at("token") == pytest.approx([2, 8, 3])
    assert at("sequence") == at("sequence_token") == pytest.approx([4, 4, 3]), "the geometric mean"
    assert at("product") == pytest.approx([16, 16, 3])


def test_a_token_that_does_not_count_is_in_no_ratio_of_its_sequence():
    weights = torch.tensor([1.0, 0, 1])
    apart = torch.tensor([0.5, math.nan, 0.25], requires_grad=True)
    for level in ("token", "sequence", "sequence_token", "product"):
        found = log_ratios(apart, torch.zeros(3), weights, TWO_AND_ONE, level)
        assert found.tolist() == [0.5, 0, 0.25]
        found.sum().backward()
    assert apart.grad.isfinite().all() and apart.grad[1] == 0


def test_gspo_shares_its_gradient_and_gspo_token_does_not():
    shared, alone = logs(2, 8, 3), logs(2, 8, 3)
    advantages = torch.tensor([1.0, 0, 0], dtype=torch.float64)
    for log_probs, level in ((shared, "sequence"), (alone, "sequence_token")):
        config = PolicyLoss(ratio=level, bound=Unbounded())
        loss_of(log_probs, torch.zeros(3), advantages, ONES.double(), TWO_AND_ONE, config)[0].backward()
    # d(4)/d log pi: a half of 4 to each token, or all of it to the one that has an advantage; a third of tokens.
    assert shared.grad.tolist() == pytest.approx([-2 / 3, -2 / 3, 0])
    assert alone.grad.tolist() == pytest.approx([-4 / 3, 0, 0])


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (Unbounded(), [-2, -0.5, 2, 0.5]),
        (Clip(low=0.2, high=0.25), [-1.25, -0.5, 2, 0.8]),
        (Clip(low=0.2, high=0.25, dual=1.5), [-1.25, -0.5, 1.5, 0.8]),
        (Clip(low=0.2, high=0.25, pre=1.5), [-1.25, -2 / 3, 1.5, 0.8]),
        (Truncate(high=1.5), [-1.5 * math.log(2), 0.5 * math.log(2), 1.5 * math.log(2), -0.5 * math.log(2)]),
        (
            Soft(positive=1, negative=2),
            [-4 * s for s in (1 / (1 + math.exp(-1)), 1 / (1 + math.exp(0.5)))]
            + [2 * s for s in (1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1)))],
        ),
    ],
)
def test_each_bound_by_hand(bound, expected):
    ratio, advantage = torch.tensor([2, 0.5, 2, 0.5]), torch.tensor([1.0, 1, -1, -1])
    assert bound.surrogate(ratio, advantage, ratio.log()).loss.tolist() == pytest.approx(expected, rel=1e-6)


def test_where_the_clip_is_felt_the_gradient_is_zero():
    log_probs = logs(2, 0.5, 2, 0.5)
    advantages = torch.tensor([1.0, 1, -1, -1], dtype=torch.float64)
    sequence, weights = torch.tensor([0, 0, 1, 1]), torch.ones(4, dtype=torch.float64)
    loss, losses = loss_of(log_probs, torch.zeros(4), advantages, weights, sequence, PolicyLoss())
    loss.backward()
    assert losses.clipped.tolist() == [True, False, False, True]
    assert log_probs.grad.tolist() == pytest.approx([0, -0.5 / 4, 2 / 4, 0])


@given(LOG_PROBS, LOG_PROBS, st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_stable_reinforce_is_ppo_where_no_token_is_a_thousand_times_as_likely_or_unlikely(now, before, advantages):
    """Ratios are at most e⁴ here, and advantages within three deviations, where the filter keeps all of them."""
    found = []
    for bound in (preset("stable_reinforce", 5).loss.bound, Clip()):
        log_probs = torch.tensor(now, requires_grad=True)
        ratio = (log_probs - torch.tensor(before)).exp()
        surrogate = bound.surrogate(ratio, torch.tensor(advantages, dtype=torch.float64), log_probs)
        surrogate.loss.sum().backward()
        found.append((surrogate.loss.tolist(), surrogate.clipped.tolist(), log_probs.grad.tolist()))
    assert found[0] == found[1]


def test_beyond_the_pre_clip_the_loss_is_bounded_and_nothing_is_learnt():
    log_probs, advantages = logs(5000, 5000, 1 / 5000), torch.tensor([-1.0, 0, 1], dtype=torch.float64)
    found = Clip(pre=1e3).surrogate(log_probs.exp(), advantages, log_probs)
    found.loss.sum().backward()
    assert found.loss.tolist() == pytest.approx([1000, 0, -0.001]) and found.clipped.tolist() == [True, False, True]
    assert log_probs.grad.tolist() == [0, 0, 0]
    assert Clip().surrogate(log_probs.exp(), advantages, log_probs).loss.tolist() == pytest.approx([5000, 0, -0.0002])


def test_the_three_averages_by_hand():
    losses, weights = torch.tensor([1.0, 2, 6]), ONES

    def mean(config):
        return aggregate(losses, coefficients(weights, TWO_AND_ONE, config)).item()

    assert mean(Aggregation(by="token")) == pytest.approx(3)
    assert mean(Aggregation(by="sequence")) == pytest.approx((1.5 + 6) / 2)
    assert mean(Aggregation(by="constant", length=10)) == pytest.approx(9 / 20)


def test_a_sequence_without_a_reward_is_in_no_denominator():
    losses, weights = torch.tensor([1.0, 2, math.nan]), torch.tensor([1.0, 1, 0])
    for config in (Aggregation(), Aggregation(by="sequence")):
        assert aggregate(losses, coefficients(weights, TWO_AND_ONE, config)).item() == pytest.approx(1.5)
    none = coefficients(torch.zeros(3), TWO_AND_ONE, Aggregation(by="sequence"))
    assert aggregate(losses, none).item() == 0


def test_constant_length_asks_for_a_length():
    with pytest.raises(ValueError, match="expected a length with `constant`"):
        Aggregation(by="constant")
    with pytest.raises(ValueError, match="expected a length with `constant`"):
        Aggregation(by="token", length=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@given(log_probs=LOG_PROBS, advantages=arrays(np.float64, 3, elements=st.floats(-2, 2)))
def test_equal_policies_have_ratio_one_and_the_gradient_of_reinforce(name, log_probs, advantages):
    config = preset(name, 5).loss
    now = torch.tensor(log_probs, requires_grad=True)
    spread = torch.tensor(advantages)[THREE_TWO_ONE]
    weights = torch.ones(6, dtype=torch.float64)
    share = coefficients(weights, THREE_TWO_ONE, config.aggregation)
    loss, losses = loss_of(now, now.detach(), spread, weights, THREE_TWO_ONE, config)
    assert losses.ratio.tolist() == [1] * 6
    (found,) = torch.autograd.grad(loss, now)
    if config.ratio == "product":  # the score of an answer is the sum over its tokens
        lengths = torch.tensor([3, 2, 1])[THREE_TWO_ONE]
        share = share * lengths
    (expected,) = torch.autograd.grad(-(share * spread * now).sum(), now)
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@given(log_probs=LOG_PROBS, anchor=LOG_PROBS, order=st.permutations(range(3)))
def test_the_order_of_sequences_does_not_matter(name, log_probs, anchor, order):
    config = preset(name, 5).loss
    advantages = torch.tensor([1.0, -0.5, 0.2], dtype=torch.float64)
    weights = torch.ones(6, dtype=torch.float64)
    straight, _ = loss_of(
        torch.tensor(log_probs), torch.tensor(anchor), advantages[THREE_TWO_ONE], weights, THREE_TWO_ONE, config
    )
    where = torch.cat([torch.nonzero(i == THREE_TWO_ONE).flatten() for i in order])
    lengths = torch.tensor([3, 2, 1])[torch.tensor(order)]
    shuffled, _ = loss_of(
        torch.tensor(log_probs)[where],
        torch.tensor(anchor)[where],
        advantages[THREE_TWO_ONE][where],
        weights,
        torch.arange(3).repeat_interleave(lengths),
        config,
    )
    torch.testing.assert_close(straight, shuffled)


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="got method 'gpro'; expected one of cispo, dapo"):
        preset("gpro", 5)


def test_corrections_by_hand():
    # Ratios of learner to engine: 2 and 0.25 in one answer (product 0.5, geometric mean 0.707), 3 in the other.
    learner, engine = logs(2, 0.25, 3).detach(), torch.zeros(3, dtype=torch.float64)

    def weights(*corrections):
        return correction_weights(learner, engine, ONES.double(), TWO_AND_ONE, corrections).tolist()

    assert weights() == [1, 1, 1]
    assert weights(Correction(high=2)) == pytest.approx([2, 0.25, 2]), "truncated importance sampling"
    assert weights(Correction(level="sequence", high=2)) == pytest.approx([0.5, 0.5, 2])
    assert weights(Correction(how="mask", low=0.5, high=5)) == pytest.approx([2, 0, 3]), "IcePop"
    assert weights(Correction(level="geometric", how="reject", low=0.7, high=1.5)) == [1, 1, 0]
    assert weights(Correction(high=None)) == pytest.approx([2, 0.25, 3]), "decoupled PPO"
    assert weights(Correction(high=2), Correction(level="geometric", how="reject", high=1.5)) == pytest.approx(
        [2, 0.25, 0]
    )


def test_bounds_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="expected low below high"):
        Correction(how="mask", low=2, high=1)
    with pytest.raises(ValueError, match="bounds from above"):
        Correction(low=0.5)


def test_estimates_of_kl_by_hand():
    now, reference = logs(0.5), logs(0.25)
    assert estimate(now, reference, "k1").item() == pytest.approx(math.log(2))
    assert estimate(now, reference, "k2").item() == pytest.approx(math.log(2) ** 2 / 2)
    assert estimate(now, reference, "k3").item() == pytest.approx(0.5 - 1 + math.log(2))


@given(LOG_PROBS, LOG_PROBS)
def test_k2_and_k3_are_never_negative(now, reference):
    for estimator in ("k2", "k3"):
        assert (estimate(torch.tensor(now), torch.tensor(reference), estimator) >= 0).all()


@given(arrays(np.float64, 5, elements=st.floats(-3, 3)), arrays(np.float64, 5, elements=st.floats(-3, 3)))
def test_estimates_average_to_the_reverse_kl_over_what_the_policy_samples(logits, others):
    ours, theirs = torch.tensor(logits)[None], torch.tensor(others)[None]
    log_p, log_q = ours.log_softmax(-1)[0], theirs.log_softmax(-1)[0]
    reverse = exact(ours, theirs, "reverse").item()
    for estimator in ("k1", "k3"):
        assert (log_p.exp() * estimate(log_p, log_q, estimator)).sum().item() == pytest.approx(reverse, abs=1e-9)
    assert exact(theirs, ours, "forward").item() == pytest.approx(reverse, abs=1e-12)
    assert exact(ours, theirs, "js").item() == pytest.approx(exact(theirs, ours, "js").item(), abs=1e-12)
    assert -1e-12 <= exact(ours, theirs, "js").item() <= math.log(2)


def test_a_token_that_cannot_be_chosen_does_not_break_a_divergence():
    ours = torch.tensor([[0.0, 1.0, -torch.inf]], requires_grad=True)
    theirs = torch.tensor([[0.0, 1.0, -torch.inf]])
    found = exact(ours, theirs, "reverse")
    found.sum().backward()
    assert found.item() == pytest.approx(0) and ours.grad.isfinite().all()


def test_value_losses_by_hand():
    values, before, targets = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.0]), torch.tensor([3.0, 0.0])
    assert value_losses(values, before, targets).tolist() == [4, 1]
    # Bounded to 0.5 the first is 2.5 away; the second counts as it is, which is worse.
    assert value_losses(values, before, targets, 0.5).tolist() == [6.25, 1]
