"""Losses of a reward model from what users did: clicks that are wrong at times, of those who cared to click.

A user says z of an answer he would like (y = 1) or not (y = 0), and errs with the rates ρ₀₁ = P(z = 0 | y = 1) and
ρ₁₀ = P(z = 1 | y = 0). A loss of what he said whose mean over his errors is the loss of what he meant:

    ℓ̃(1) = [(1 − ρ₁₀) ℓ(1) − ρ₀₁ ℓ(0)] / (1 − ρ₀₁ − ρ₁₀)
    ℓ̃(0) = [(1 − ρ₀₁) ℓ(0) − ρ₁₀ ℓ(1)] / (1 − ρ₀₁ − ρ₁₀)

He says anything at all (o = 1) with the propensity e(x), more often of what is very good or very bad. The mean of
o/e · ℓ̃ over all answers, those without feedback too, is that of ℓ; with an imputed loss ε it is ε + o/e · (ℓ̃ − ε),
right if either e or ε is (doubly robust).

Source: CausalRM (Wang et al. 2026); losses that undo noise are those of Natarajan et al. 2013. The least propensity,
and a quantile in place of one anchor, are chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class NoiseRates(NamedTuple):
    """How often feedback is wrong.

    Attributes:
        missed: ρ₀₁, of answers that were liked.
        false_alarms: ρ₁₀, of those that were not.
    """

    missed: float
    false_alarms: float


def anchored_noise_rates(chances: Tensor, tail: float = 0.0) -> NoiseRates:
    """Rates from answers that are surely liked or surely not: what is missing there to certainty is noise.

    Args:
        chances: P(z = 1 | x) by a model of what users say `[N]`.
        tail: quantile that stands for the surest answers, from either end; 0: the extremes, of which noise makes more
            than they are.

    Raises:
        ValueError: what is no probability, or a tail outside [0, 1/2).
    """
    if not bool(((chances >= 0) & (chances <= 1)).all()) or not 0 <= tail < 0.5:
        raise ValueError(f"got tail={tail} and chances; expected 0 to 0.5, and probabilities [N]")
    low, high = torch.quantile(chances.detach(), chances.new_tensor([tail, 1 - tail])).tolist()
    return NoiseRates(missed=1 - high, false_alarms=low)


def noise_corrected(liked: Tensor, disliked: Tensor, said: Tensor, rates: NoiseRates) -> Tensor:
    """ℓ̃ of what users said, `[N]`; its mean over their errors is the loss of what they meant.

    Args:
        liked: ℓ(1), the loss if the answer was liked, `[N]`.
        disliked: ℓ(0), `[N]`.
        said: z, above 1/2 where the answer was said to be good, `[N]`; of no matter where nobody said anything.
        rates: ρ₀₁ and ρ₁₀.

    Raises:
        ValueError: rates below 0, or that sum to 1 or more: then feedback says nothing, or the contrary.
    """
    missed, false_alarms = rates
    if missed < 0 or false_alarms < 0 or missed + false_alarms >= 1:
        raise ValueError(f"got {rates}; expected rates of at least 0 that sum to less than 1")
    clear = 1 - missed - false_alarms
    good = ((1 - false_alarms) * liked - missed * disliked) / clear
    bad = ((1 - missed) * disliked - false_alarms * liked) / clear
    return torch.where(said > 0.5, good, bad)


def inverse_propensity(losses: Tensor, observed: Tensor, propensities: Tensor, least: float = 0.05) -> Tensor:
    """o/e · ℓ, `[N]`; its mean over all answers is that of ℓ, had everybody spoken.

    Args:
        losses: ℓ, of any value where nobody spoke, `[N]`.
        observed: o, whether somebody did, `[N]`, bool.
        propensities: e, the chance of it, `[N]`; no gradient flows through it.
        least: what e counts as at least: rare feedback does not count for more than 1 / `least`.

    Raises:
        ValueError: a propensity that is no probability, or `least` that is not above 0.
    """
    return doubly_robust(losses, torch.zeros_like(losses), observed, propensities, least)


def doubly_robust(
    losses: Tensor, imputed: Tensor, observed: Tensor, propensities: Tensor, least: float = 0.05
) -> Tensor:
    """ε + o/e · (ℓ − ε), `[N]`.

    Args:
        losses: ℓ, of any value where nobody spoke, `[N]`.
        imputed: ε, the loss by labels that another model guesses, `[N]`; a number that is not the reward model's would
            leave what it learns as it is.
        observed: o, `[N]`, bool.
        propensities: e, `[N]`; no gradient flows through it.
        least: what e counts as at least.

    Raises:
        ValueError: a propensity that is no probability, or `least` that is not above 0.
    """
    e = propensities.detach()
    if not bool(((e >= 0) & (e <= 1)).all()) or not 0 < least <= 1:
        raise ValueError(f"got least={least} and propensities; expected above 0 to 1, and probabilities [N]")
    return imputed + torch.where(observed, (losses - imputed) / e.clamp(min=least), 0.0)
