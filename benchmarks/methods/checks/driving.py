"""Checks of rewards for driving: three lanes with obstacles, by a tabular policy and its plain gradient."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found, Measured
from rewards.sources.progress import route_completion

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LANES, ROUTE, STEPS = 3, 20, 40
STAY, STRAIGHT, LEFT, RIGHT = range(4)
STATES = LANES * (LANES + 1)
"""One's own lane, and which lane is blocked in the next cell, if any."""
CROWDED = 0.6
CRASH = 20.0
UPDATES, GAMMA, RATE = 200, 0.97, 0.5
SMALL, LARGE = 4, 256
"""Episodes a batch."""


class Drive(NamedTuple):
    """Episodes of a batch; behind their end all is 0.

    Attributes:
        state: what was seen `[N, T]`.
        action: what was done `[N, T]`.
        alive: steps that were taken `[N, T]`.
        cells: done of the route after each step `[N, T]`.
        lane: after each step `[N, T]`.
        crashed: which step ended in an obstacle `[N, T]`.
    """

    state: Ints
    action: Ints
    alive: NDArray[np.bool_]
    cells: Ints
    lane: Ints
    crashed: NDArray[np.bool_]


def drive(logits: Floats, episodes: int, random: np.random.Generator) -> Drive:
    """Episodes of a policy `[STATES, 4]`: they end at the end of the route, in an obstacle, or after STEPS."""
    chance = np.exp(logits - logits.max(1, keepdims=True))
    cumulative = (chance / chance.sum(1, keepdims=True)).cumsum(1)
    blocked = np.where(
        random.random((episodes, ROUTE + 1)) < CROWDED, random.integers(0, LANES, (episodes, ROUTE + 1)), LANES
    )
    rows, lane, cell = np.arange(episodes), np.ones(episodes, np.int64), np.zeros(episodes, np.int64)
    going, steps = np.ones(episodes, np.bool_), []
    for _ in range(STEPS):
        ahead = blocked[rows, np.minimum(cell + 1, ROUTE)]
        state = lane * (LANES + 1) + ahead
        action = (random.random((episodes, 1)) > cumulative[state]).sum(1).clip(0, 3)
        moved = going & (action != STAY)
        side = (action == RIGHT).astype(int) - (action == LEFT)
        lane = np.where(moved, np.clip(lane + side, 0, LANES - 1), lane)
        crashed = moved & (lane == ahead)
        cell = cell + (moved & ~crashed)
        steps.append((state, action, going, cell, lane, crashed))
        going = going & ~crashed & (cell < ROUTE)
    return Drive(*(np.stack(column, axis=1) for column in zip(*steps, strict=True)))


def simple(found: Drive) -> Floats:
    """The new share of the route in per cent, less where lanes are changed, and a charge for a crash."""
    discomfort = np.where(found.action >= LEFT, 0.8, 1.0)
    return route_completion(found.cells / ROUTE, discomfort[..., None], CRASH * found.crashed)


def shaped(found: Drive) -> Floats:
    """The same pay for progress, and terms for the middle lane and for going straight; and a charge for a crash."""
    progress = np.diff(found.cells, axis=1, prepend=0)
    middle, straight = np.where(found.lane == 1, 1.0, 0.5), found.action < LEFT
    paid: Floats = np.where(found.alive, 100 / ROUTE * progress + middle + 0.5 * straight, 0.0) - CRASH * found.crashed
    return paid


def learnt(seed: int, reward: Literal["simple", "shaped"], episodes: int) -> Measured:
    """As many updates with batches of one size; how far the policy then drives, and how often it crashes."""
    random, logits = np.random.default_rng(seed), np.zeros((STATES, 4))
    for _ in range(UPDATES):
        found = drive(logits, episodes, random)
        rewards = simple(found) if reward == "simple" else shaped(found)
        returns = np.zeros_like(rewards)
        following = np.zeros(episodes)
        for t in reversed(range(STEPS)):
            following = rewards[:, t] + GAMMA * following
            returns[:, t] = following
        alive, state = found.alive, found.state[found.alive]
        gain, counts = returns[alive], np.bincount(state, minlength=STATES)
        gain = gain - (np.bincount(state, gain, STATES) / np.maximum(counts, 1))[state]
        gain = gain / (gain.std() + 1e-6)
        chance = np.exp(logits - logits.max(1, keepdims=True))
        chance = chance / chance.sum(1, keepdims=True)
        gradient = np.zeros_like(logits)
        np.add.at(gradient, (state, found.action[alive]), gain)
        gradient -= np.bincount(state, gain, STATES)[:, None] * chance
        logits = logits + RATE * gradient / alive.sum() * STATES
    tested = drive(logits, 500, np.random.default_rng(10_000 + seed))
    return {
        "route": float(tested.cells[:, -1].mean() / ROUTE),
        "crashes": float(tested.crashed.any(1).mean()),
        "standing": float((tested.action == STAY)[tested.alive].mean()),
    }


def _only_sums_get_stuck(found: Found) -> bool:
    """Larger batches cost the sum of terms some of the route, and the simple reward none."""
    return found.below("sum of terms, large", "sum of terms, small", "route", 0.05) and (
        (found.difference("simple, large", "simple, small", "route").low or 0.0) > -0.05
    )


CARL = Check(
    row=20,
    name="route-completion-reward",
    claim="With batches of 256 episodes in place of 4, a policy that is paid a sum of progress, position and heading "
    "completes less of the route, by more than 0.05; one that is paid for new progress alone does not.",
    arms={
        "simple, small": lambda seed: learnt(seed, "simple", SMALL),
        "simple, large": lambda seed: learnt(seed, "simple", LARGE),
        "sum of terms, small": lambda seed: learnt(seed, "shaped", SMALL),
        "sum of terms, large": lambda seed: learnt(seed, "shaped", LARGE),
    },
    holds=_only_sums_get_stuck,
    units={"route": "share", "crashes": "share of episodes", "standing": "share of steps"},
    seeds=3,
)
