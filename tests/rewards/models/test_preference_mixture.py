from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.language.reward_losses import bradley_terry
from rewards.models.preference_mixture import Mixed, PreferenceMixture, hedged, mixture_loss

DRAWN = torch.Generator().manual_seed(0)
GAPS = torch.randn(6, 3, generator=DRAWN)
PRIOR = torch.randn(6, 3, generator=DRAWN).log_softmax(-1)


def test_with_one_head_it_is_bradley_terry():
    model = PreferenceMixture(answer=4, prompt=2, heads=1)
    prompts, answers = torch.randn(5, 2, generator=DRAWN), torch.randn(2, 5, 4, generator=DRAWN)
    chosen, rejected = model(prompts, answers[0]), model(prompts, answers[1])
    loss = mixture_loss(chosen.log_weights, chosen.rewards - rejected.rewards, entropy=0.5)
    torch.testing.assert_close(loss, bradley_terry(chosen.score, rejected.score))
    assert torch.equal(chosen.score, chosen.rewards[:, 0])


def test_the_loss_by_hand():
    log_weights = torch.tensor([[0.25, 0.75]]).log()
    gaps = torch.tensor([[math.log(3), -math.log(3)]])  # P of ¾ and of ¼
    assert mixture_loss(log_weights, gaps).tolist() == pytest.approx([-math.log(0.25 * 0.75 + 0.75 * 0.25)])
    spread = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    more = mixture_loss(log_weights, gaps, entropy=2.0) - mixture_loss(log_weights, gaps)
    assert more.tolist() == pytest.approx([-2 * spread])


def test_without_a_rate_or_without_pairs_the_weights_stay_as_they_are():
    torch.testing.assert_close(hedged(PRIOR, GAPS, eta=0.0), PRIOR)
    torch.testing.assert_close(hedged(PRIOR, GAPS[:0]), PRIOR)


def test_with_a_rate_of_one_it_is_bayes_rule_by_hand():
    found = hedged(torch.tensor([0.5, 0.5]).log(), torch.tensor([[math.log(3), -math.log(3)]] * 2)).exp()
    assert found.tolist() == pytest.approx([0.9, 0.1])  # ¾ · ¾ against ¼ · ¼


@given(st.integers(0, 6), st.floats(0, 3))
def test_pairs_may_come_one_by_one_or_at_once(cut, eta):
    at_once = hedged(PRIOR, GAPS, eta)
    torch.testing.assert_close(hedged(hedged(PRIOR, GAPS[:cut], eta), GAPS[cut:], eta), at_once)


def test_a_score_is_the_weighted_sum_by_hand_and_the_seed_determines_the_weights():
    mixed = Mixed(torch.tensor([[2.0, -1.0]]), torch.tensor([[0.75, 0.25]]).log())
    assert mixed.score.tolist() == pytest.approx([1.25])
    before = torch.random.get_rng_state()
    first, second = PreferenceMixture(3, 2, seed=5), PreferenceMixture(3, 2, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.heads.weight, second.heads.weight) and first.heads.weight.shape == (10, 3)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="eta=-1"):
        hedged(PRIOR, GAPS, eta=-1)
    with pytest.raises(ValueError, match=r"gaps \(6, 2\)"):
        hedged(PRIOR, GAPS[:, :2])
