"""Checks of rewards from observed outcomes and feedback, and of thresholds that are searched while in use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import Floats
from learners.objectives.observational import (
    NoiseRates,
    anchored_noise_rates,
    doubly_robust,
    inverse_propensity,
    noise_corrected,
)
from rewards.aggregation.feasible_search import FeasibleSearch
from rewards.comparison.correlation import pearson
from rewards.sources.observational import cross_fitted

# --- 167: fame that is no merit --------------------------------------------------------------------------------------


def observed(seed: int, adjusted: bool, number: int = 2000, temperature: float = 0.2) -> Mapping[str, float]:
    """True worth of texts chosen by a reward fitted to observed outcomes, and how much it lives on what causes nothing.

    Famous writers have more success whatever they write, and write in a way of their own, which causes nothing.

    Args:
        seed: of everything.
        adjusted: whether circumstances are taken off the outcomes first.
        number: of observed texts.
        temperature: of the policy over new texts.
    """
    random = np.random.default_rng(seed)
    fame = random.normal(size=number)
    text = random.normal(size=(number, 6))
    text[:, 1] = 0.8 * fame + 0.6 * text[:, 1]  # the way of famous writers
    merit = np.array([1.0, 0.0, -0.5, 0.3, 0.0, 0.0])
    outcomes = text @ merit + 2.0 * fame + random.normal(size=number)
    target = cross_fitted(outcomes, fame[:, None], text) if adjusted else outcomes
    design = np.column_stack([np.ones(number), text])
    fitted = np.linalg.lstsq(design, target, rcond=None)[0][1:]
    shown = random.normal(size=(200, 8, 6))  # new texts, by anybody
    scores = shown @ fitted / temperature
    chances = np.exp(scores - scores.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    true = shown @ merit
    return {
        "true worth": float((chances * true).sum(-1).mean()),
        "regret to the best": float((true.max(-1) - (chances * true).sum(-1)).mean()),
        "of what causes nothing": float((chances * shown[..., 1]).sum(-1).mean()),
    }


DECONFOUND = Check(
    row=167,
    name="deconfounded-reward",
    claim="Where fame brings success and a style, texts chosen by a reward fitted to outcomes with the circumstances "
    "taken off are worth more in truth than texts chosen by one fitted to raw outcomes, and live less on the "
    "style.",
    arms={
        "raw outcomes": lambda seed: observed(seed, adjusted=False),
        "deconfounded": lambda seed: observed(seed, adjusted=True),
    },
    holds=lambda found: (
        found.above("deconfounded", "raw outcomes", "true worth")
        and found.below("deconfounded", "raw outcomes", "of what causes nothing")
    ),
    seeds=10,
)

# --- 96: feedback of those who care, and wrong at times --------------------------------------------------------------

FACTS = 6
"""Numbers of an answer. The first decides whether it is very good or very bad, the next two are finer merits."""
NONE, NOISE = NoiseRates(0.0, 0.0), NoiseRates(missed=0.2, false_alarms=0.1)


def liking(answers: Tensor) -> Tensor:
    """The chance that an answer is liked `[N]`."""
    return (0.8 * answers[:, 0] ** 3 + answers[:, 1] + 0.5 * answers[:, 2]).sigmoid()


@dataclass(frozen=True)
class Feedback:
    """What is known of answers, and what was estimated of it.

    Attributes:
        answers: `[N, FACTS]`.
        observed: whether somebody said something `[N]`.
        said: 1 that it was good, 0 that it was not; of no matter elsewhere `[N]`.
        propensities: estimated chance of feedback `[N]`.
        rates: estimated noise.
        liked: estimated chance that it is liked `[N]`.
    """

    answers: Tensor
    observed: Tensor
    said: Tensor
    propensities: Tensor
    rates: NoiseRates
    liked: Tensor


def network(seed: int) -> nn.Module:
    """A network from answers to a logit."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(FACTS, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0))


def descend(model: nn.Module, loss: Callable[[], Tensor], decay: float = 0.0, steps: int = 300) -> None:
    """Train a model on everything at each step, in place."""
    optimiser = torch.optim.AdamW(model.parameters(), 0.02, weight_decay=decay)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


@cache
def feedback(seed: int, number: int = 16_000) -> Feedback:
    """Users speak of what is surely liked or surely not, and say it with the noise of NOISE."""
    generator = torch.Generator().manual_seed(seed)
    answers = torch.randn(number, FACTS, generator=generator)
    chance = liking(answers)
    taste, spoke, slip = (torch.rand(number, generator=generator) for _ in range(3))
    liked = taste < chance
    observed = spoke < 0.05 + 0.9 * (2 * chance - 1) ** 4
    said = (liked ^ (slip < torch.where(liked, *NOISE))).float()
    speaks, says = network(seed), network(seed)
    descend(speaks, lambda: F.binary_cross_entropy_with_logits(speaks(answers), observed.float()))
    with torch.no_grad():
        propensities = speaks(answers).sigmoid()

    def proxy() -> Tensor:  # of what users say, noise and all
        losses = F.binary_cross_entropy_with_logits(says(answers), said, reduction="none")
        return inverse_propensity(losses, observed, propensities).mean()

    descend(says, proxy, decay=1.0)  # without, it is sure of everything, and finds no noise
    with torch.no_grad():
        heard = says(answers).sigmoid()
        rates = anchored_noise_rates(heard, tail=0.05)
        likely = ((heard - rates.false_alarms) / (1 - rates.missed - rates.false_alarms)).clamp(0, 1)
    return Feedback(answers, observed, said, propensities, rates, likely)


def clicked(seed: int, weigh: bool, rates: NoiseRates | None = None, robust: bool = False) -> Mapping[str, float]:
    """How near a linear reward comes to the chance that answers are liked, over all of them.

    Args:
        seed: of everything.
        weigh: whether feedback counts the more, the rarer it is of such answers.
        rates: noise that the loss undoes; None: as it was estimated.
        robust: whether losses are imputed by the chance that an answer is liked.
    """
    seen = feedback(seed)
    torch.manual_seed(seed)
    reward = nn.Sequential(nn.Linear(FACTS, 1), nn.Flatten(0))
    undone = seen.rates if rates is None else rates
    e = seen.propensities if weigh else seen.observed.float().mean().expand(len(seen.answers))

    def loss() -> Tensor:
        logits = reward(seen.answers)
        liked, disliked = F.softplus(-logits), F.softplus(logits)
        losses = noise_corrected(liked, disliked, seen.said, undone)
        if not robust:
            return inverse_propensity(losses, seen.observed, e).mean()
        return doubly_robust(losses, seen.liked * liked + (1 - seen.liked) * disliked, seen.observed, e).mean()

    descend(reward, loss)
    fresh = torch.randn(4000, FACTS, generator=torch.Generator().manual_seed(10_000 + seed))
    with torch.no_grad():
        true, given = liking(fresh), reward(fresh).sigmoid()
    return {
        "squared error": float((given - true).square().mean()),
        "correlation": pearson(given.numpy(), true.numpy()) or 0.0,
        "estimated misses": seen.rates.missed,
        "estimated false alarms": seen.rates.false_alarms,
    }


def _both_corrections_count(found: Found) -> bool:
    """Both together err less than either, and either less than none."""
    alone = ("weighed", "noise undone")
    return all(
        found.below("CausalRM", one, "squared error") and found.below(one, "naive", "squared error") for one in alone
    )


CAUSAL_RM = Check(
    row=96,
    name="propensity-noise-corrected-reward-model",
    claim="Where users speak mostly of what they like or dislike much, and wrongly at times, a reward taught with both "
    "corrections errs less over all answers than with either alone, and with either alone less than with none.",
    arms={
        "naive": lambda seed: clicked(seed, weigh=False, rates=NONE),
        "weighed": lambda seed: clicked(seed, weigh=True, rates=NONE),
        "noise undone": lambda seed: clicked(seed, weigh=False),
        "CausalRM": lambda seed: clicked(seed, weigh=True),
        "CausalRM, doubly robust": lambda seed: clicked(seed, weigh=True, robust=True),
        "CausalRM, noise known": lambda seed: clicked(seed, weigh=True, rates=NOISE),
    },
    holds=_both_corrections_count,
    units={"squared error": "of the chance to be liked"},
)

# --- 31: thresholds in use -------------------------------------------------------------------------------------------

GRID: Floats = np.linspace(-1.5, 1.5, 13)
GAP, SERVED = 0.08, 0.35
"""How far acceptance of two groups may be apart, and the least share that must be accepted."""


class Lending:
    """Two groups whose scores move with who is accepted; a decision is a threshold for everybody."""

    def __init__(self, seed: int) -> None:
        """Groups as they start."""
        self._random = np.random.default_rng(seed)
        self._means = np.array([0.35, -0.1])

    def decide(self, threshold: float) -> tuple[float, NDArray[np.float64]]:
        """Profit of one day, and the residuals of both limits."""
        scores = self._means[:, None] + self._random.normal(size=(2, 300))
        taken = scores > threshold
        repaid = self._random.random(scores.shape) < 1 / (1 + np.exp(-1.5 * scores))
        profit = float((taken * np.where(repaid, 1.0, -1.2)).mean())
        rates = taken.mean(1)
        # Who is served does better later: a contraction towards what the threshold leads to.
        self._means += 0.05 * (0.6 * rates + np.array([0.15, -0.15]) - self._means)
        return profit, np.array([abs(rates[0] - rates[1]) - GAP, SERVED - float(rates.mean())])


def searched(seed: int, how: str, days: int = 1500) -> Mapping[str, float]:
    """Profit and violation a day.

    Args:
        seed: of the groups.
        how: "OFS", "UCB", "primal-dual", or "oracle": the best fixed threshold that is allowed, known beforehand.
        days: how many decisions.
    """
    world = Lending(seed)
    limits = 0 if how == "UCB" else 2
    search = FeasibleSearch(len(GRID), limits, width=0.15)
    duals, sums, counts = np.zeros(2), np.zeros((len(GRID), 3)), np.zeros(len(GRID))
    fixed = oracle(seed) if how == "oracle" else 0
    profit, violation = 0.0, 0.0
    for day in range(days):
        if how == "oracle":
            choice = fixed
        elif how == "primal-dual":
            fresh = np.flatnonzero(counts == 0)
            means = sums / np.maximum(counts, 1)[:, None]
            bonus = 0.15 * np.sqrt(math.log(max(day, 2)) / np.maximum(counts, 1))
            choice = int(fresh[0]) if fresh.size else int((means[:, 0] - means[:, 1:] @ duals + bonus).argmax())
        else:
            choice = search.choose()
        paid, residuals = world.decide(float(GRID[choice]))
        search.observe(choice, paid, residuals[:limits].tolist())
        counts[choice] += 1
        sums[choice] += [paid, *residuals]
        duals = np.maximum(duals + 0.05 * residuals, 0.0)
        profit, violation = profit + paid / days, violation + float(np.maximum(residuals, 0).max()) / days
    return {"profit a day": profit, "violation a day": violation}


def oracle(seed: int, days: int = 400) -> int:
    """The fixed threshold that earns most in the long run among those that keep the limits, or keeps them best."""
    found: list[Sequence[float]] = []
    for threshold in GRID:
        world = Lending(10_000 + seed)
        days_seen = [world.decide(float(threshold)) for _ in range(days)][days // 2 :]
        residuals = np.mean([day[1] for day in days_seen], axis=0)
        found.append((float(np.mean([day[0] for day in days_seen])), float(residuals.max())))
    table = np.array(found)
    allowed = table[:, 1] <= 0.01
    return int(np.where(allowed, table[:, 0], -np.inf).argmax() if allowed.any() else table[:, 1].argmin())


OFS = Check(
    row=31,
    name="optimistic-feasible-search",
    claim="Over thresholds for groups that change with decisions, optimistic feasible search violates the limits less "
    "than a search without them and earns more than a primal-dual one, within 10 % of the best fixed threshold "
    "that is allowed.",
    arms={how: partial(searched, how=how) for how in ("UCB", "primal-dual", "OFS", "oracle")},
    holds=lambda found: (
        found.below("OFS", "UCB", "violation a day")
        and found.above("OFS", "primal-dual", "profit a day")
        and found.mean("OFS", "profit a day") > 0.9 * found.mean("oracle", "profit a day")
    ),
    units={"violation a day": "largest residual above 0"},
    seeds=10,
)
