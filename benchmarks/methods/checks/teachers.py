"""Check of rewards that a teacher designs for a learner, once or on the way, and of those he makes for himself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from rewards.comparison.tabular import Floats, TabularMDP
from rewards.shaping.informative import adapt, bonus_gradient, design

EPISODES, LONGEST, MOST = 8, 50, 8000
"""Episodes of an update, steps of an episode, and episodes in all."""
RATE, GAMMA, SLIP = 1.0, 0.95, 0.05
CELLS, CHAIN, DISTRACTORS = 8, 10, 20
GOOD = 0.95
"""Share of the best return that has to be reached."""


@dataclass(frozen=True, eq=False)
class World:
    """A process and what it pays `[S, A]`: 1 at the end, nothing on the way."""

    mdp: TabularMDP
    paid: Floats


def world(moves: NDArray[np.int64], start: int, last: tuple[int, int]) -> World:
    """A process from where each action leads `[S, A]`; now and then one stays where he is.

    Args:
        moves: the next state; the last state is the end.
        start: first state.
        last: state and action that are paid.
    """
    states, actions = moves.shape
    transition = (1 - SLIP) * np.eye(states)[moves] + SLIP * np.eye(states)[:, None]
    paid = np.zeros((states, actions))
    paid[last] = 1.0
    return World(TabularMDP(transition, np.eye(states)[start], GAMMA), paid)


@cache
def key_and_door() -> World:
    """A line: a key to be taken at its left end, and a door at its right end that opens with it alone."""
    end = 2 * CELLS
    moves = np.zeros((end + 1, 3), np.int64)  # left, right, take
    for state in range(end):
        key, cell = divmod(state, CELLS)
        to = max(cell - 1, 0), min(cell + 1, CELLS - 1), cell
        moves[state] = [key * CELLS + c for c in to]
    moves[0, 2] = CELLS
    moves[end - 1, 1] = moves[end] = end
    return world(moves, CELLS // 2, (end - 1, 1))


@cache
def long_chain() -> World:
    """A chain whose far end is paid, with a side road at its beginning that leads nowhere and is long."""
    end = CHAIN + DISTRACTORS
    moves = np.zeros((end + 1, 3), np.int64)  # back, on, aside
    for state in range(CHAIN):
        moves[state] = max(state - 1, 0), state + 1, state
    moves[0, 2] = CHAIN
    for state in range(CHAIN, end):
        moves[state] = 0 if state == CHAIN else state - 1, min(state + 1, end - 1), state
    moves[CHAIN - 1, 1] = moves[end] = end
    return world(moves, 0, (CHAIN - 1, 1))


@cache
def designed(place: World) -> Floats:
    """The reward of EXPRD: in five states beside the one that is paid."""
    return design(place.mdp, place.paid, most=5, bound=1.0)[0]


def played(mdp: TabularMDP, policy: Floats, random: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """States `[EPISODES, LONGEST + 1]` and actions `[EPISODES, LONGEST]` of some episodes."""
    likely, follows = policy.cumsum(-1), mdp.transition.cumsum(-1)
    states = np.zeros((EPISODES, LONGEST + 1), np.int64)
    actions = np.zeros((EPISODES, LONGEST), np.int64)
    states[:] = int(mdp.start.argmax())
    drawn = random.random((2, LONGEST, EPISODES, 1))
    for t in range(LONGEST):
        now = states[:, t]
        actions[:, t] = (likely[now] < drawn[0, t] * likely[now, -1:]).sum(-1)
        after = follows[now, actions[:, t]]
        states[:, t + 1] = (after < drawn[1, t] * after[:, -1:]).sum(-1)
    return states, actions


class Himself:
    """What a learner adds to what he is paid: a bonus of counts, and with EXPLORS one that he learns."""

    def __init__(self, place: World, learns: bool) -> None:
        """Nothing seen yet."""
        self.place, self.learns = place, learns
        self.counts = np.zeros(len(place.paid))
        self.q, self.bonus = np.zeros_like(place.paid), np.zeros_like(place.paid)

    def __call__(self, states: NDArray[np.int64], actions: NDArray[np.int64], policy: Floats) -> Floats:
        """The reward of each step `[EPISODES, LONGEST]`."""
        now, after, end = states[:, :-1], states[:, 1:], len(self.counts) - 1
        np.add.at(self.counts, after, 1)
        novelty = 0.1 / np.sqrt(np.maximum(self.counts, 1))
        novelty[end] = 0
        extrinsic = self.place.paid[now, actions]
        if self.learns:
            for t in reversed(range(LONGEST)):  # a critic of what is truly paid, by expected SARSA
                s, a, v = now[:, t], actions[:, t], (policy * self.q).sum(-1)
                self.q[s, a] += 0.2 * (extrinsic[:, t] + GAMMA * v[after[:, t]] - self.q[s, a])
            advantage = self.q - (policy * self.q).sum(-1, keepdims=True)
            visits = np.bincount(now[now != end], minlength=end + 1) / EPISODES
            self.bonus += bonus_gradient(advantage, policy, visits)
            self.bonus = self.bonus.clip(-1, 1)
        return np.where(now != end, extrinsic + self.bonus[now, actions] + novelty[after], 0.0)


def episodes_until_good(place: World, seed: int, how: str) -> float:
    """Episodes until a tabular policy gradient has GOOD of the best return; MOST where it has not.

    Args:
        place: where.
        seed: of sampling.
        how: an arm's name.
    """
    random, mdp = np.random.default_rng(seed), place.mdp
    theta, baseline = np.zeros_like(place.paid), np.zeros(len(place.paid))
    himself = Himself(place, learns=how == "EXPLORS") if how in ("counts", "EXPLORS") else None
    table = designed(place) if how == "EXPRD" else place.paid
    best = mdp.worth(mdp.best_policy(place.paid), place.paid)
    for update in range(MOST // EPISODES):
        policy = np.exp(theta - theta.max(-1, keepdims=True))
        policy /= policy.sum(-1, keepdims=True)
        if mdp.worth(policy, place.paid) >= GOOD * best:
            return update * EPISODES
        if how == "EXPADARD" and update % 10 == 0:
            table = adapt(mdp, place.paid, policy, bound=1.0)
        states, actions = played(mdp, policy, random)
        now = states[:, :-1]
        rewards = table[now, actions] if himself is None else himself(states, actions, policy)
        gains = np.zeros((EPISODES, LONGEST + 1))
        for t in reversed(range(LONGEST)):
            gains[:, t] = rewards[:, t] + GAMMA * gains[:, t + 1]
        advantage = gains[:, :-1] - baseline[now]
        alive = now != len(baseline) - 1
        if (size := advantage[alive].std()) > 1e-6:
            move = np.zeros_like(theta)
            np.add.at(move, (now[alive], actions[alive]), advantage[alive] / size)
            total = move.sum(-1, keepdims=True)
            theta += RATE / EPISODES * (move - policy * total)
        seen = np.bincount(now[alive], minlength=len(baseline))
        mean = np.bincount(now[alive], gains[:, :-1][alive], len(baseline)) / np.maximum(seen, 1)
        baseline += np.where(seen > 0, 0.2 * (mean - baseline), 0.0)
    return MOST


def both(seed: int, how: str) -> Mapping[str, float]:
    """Episodes that are needed in either world."""
    return {
        "episodes, key and door": episodes_until_good(key_and_door(), seed, how),
        "episodes, chain": episodes_until_good(long_chain(), seed, how),
    }


def _teachers_and_self(found: Found) -> bool:
    """EXPADARD no slower than EXPRD, and that faster than the sparse reward; EXPLORS faster than counts."""
    name = "episodes, key and door"
    return (
        found.below("EXPRD", "sparse", name)
        and found.mean("EXPADARD", name) <= found.mean("EXPRD", name)
        and found.below("EXPLORS", "counts", "episodes, chain")
    )


EXPRD = Check(
    row=9,
    name="informative-interpretable-reward-design",
    claim="With a key to be fetched before a door opens, a policy gradient comes to 95 % of the best return in fewer "
    "episodes with the reward of EXPRD (five more states) than with the sparse one, and in no more with EXPADARD; on "
    "a chain with a long side road EXPLORS needs fewer than a bonus of counts alone.",
    arms={how: (lambda seed, how=how: both(seed, how)) for how in ("sparse", "counts", "EXPLORS", "EXPRD", "EXPADARD")},
    holds=_teachers_and_self,
    units={"episodes, key and door": "episodes", "episodes, chain": "episodes"},
)
