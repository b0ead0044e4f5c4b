"""Check of rewards that a teacher designs for a learner, once or on the way, and of those he makes for himself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import tabular
from rewards.comparison.tabular import Floats, TabularMDP
from rewards.shaping.informative import adapt, bonus_gradient, design

LONGEST, MOST, AGAIN = 60, 1500, 10
"""Steps of an episode, episodes in all, and after how many of them EXPADARD designs again."""
EPSILON, GAMMA, SLIP = 0.1, 0.95, 0.05
CELLS, CHAIN, DISTRACTORS = 9, 12, 20
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


def greedy(table: Floats) -> Floats:
    """The policy of a table of values, even among the best `[S, A]`."""
    best = (table == table.max(-1, keepdims=True)).astype(np.float64)
    found: Floats = best / best.sum(-1, keepdims=True)
    return found


class Himself:
    """What a learner adds to what he is paid: a bonus of counts, and with EXPLORS one that he learns."""

    def __init__(self, place: World, learns: bool) -> None:
        """Nothing seen yet."""
        self.learns, self.end = learns, len(place.paid) - 1
        self.counts, self.visits = np.zeros(len(place.paid)), np.zeros(len(place.paid))
        self.q, self.bonus = np.zeros_like(place.paid), np.zeros_like(place.paid)

    def __call__(self, state: int, action: int, after: int, reward: float, ended: bool) -> float:
        """The reward that is learnt from."""
        self.counts[after] += 1
        self.visits[state] += 1
        aim = reward + (0.0 if ended else GAMMA * self.q[after].max())
        self.q[state, action] += 0.5 * (aim - self.q[state, action])  # a critic of what is truly paid
        novelty = 0.0 if ended else 0.1 / np.sqrt(self.counts[after])
        return float(reward + self.bonus[state, action] + novelty)

    def learn(self, policy: Floats) -> None:
        """Move the bonus to where it makes the policy better by what is truly paid."""
        if self.learns:
            advantage = self.q - (policy * self.q).sum(-1, keepdims=True)
            self.bonus = (self.bonus + bonus_gradient(advantage, policy, self.visits)).clip(-1, 1)
        self.visits[:] = 0


def episodes_until_good(place: World, seed: int, how: str) -> float:
    """Episodes until the greedy policy of Q-learning has GOOD of the best return; MOST where it has not.

    Args:
        place: where.
        seed: of sampling.
        how: an arm's name.
    """
    mdp, himself, episodes = place.mdp, Himself(place, learns=how == "EXPLORS"), 0
    best = mdp.worth(mdp.best_policy(place.paid), place.paid)
    table = designed(place).copy() if how == "EXPRD" else place.paid.copy()

    def enough(values: Floats) -> bool:
        nonlocal episodes
        policy = greedy(values)
        if mdp.worth(policy, place.paid) >= GOOD * best:
            return True
        explores = EPSILON / policy.shape[1] + (1 - EPSILON) * policy
        if how == "EXPADARD" and episodes % AGAIN == 0:
            table[:] = adapt(mdp, place.paid, explores, bound=1.0)
        himself.learn(explores)
        episodes += 1
        return False

    states, actions = place.paid.shape
    paid = np.broadcast_to(place.paid[..., None], (states, actions, states))
    world = tabular.MDP(mdp.transition, paid, mdp.start, np.eye(states)[-1].astype(np.bool_), GAMMA)
    shaped = himself if how in ("counts", "EXPLORS") else lambda s, a, after, reward, ended: float(table[s, a])
    tabular.q_learning(world, seed, MOST, LONGEST, epsilon=EPSILON, shaped=shaped, enough=enough)
    return episodes


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
    claim="With a key to be fetched before a door opens, Q-learning comes to 95 % of the best return in fewer "
    "episodes with the reward of EXPRD (five more states) than with the sparse one, and in no more with EXPADARD; on "
    "a chain with a long side road EXPLORS needs fewer than a bonus of counts alone.",
    arms={how: partial(both, how=how) for how in ("sparse", "counts", "EXPLORS", "EXPRD", "EXPADARD")},
    holds=_teachers_and_self,
    seeds=10,
    units={"episodes, key and door": "episodes", "episodes, chain": "episodes"},
)
