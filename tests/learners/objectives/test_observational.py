from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from learners.objectives.observational import (
    NoiseRates,
    anchored_noise_rates,
    doubly_robust,
    inverse_propensity,
    noise_corrected,
)

LOGITS = torch.tensor([-2.0, 0.0, 0.5, 3.0], dtype=torch.float64)
LIKED, DISLIKED = softplus(-LOGITS), softplus(LOGITS)
ZERO, ONE = torch.zeros(4), torch.ones(4)


def test_without_noise_and_where_everybody_speaks_it_is_plain_cross_entropy():
    said = torch.tensor([1.0, 0, 0, 1], dtype=torch.float64)
    losses = noise_corrected(LIKED, DISLIKED, said, NoiseRates(0.0, 0.0))
    found = inverse_propensity(losses, said >= 0, torch.ones(4))
    torch.testing.assert_close(found, binary_cross_entropy_with_logits(LOGITS, said, reduction="none"))


@pytest.mark.parametrize("rates", [NoiseRates(0.2, 0.1), NoiseRates(0.0, 0.4), NoiseRates(0.6, 0.3)])
def test_the_mean_over_what_a_user_may_say_is_the_loss_of_what_he_meant(rates):
    good, bad = (noise_corrected(LIKED, DISLIKED, said, rates) for said in (ONE, ZERO))
    torch.testing.assert_close((1 - rates.missed) * good + rates.missed * bad, LIKED)
    torch.testing.assert_close((1 - rates.false_alarms) * bad + rates.false_alarms * good, DISLIKED)


def test_noise_corrected_by_hand():
    found = noise_corrected(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1.0]), NoiseRates(0.2, 0.1))
    assert found.item() == pytest.approx((0.9 * 1 - 0.2 * 3) / 0.7)


def test_the_mean_over_who_speaks_is_the_loss_of_all_with_or_without_a_guess():
    e = torch.tensor([0.1, 0.4, 0.7, 1.0])
    guess = torch.tensor([0.0, 5.0, -1.0, 2.0])
    for found in (
        lambda o: inverse_propensity(LIKED, o, e),
        lambda o: doubly_robust(LIKED, guess, o, e),
    ):
        torch.testing.assert_close(e * found(ONE > 0) + (1 - e) * found(ZERO > 0), LIKED, check_dtype=False)


def test_doubly_robust_is_right_by_the_guess_alone_where_propensities_are_wrong():
    wrong = torch.full((4,), 0.3)
    for observed in (ONE > 0, ZERO > 0):
        torch.testing.assert_close(doubly_robust(LIKED, LIKED, observed, wrong), LIKED)


def test_rare_feedback_counts_for_no_more_than_is_allowed_and_what_nobody_said_teaches_nothing():
    losses = torch.tensor([1.0, 1.0, 7.0], requires_grad=True)
    found = inverse_propensity(losses, torch.tensor([True, True, False]), torch.tensor([0.001, 0.5, 0.5]), least=0.1)
    assert found.tolist() == pytest.approx([10.0, 2.0, 0.0])
    found.sum().backward()
    assert losses.grad.tolist() == pytest.approx([10.0, 2.0, 0.0])
    unsaid = noise_corrected(losses, losses, torch.full((3,), math.nan), NoiseRates(0.2, 0.1))
    assert unsaid.isfinite().all()


def test_rates_are_what_is_missing_to_certainty_at_the_surest_answers():
    found = anchored_noise_rates(torch.tensor([0.1, 0.3, 0.5, 0.8]))
    assert found == pytest.approx((0.2, 0.1))
    trimmed = anchored_noise_rates(torch.linspace(0, 1, 101), tail=0.05)
    assert trimmed == pytest.approx((0.05, 0.05))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="sum to less than 1"):
        noise_corrected(LIKED, DISLIKED, ONE, NoiseRates(0.6, 0.4))
    with pytest.raises(ValueError, match="probabilities"):
        inverse_propensity(LIKED, ONE > 0, torch.full((4,), math.nan))
    with pytest.raises(ValueError, match="above 0 to 1"):
        inverse_propensity(LIKED, ONE > 0, ONE, least=0.0)
    with pytest.raises(ValueError, match="probabilities"):
        anchored_noise_rates(torch.tensor([0.5, 1.2]))
