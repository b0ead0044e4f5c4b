"""`experienced`: the tabular world that stored transitions add up to; and values where there are too many states.

In the first, states are the distinct observations, the last of an episode leads to one that is never left, and
transitions are as often as they were met. What was never met is not in it. In the second, V^π is linear in features
of the observation, by least-squares temporal differences (Bradtke and Barto 1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewards.comparison.tabular import Floats, TabularMDP

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Experienced:
    """A world of experience.

    Attributes:
        world: with the actions that were taken.
        policy: how often they were `[S, A]`.
        counts: of transitions `[S, A, S]`; without those of the end.
    """

    world: TabularMDP
    policy: Floats
    counts: Floats

    def reward(self, state: Whole, action: Whole, after: Whole, values: Floats) -> Floats:
        """The mean reward of each transition that was met `[S, A, S]`, of N transitions without NULL; 0 elsewhere."""
        total = np.zeros(self.counts.shape)
        np.add.at(total, (state, action, after), values)
        return np.divide(total, self.counts, out=total, where=self.counts > 0)


def experienced(state: Whole, action: Whole, after: Whole, first: NDArray[np.bool_], gamma: float) -> Experienced:
    """The world that N transitions add up to.

    Args:
        state: index of the state that each leaves `[N]`, from 0.
        action: that was taken `[N]`, from 0.
        after: index of the state that it enters; −1: the episode is over `[N]`.
        first: whether it is the first of its episode `[N]`.
        gamma: discount.

    Raises:
        ValueError: there are none.
    """
    if not len(state):
        raise ValueError("got no transitions; expected one at least")
    end = int(max(state.max(), after.max())) + 1
    actions = int(action.max()) + 1
    counts = np.zeros((end + 1, actions, end + 1))
    np.add.at(counts, (state, action, np.where(after < 0, end, after)), 1.0)
    taken = counts.sum(-1)
    stays = ~(taken > 0).any(1)  # the end, and where experience breaks off: nothing is known of what comes then
    allowed = taken > 0
    allowed[stays, 0] = True
    transition = np.divide(counts, taken[:, :, None], out=np.zeros(counts.shape), where=taken[:, :, None] > 0)
    transition[stays, 0, np.flatnonzero(stays)] = 1.0
    policy = np.where(stays[:, None], allowed, taken / np.maximum(taken.sum(1, keepdims=True), 1))
    start = np.bincount(state[first] if first.any() else state, minlength=end + 1).astype(np.float64)
    return Experienced(TabularMDP(transition, start / start.sum(), gamma, allowed), policy, counts)


def fitted_values(
    features: Floats, next_features: Floats, going_on: Floats, rewards: Floats, gamma: float, ridge: float = 1e-6
) -> tuple[Floats, Floats]:
    """V^π of the states that N transitions leave and enter, linear in their features.

    Args:
        features: of the states that are left `[N, F]`.
        next_features: of those that are entered.
        going_on: 1, or 0 where the episode is over `[N]`.
        rewards: `[N]`.
        gamma: discount.
        ridge: added to the diagonal, relative to it.

    Returns:
        V(s) and V(s') `[N]` each, the latter 0 where the episode is over.
    """
    following = next_features * going_on[:, None]
    matrix = features.T @ (features - gamma * following)
    matrix += ridge * (np.trace(features.T @ features) / max(1, features.shape[1])) * np.eye(features.shape[1])
    weights = np.linalg.lstsq(matrix, features.T @ rewards, rcond=None)[0]
    return features @ weights, following @ weights


def random_features(observations: Floats, count: int = 64, seed: int = 0) -> Floats:
    """Bounded features `[N, count + 1]` of flat observations `[N, D]`: a random layer with tanh, and a constant."""
    random = np.random.default_rng(seed)
    spread = observations.std(0)
    scaled = (observations - observations.mean(0)) / np.where(spread > 0, spread, 1.0)
    mixed = scaled @ random.normal(size=(observations.shape[1], count)) / np.sqrt(max(1, (spread > 0).sum()))
    return np.concatenate([np.tanh(mixed + random.normal(size=count)), np.ones((len(observations), 1))], 1)
