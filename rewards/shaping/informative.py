"""Rewards that inform: designed so that few steps ahead tell what is best, without changing what is best.

How much a reward R says to a learner is how far it sets the best action apart within a horizon of h steps:

    I_h(R) = Σ_s Σ_{a ≠ π*(s)} min(Q_h(s, π*(s)) − Q_h(s, a), cap)            Q_h: h steps of R, then π*
    I(R | π) = Σ_s μ_π(s) Σ_a π(a|s) A*(s, a) (R(s, a) − Σ_b π(b|s) R(s, b))  h = 1, for the learner as it is now

`design` maximises the first over rewards of few states (EXPRD), `adapt` the second (EXPADARD). Both are linear
programs with the constraint that under R alone, for ever, each other action stays at least as far below π* as it was;
so each policy that is best under R is best. `bonus_gradient` moves a learnt bonus to where it makes the policy better
by the true reward (EXPLORS); a bonus of counts is added by whoever explores.

For processes that are small enough to be known, with all actions in all states, and rewards of states and actions. What
ends an episode is a state that is never left and never pays, also not under a designed reward.

Sources: Reward Design for Reinforcement Learning Agents (thesis of Devidze); EXPRD (Devidze et al. 2021), EXPLORS
(2022), EXPADARD (2024). The cap of a gap is the one of the constraint's own gap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from rewards.comparison.tabular import TabularMDP

Floats = NDArray[np.float64]
TIE = 1e-9
"""Actions whose values are nearer than this are equally good."""


def optimal_values(mdp: TabularMDP, reward: ArrayLike) -> Floats:
    """Q* of a reward `[S, A]`."""
    return mdp.best_action_values(np.asarray(reward, np.float64))


def _gaps(mdp: TabularMDP, best: Floats, horizon: int | None) -> Floats:
    """G with (G R)(s, a) = Q_h(s, π*(s)) − Q_h(s, a) for each R `[S·A, S·A]`; None: for ever."""
    states, actions = best.shape
    size = states * actions
    chosen = np.zeros((states, size))
    chosen[np.arange(states), np.arange(states) * actions + best.argmax(1)] = 1  # from what actions have to what π* has
    ahead = mdp.gamma * mdp.transition.reshape(size, states) @ chosen
    if horizon is None:
        q = np.linalg.inv(np.eye(size) - ahead)
    else:
        q = term = np.eye(size)
        for _ in range(horizon - 1):
            term = term @ ahead
            q = q + term
    gaps: Floats = np.repeat(chosen @ q, actions, axis=0) - q
    return gaps


class _Problem:
    """What all designs for a process and its true reward have in common: gaps that must stay, and rows for them."""

    def __init__(self, mdp: TabularMDP, reward: ArrayLike) -> None:
        self.mdp, self.true = mdp, np.asarray(reward, np.float64)
        if self.true.shape != mdp.transition.shape[:2]:
            raise ValueError(f"got rewards {self.true.shape}; expected [S, A], {mdp.transition.shape[:2]}")
        self.best = mdp.best_policy(self.true)
        q = optimal_values(mdp, self.true)
        gap = (q.max(1, keepdims=True) - q).ravel()
        self.other = gap > TIE
        self.gap = gap[self.other]
        self.forever = self.near(None)
        ends = (mdp.transition[np.arange(len(q)), :, np.arange(len(q))] == 1).all(1)
        self.payable = np.flatnonzero(~ends)  # what ends an episode is paid nothing

    def near(self, horizon: int | None) -> Floats:
        """Rows that give the gap of each action that is not best, within a horizon."""
        rows: Floats = _gaps(self.mdp, self.best, horizon)[self.other]
        return rows

    def columns(self, states: Sequence[int]) -> NDArray[np.int64]:
        """Where in a flat reward the actions of states stand."""
        actions = self.true.shape[1]
        known = np.intersect1d(np.asarray(states, np.int64), self.payable)
        places: NDArray[np.int64] = (known[:, None] * actions + np.arange(actions)).ravel()
        return places

    def filled(self, columns: NDArray[np.int64], values: Floats) -> Floats:
        """A reward `[S, A]` that is 0 elsewhere."""
        found = np.zeros(self.true.size)
        found[columns] = values
        return found.reshape(self.true.shape)


def informativeness(mdp: TabularMDP, true: ArrayLike, reward: ArrayLike, horizons: Sequence[int] = (1, 2, 4)) -> float:
    """Σ_h I_h(R), at most the sum of the true gaps for each horizon.

    Args:
        mdp: the process.
        true: its own reward `[S, A]`.
        reward: R `[S, A]`.
        horizons: h.
    """
    problem, flat = _Problem(mdp, true), np.asarray(reward, np.float64).ravel()
    return float(sum(np.minimum(problem.near(h) @ flat, problem.gap).sum() for h in horizons))


def _design(
    problem: _Problem, states: Sequence[int], bound: float, horizons: Sequence[int]
) -> tuple[Floats, float] | None:
    """The best reward that is 0 outside of states, and how much it informs; None where none keeps what is best."""
    columns = problem.columns(states)
    near = np.concatenate([problem.near(h) for h in horizons])[:, columns]
    count, size = len(columns), len(near)
    # Variables: R of the columns, and t ≤ gap, t ≤ cap of each gap within a horizon; what is maximised is Σ t.
    upper = np.block([[-problem.forever[:, columns], np.zeros((len(problem.gap), size))], [-near, np.eye(size)]])
    found = linprog(
        np.concatenate([np.zeros(count), -np.ones(size)]),
        A_ub=upper,
        b_ub=np.concatenate([-problem.gap, np.zeros(size)]),
        bounds=[(-bound, bound)] * count + [(None, cap) for cap in np.tile(problem.gap, len(horizons))],
        method="highs",
    )
    return None if found.x is None else (problem.filled(columns, found.x[:count]), -float(found.fun))


def design(
    mdp: TabularMDP, true: ArrayLike, most: int, bound: float, horizons: Sequence[int] = (1, 2, 4)
) -> tuple[Floats, list[int]]:
    """The most informative reward of few states `[S, A]`, and these states (EXPRD).

    It begins with the states that the true reward has, and takes one more at a time: the one that informs most.

    Args:
        mdp: the process.
        true: its own reward `[S, A]`.
        most: B, states beside those of the true reward.
        bound: greatest size of a reward, above 0.
        horizons: h.

    Raises:
        ValueError: no reward within the bound keeps what is best, a bound that is not above 0, or no horizon.
    """
    if not bound > 0 or not horizons or min(horizons) < 1:
        raise ValueError(f"got bound {bound} and horizons {list(horizons)}; expected above 0, and numbers from 1")
    problem = _Problem(mdp, true)
    chosen = [int(s) for s in np.flatnonzero((problem.true != 0).any(1))]
    found = _design(problem, chosen, bound, horizons)
    for _ in range(most):
        tried = {
            int(s): one
            for s in problem.payable
            if s not in chosen and (one := _design(problem, [*chosen, int(s)], bound, horizons)) is not None
        }
        if not tried:
            break
        best = max(tried, key=lambda s: tried[s][1])
        if found is not None and tried[best][1] <= found[1] + TIE:
            break
        chosen, found = [*chosen, best], tried[best]
    if found is None:
        raise ValueError(f"no reward of size {bound} in states {chosen} keeps what is best; expected a larger bound")
    return found[0], chosen


def policy_informativeness(reward: ArrayLike, advantage: ArrayLike, policy: ArrayLike, visits: ArrayLike) -> float:
    """I(R | π) with h = 1.

    Args:
        reward: R `[S, A]`.
        advantage: A* `[S, A]`: how far each action is below the best.
        policy: π of the learner `[S, A]`.
        visits: μ_π `[S]`.
    """
    paid, chance = np.asarray(reward, np.float64), np.asarray(policy, np.float64)
    apart = paid - (chance * paid).sum(1, keepdims=True)
    weight = np.asarray(visits, np.float64)[:, None] * chance * np.asarray(advantage, np.float64)
    return float((weight * apart).sum())


def bonus_gradient(advantage: ArrayLike, policy: ArrayLike, visits: ArrayLike) -> Floats:
    """Where a learnt bonus φ(s, a) must rise for the policy to become better `[S, A]`: ∇_φ I(φ | π).

        ∇_φ = μ(s) π(a|s) (A(s, a) − Σ_b π(b|s) A(s, b))

    With A of the policy itself by the true reward it is the meta-gradient of EXPLORS; there the sum is 0.

    Args:
        advantage: A `[S, A]`.
        policy: π `[S, A]`.
        visits: μ_π `[S]`.
    """
    a, chance = np.asarray(advantage, np.float64), np.asarray(policy, np.float64)
    found: Floats = np.asarray(visits, np.float64)[:, None] * chance * (a - (chance * a).sum(1, keepdims=True))
    return found


def adapt(mdp: TabularMDP, true: ArrayLike, policy: Floats, bound: float) -> Floats:
    """The reward `[S, A]` that informs the learner most as it is now, and keeps what is best (EXPADARD).

    Args:
        mdp: the process.
        true: its own reward `[S, A]`.
        policy: π of the learner `[S, A]`.
        bound: greatest size of a reward.

    Raises:
        ValueError: no reward within the bound keeps what is best.
    """
    problem = _Problem(mdp, true)
    q = optimal_values(mdp, true)
    gain = bonus_gradient(q - q.max(1, keepdims=True), policy, mdp.occupancy(policy).sum(1)).ravel()
    columns = problem.columns(problem.payable.tolist())
    found = linprog(
        -gain[columns],
        A_ub=-problem.forever[:, columns],
        b_ub=-problem.gap,
        bounds=[(-bound, bound)] * len(columns),
        method="highs",
    )
    if found.x is None:
        raise ValueError(f"no reward of size {bound} keeps what is best; expected a larger bound")
    return problem.filled(columns, found.x)
