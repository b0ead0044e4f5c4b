"""Particle swarm optimisation: settings of something that has no gradient, found by points that follow the best ones.

    v ← ω v + c₁ u₁ (p − x) + c₂ u₂ (g − x),    x ← x + v            u uniform in [0, 1], one a number

p is the best place that the point has been to, g that of all. Points stay in the box; who runs into a wall stops there.

Source: Kennedy and Eberhart (1995), with the inertia ω of Shi and Eberhart (1998); ω = 0.7 and c₁ = c₂ = 1.5 are usual
values, chosen here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Optimum(NamedTuple):
    """What a swarm found.

    Attributes:
        place: the best one `[K]`.
        loss: there.
        history: the least loss so far, at first and after each step `[steps + 1]`.
    """

    place: Floats
    loss: float
    history: Floats


def swarm(
    loss: Callable[[Floats], float],
    low: ArrayLike,
    high: ArrayLike,
    seed: int,
    particles: int = 20,
    steps: int = 40,
    inertia: float = 0.7,
    own: float = 1.5,
    common: float = 1.5,
) -> Optimum:
    """Where a loss is least in a box; it is asked `particles · (steps + 1)` times.

    Args:
        loss: of one place `[K]`; a finite number.
        low: of the box `[K]`.
        high: of the box `[K]`, above `low`.
        seed: of everything.
        particles: points, one at least.
        steps: how often all of them move.
        inertia: ω.
        own: c₁, how much a point goes back to the best place of its own.
        common: c₂, how much it goes to the best place of all.

    Raises:
        ValueError: no box, no points, or a loss that is no finite number.
    """
    lowest, highest = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if lowest.ndim != 1 or lowest.shape != highest.shape or not (lowest < highest).all():
        raise ValueError(f"got a box from {lowest.tolist()} to {highest.tolist()}; expected [K] and [K], all above")
    if particles < 1 or steps < 0:
        raise ValueError(f"got {particles} particles and {steps} steps; expected at least 1, and at least 0")
    random = np.random.default_rng(seed)
    x = random.uniform(lowest, highest, (particles, len(lowest)))
    v = random.uniform(-1, 1, x.shape) * (highest - lowest) / 4
    best, least = x.copy(), _losses(loss, x)
    history = [least.min()]
    for _ in range(steps):
        u = random.random((2, *x.shape))
        v = inertia * v + own * u[0] * (best - x) + common * u[1] * (best[least.argmin()] - x)
        reached = x + v
        x = np.clip(reached, lowest, highest)
        v = np.where(x == reached, v, 0.0)
        found = _losses(loss, x)
        better = found < least
        best[better], least[better] = x[better], found[better]
        history.append(least.min())
    return Optimum(best[least.argmin()], float(least.min()), np.array(history))


def _losses(loss: Callable[[Floats], float], places: Floats) -> Floats:
    found = np.array([loss(place) for place in places], np.float64)
    if not np.isfinite(found).all():
        worst = places[~np.isfinite(found)][0]
        raise ValueError(f"got a loss that is no finite number at {worst.tolist()}; expected one: make the box smaller")
    return found
