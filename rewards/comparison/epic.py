"""EPIC: the distance of two rewards as the Pearson distance of their canonically shaped forms (Gleave et al. 2021).

    D(R1, R2) = √((1 − ρ(C(R1)(S,A,S'), C(R2)(S,A,S'))) / 2)   over a coverage distribution of (S, A, S')

Source: section 4 of "Quantifying differences in reward functions", ICLR 2021.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.comparison.canonicalisation import epic
from rewards.comparison.correlation import pearson
from rewards.comparison.tabular import Floats

Whole = NDArray[np.int64]


def pearson_distance(a: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """√((1 − ρ)/2) in [0, 1]; None where either is constant: ρ is not defined there."""
    correlation = pearson(a, b, weights)
    return None if correlation is None else math.sqrt(max(0.0, (1 - correlation) / 2))


def epic_distance(
    a: Floats,
    b: Floats,
    gamma: float,
    coverage: Floats | None = None,
    states: Floats | None = None,
    actions: Floats | None = None,
) -> float | None:
    """The distance of two tabular rewards, exactly; None where one of them is nothing but shaping.

    Args:
        a: a reward `[S, A, S]`, known for every transition, possible or not.
        b: another.
        gamma: discount.
        coverage: of transitions `[S, A, S]`; None: D_S × D_A × D_S.
        states: D_S `[S]`; None: uniform.
        actions: D_A `[A]`; None: uniform.
    """
    n, m, _ = a.shape
    of_states = np.full(n, 1 / n) if states is None else states
    of_actions = np.full(m, 1 / m) if actions is None else actions
    covered = np.einsum("s,a,t->sat", of_states, of_actions, of_states) if coverage is None else coverage
    first, second = (epic(reward, gamma, of_states, of_actions) for reward in (a, b))
    return distance_of_shaped(a, b, first, second, covered)


def distance_of_shaped(a: Floats, b: Floats, first: Floats, second: Floats, coverage: Floats) -> float | None:
    """The Pearson distance of two rewards in their shaped forms; None where one of them is nothing but shaping.

    Args:
        a: a reward `[S, A, S]`.
        b: another.
        first: the shaped form of `a`.
        second: of `b`.
        coverage: of transitions `[S, A, S]`.
    """
    one, other = (  # without rounding, where a reward is shaping alone
        np.where(np.abs(shaped) <= 1e-12 * np.abs(reward).max(), 0.0, shaped).reshape(-1)
        for reward, shaped in ((a, first), (b, second))
    )
    return pearson_distance(one, other, coverage.reshape(-1))


def shaped_outcomes(outcome: Floats, next_state: Whole, state_means: Floats, state: Whole, gamma: float) -> Floats:
    """Rewards of transitions `[N]`, shaped with the mean reward m(s) = E[R(s,A,S')] of leaving each state.

    Args:
        outcome: reward of each transition `[N]`.
        next_state: index of the state it enters `[N]`.
        state_means: m `[S]`.
        state: index of the state it leaves `[N]`.
        gamma: discount.
    """
    return outcome + gamma * state_means[next_state] - state_means[state]
