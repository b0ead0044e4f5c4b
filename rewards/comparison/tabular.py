"""`TabularMDP`: a small world without a reward: transitions, where it begins, and how the future is discounted.

Everything here is exact: linear systems and policy iteration, no sampling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SWEEPS = 1000  # of policy iteration, which ends after a few
TOLERANCE = 1e-10


@dataclass(frozen=True)
class TabularMDP:
    """A finite process; an episode that ends is a state that is never left and never pays.

    Attributes:
        transition: τ(s'|s,a) `[S, A, S]`; rows of actions that are allowed sum to 1.
        start: distribution of the first state `[S]`.
        gamma: discount, in [0, 1).
        allowed: which actions there are in which state `[S, A]`; None: all of them.
    """

    transition: Floats
    start: Floats
    gamma: float
    allowed: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no process.

        Raises:
            ValueError: shapes do not fit, probabilities do not sum to 1, a state has no action, or γ is not in [0, 1).
        """
        shape = self.transition.shape
        if len(shape) != 3 or shape[0] != shape[2] or self.start.shape != shape[:1]:
            raise ValueError(f"got transitions {shape} and a start {self.start.shape}; expected [S, A, S], [S]")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"got gamma {self.gamma}; expected one in [0, 1): sums over all time must be finite")
        if not self.mask.any(1).all():
            raise ValueError(f"state {int(np.flatnonzero(~self.mask.any(1))[0])} has no action; expected one at least")
        if not np.allclose(self.transition.sum(-1)[self.mask], 1.0) or not np.isclose(self.start.sum(), 1.0):
            raise ValueError("got probabilities that do not sum to 1; expected distributions of states")

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which actions there are `[S, A]`."""
        return np.ones(self.transition.shape[:2], np.bool_) if self.allowed is None else self.allowed

    def expected(self, reward: Floats) -> Floats:
        """Mean reward of a state and an action, r(s,a) = E_{S'~τ(s,a)}[R(s,a,S')] `[S, A]`."""
        return np.asarray(np.einsum("sat,sat->sa", self.transition, reward))

    def uniform(self) -> Floats:
        """The policy that takes every allowed action as often `[S, A]`."""
        return np.asarray(self.mask / self.mask.sum(1, keepdims=True), np.float64)

    def values(self, policy: Floats, expected: Floats) -> Floats:
        """V^π `[S]` of a policy `[S, A]` under expected rewards `[S, A]`, by the linear Bellman equation."""
        step = np.einsum("sa,sat->st", policy, self.transition)
        found: Floats = np.linalg.solve(np.eye(len(step)) - self.gamma * step, (policy * expected).sum(1))
        return found

    def action_values(self, values: Floats, expected: Floats) -> Floats:
        """r(s,a) + γ E[V(S')] `[S, A]`."""
        return np.asarray(expected + self.gamma * self.transition @ values)

    def advantages(self, policy: Floats, expected: Floats) -> Floats:
        """A^π `[S, A]`; 0 where an action is not allowed."""
        values = self.values(policy, expected)
        return np.where(self.mask, self.action_values(values, expected) - values[:, None], 0.0)

    def occupancy(self, policy: Floats) -> Floats:
        """Discounted visits η^π(s,a) = Σ_t γ^t P(S_t = s, A_t = a) `[S, A]`; they sum to 1/(1−γ)."""
        step = np.einsum("sa,sat->st", policy, self.transition)
        visits = np.linalg.solve(np.eye(len(step)) - self.gamma * step.T, self.start)
        return np.asarray(visits[:, None] * policy)

    def worth(self, policy: Floats, expected: Floats) -> float:
        """J(π): expected discounted return from the start."""
        return float(self.start @ self.values(policy, expected))

    def best_policy(self, expected: Floats) -> Floats:
        """A policy `[S, A]` that is best from every state, by policy iteration (Howard 1960)."""
        policy = np.eye(self.mask.shape[1])[self.mask.argmax(1)]
        for _ in range(SWEEPS):
            values = self.values(policy, expected)
            worth = np.where(self.mask, self.action_values(values, expected), -np.inf)
            scale = TOLERANCE * (1 + np.abs(values))
            better = worth.max(1) > np.where(policy > 0, worth, 0.0).sum(1) + scale
            if not better.any():
                break
            policy = np.where(better[:, None], np.eye(policy.shape[1])[worth.argmax(1)], policy)
        return np.asarray(policy)

    def best_action_values(self, expected: Floats) -> Floats:
        """Q* `[S, A]`: of an action, and the best policy after it."""
        return self.action_values(self.values(self.best_policy(expected), expected), expected)
