"""Checks of rewards from observed outcomes and of thresholds that are searched while in use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.menu import Floats
from rewards.aggregation.feasible_search import FeasibleSearch
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
        search.observe(choice, paid, residuals[:limits])
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
    arms={how: (lambda seed, how=how: searched(seed, how)) for how in ("UCB", "primal-dual", "OFS", "oracle")},
    holds=lambda found: (
        found.below("OFS", "UCB", "violation a day")
        and found.above("OFS", "primal-dual", "profit a day")
        and found.mean("OFS", "profit a day") > 0.9 * found.mean("oracle", "profit a day")
    ),
    units={"violation a day": "largest residual above 0"},
    seeds=10,
)
