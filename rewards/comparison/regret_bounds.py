"""Regret: what it costs, by one reward, to follow the policy that another calls best; and what distances promise of it.

    regret = J1(π1) − J1(π2),  π1 best under R1, π2 best under R2

Both bounds hold for every tabular world; they are worst cases, and loose in most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rewards.comparison.starc import norm, standardised
from rewards.comparison.tabular import Floats, TabularMDP


@dataclass(frozen=True)
class Regret:
    """Of following B's best policy, by A's reward.

    Attributes:
        regret: J_A(π_A) − J_A(π_B), at least 0.
        share: of the span between the best and the worst policy under A; None where that is 0.
        bound: that the STARC distance promises, in the unit of `regret`.
    """

    regret: float
    share: float | None
    bound: float


def regret_of(world: TabularMDP, a: Floats, b: Floats, canonical_a: Floats, canonical_b: Floats) -> Regret:
    """The regret of following `b` where `a` is meant, and its bound.

    Args:
        world: whose transitions count.
        a: expected reward `[S, A]` that is meant.
        b: expected reward that is followed.
        canonical_a: its canonical form `[S, A]`.
        canonical_b: of the other.
    """
    best, worst, followed = world.best_policy(a), world.best_policy(-a), world.best_policy(b)
    top, bottom = world.worth(best, a), world.worth(worst, a)
    regret = max(0.0, top - world.worth(followed, a))
    span = top - bottom
    # a reward that is shaping alone has rounding for its canonical form, which stands for 0
    unit_a, unit_b = standardised(canonical_a, 2, norm(a)), standardised(canonical_b, 2, norm(b))
    size, distance = norm(canonical_a), norm(unit_a - unit_b)
    share = regret / span if span > 1e-9 * (1 + abs(top)) else None
    return Regret(regret, share, starc_bound(size, distance, world.gamma))


def starc_bound(size: float, distance: float, gamma: float) -> float:
    """Most regret that a distance in the L2 norm allows: n(C(R1)) · n(s(R1) − s(R2)) · √2 / (1 − γ).

    Canonical forms give the same differences of returns as the rewards. With occupancies η of the two best policies and
    k = n(C1)/n(C2) ≥ 0 the second is best under k·C2 too, so regret ≤ (C1 − k·C2)·(η1 − η2), and by Cauchy and Schwarz
    at most n(C1)·n(s1 − s2)·‖η1 − η2‖₂, where occupancies sum to 1/(1−γ) and so are at most √2/(1−γ) apart. This is the
    soundness of STARC metrics (Skalse et al. 2024, section 3) with its constant written out.

    Args:
        size: n(C(R1)).
        distance: n(s(R1) − s(R2)), twice `starc_distance`.
        gamma: discount.
    """
    return size * distance * math.sqrt(2) / (1 - gamma)


def epic_bound(size: float, distance: float, gamma: float, most: float) -> float:
    """Most regret that an EPIC distance allows: 16 K ‖R‖₂ D / (1 − γ) (Gleave et al. 2021, theorem 4.9).

    Args:
        size: ‖R‖₂ = √E[R²] of the reward that is meant, over the coverage distribution.
        distance: EPIC's.
        gamma: discount.
        most: K: at every time both best policies meet no transition more than K times as often as the coverage does.
    """
    return 16 * most * size * distance / (1 - gamma)


def most_over(coverage: Floats, world: TabularMDP, policies: tuple[Floats, ...], steps: int = 1000) -> float:
    """K of `epic_bound`: the greatest ratio of a transition's chance at any time to its coverage `[S, A, S]`.

    Args:
        coverage: D(s,a,s').
        world: where the policies go.
        policies: `[S, A]` each.
        steps: times that are looked at.
    """
    most = 0.0
    for policy in policies:
        state = world.start
        for _ in range(steps):
            met = (state[:, None] * policy)[:, :, None] * world.transition
            with np.errstate(divide="ignore", invalid="ignore"):
                most = max(most, float(np.nanmax(np.where(met > 0, met / coverage, 0.0))))
            following = met.sum((0, 1))
            if np.allclose(following, state, rtol=0, atol=1e-12):
                break
            state = following
    return most
