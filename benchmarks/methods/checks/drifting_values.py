"""Check of annotators whose values drift: how they do is fitted to what was seen, and reward models are tested later.

Annotators have friends at random, and values that are seen with noise for a few steps. What is meant by a pair later
is what they will value then, which nobody has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from envs.bounded_confidence import Population, tie_weights, trajectory
from learners.language.reward_losses import bradley_terry
from learners.particle_swarm import swarm

Floats = NDArray[np.float64]
USERS, VALUES, FRIENDS, NOISE = 80, 5, 6, 0.005
"""Annotators, values of each, friends on average, and the deviation with which values are seen."""
WATCHED, AHEAD = 6, 20
"""Steps that are seen, and after which reward models are tested."""
LOW, HIGH = np.array([0.0, 0.0]), np.array([1.0, 1.0])
"""Where μ and ε are looked for."""
PARTICLES, STEPS = 20, 40
PAIRS, TESTED = 400, 1000
"""Pairs that each annotator judges, and pairs of the test."""


class Community(NamedTuple):
    """Annotators at first, values as seen `[WATCHED + 1, n, D]`, and true ones `[WATCHED + AHEAD + 1, n, D]`."""

    population: Population
    seen: Floats
    true: Floats


@cache
def community(seed: int) -> Community:
    """Annotators with a rate and a bound drawn anew."""
    random = np.random.default_rng(seed)
    known = np.triu(random.random((USERS, USERS)) < FRIENDS / USERS, 1) * random.uniform(0.2, 1.0, (USERS, USERS))
    rate, bound = random.uniform(0.05, 0.15), random.uniform(0.3, 0.6)
    first = Population(random.random((USERS, VALUES)), tie_weights(known + known.T), rate, bound, sharpness=5.0)
    true = trajectory(first.values, first.ties, rate, bound, WATCHED + AHEAD)
    seen = true[: WATCHED + 1] + NOISE * random.normal(size=(WATCHED + 1, USERS, VALUES))
    return Community(first, seen, true)


def fitted(seed: int, how: str) -> Floats:
    """μ and ε `[2]` by as many trials of either search; 0 where nobody is held to change."""
    population, seen, _ = community(seed)

    def loss(place: Floats) -> float:
        return float(((trajectory(seen[0], population.ties, place[0], place[1], WATCHED) - seen) ** 2).mean())

    if how == "PSO":
        return swarm(loss, LOW, HIGH, seed, PARTICLES, STEPS).place
    if how == "random search":
        places = np.random.default_rng(seed).uniform(LOW, HIGH, (PARTICLES * (STEPS + 1), 2))
        return np.asarray(min(places, key=loss))
    return np.zeros(2)


@cache
def judged(seed: int, steps: int) -> Floats:
    """What each annotator's own linear reward model learns from judgements after some steps `[n, D]`."""
    random = np.random.default_rng([seed, steps])
    pairs = random.random((2, PAIRS, VALUES))
    chosen = community(seed).population.later(steps).prefers(pairs[0], pairs[1], random)
    apart = torch.as_tensor(np.where(chosen, 1.0, -1.0))[..., None] * torch.as_tensor(pairs[0] - pairs[1])
    weights = torch.zeros(USERS, VALUES, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([weights], 0.1)
    for _ in range(200):
        margin = (weights[:, None] * apart).sum(-1)
        optimiser.zero_grad()
        bradley_terry(margin, torch.zeros_like(margin)).mean().backward()
        optimiser.step()
    return np.asarray(weights.detach().numpy())


def later(seed: int, how: str) -> Mapping[str, float]:
    """What was found of the drift, what it foretells, and how often a reward model is right after it.

    Args:
        seed: of the annotators and of everything else.
        how: `no change`, `random search` or `PSO`, whose models of today move as they foretell; or `new labels`.
    """
    population, seen, true = community(seed)
    rate, bound = fitted(seed, how)
    foretold = trajectory(seen[-1], population.ties, rate, bound, AHEAD)
    if how == "new labels":
        model = judged(seed, WATCHED + AHEAD)
    else:
        model = judged(seed, WATCHED) + population.sharpness * (foretold[-1] - foretold[0])
    pairs = np.random.default_rng(9000 + seed).random((2, TESTED, VALUES))
    apart = (pairs[0] - pairs[1]).T
    return {
        "error of μ": float(abs(rate / population.rate - 1)),
        "error of ε": float(abs(bound / population.bound - 1)),
        "squared error of the forecast": float(((foretold[1:] - true[WATCHED + 1 :]) ** 2).mean()),
        "accuracy after the drift": float(((model @ apart > 0) == (true[-1] @ apart > 0)).mean()),
    }


def _found_and_foretold(found: Found) -> bool:
    errors = [*found.values["PSO"]["error of μ"], *found.values["PSO"]["error of ε"]]
    return (
        max(errors) < 0.05
        and found.below("PSO", "no change", "squared error of the forecast")
        and found.above("new labels", "no change", "accuracy after the drift")
    )


BOUNDED_CONFIDENCE = Check(
    row=157,
    name="bounded-confidence-value-drift",
    claim="From a few steps, seen with noise, a particle swarm finds the rate and the bound of the drift within 5 % "
    "with every seed, and foretells values with less squared error than that nobody changes; and after the drift "
    "reward models with new labels are right about more pairs than those of before.",
    arms={how: partial(later, how=how) for how in ("no change", "new labels", "random search", "PSO")},
    holds=_found_and_foretold,
    units={
        "error of μ": "share of the true one",
        "error of ε": "share of the true one",
        "accuracy after the drift": "share of pairs",
    },
)
