"""Check of a discount that grows with what is mastered: a key, then a door, imitated from what was seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from learners.objectives.discount_schedule import DiscountSchedule, distances
from rewards.sources.transport import transport_rewards

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CELLS, START, EPISODES, REPLAYED, TESTED = 9, 4, 400, 6, 5
LEFT, RIGHT, GRAB = range(3)
KEY = 0.2
"""How much it shows, beside a way of 1 through all cells, that one has the key."""
STEPS = START + 1 + CELLS - 1


def walked(actions: Ints) -> tuple[Ints, Ints]:
    """Places and whether one has the key, before each step and after the last `[T + 1]`; the key lies in the first."""
    place, key, places, keys = START, 0, [START], [0]
    for action in actions.tolist():
        if action == GRAB:
            key = int(key or place == 0)
        else:
            place = int(np.clip(place + (1 if action == RIGHT else -1), 0, CELLS - 1))
        places.append(place)
        keys.append(key)
    return np.array(places), np.array(keys)


def shown(places: Ints, keys: Ints) -> Floats:
    """What is seen after each step `[T, 2]`."""
    return np.stack([places[1:] / (CELLS - 1), KEY * keys[1:]], 1)


EXPERT = np.array([LEFT] * START + [GRAB] + [RIGHT] * (CELLS - 1))


def imitated(seed: int, arm: str) -> Mapping[str, float]:
    """Share of greedy episodes that end at the door with the key, at the end and on the way, of off-policy Q-learning.

    Args:
        seed: of everything.
        arm: `0.9` or `0.99`, a fixed discount, or `ADS`.
    """
    random, demonstration = np.random.default_rng(seed), shown(*walked(EXPERT))
    schedule = DiscountSchedule([demonstration])
    table = np.zeros((STEPS, CELLS, 2, 3))
    kept: list[tuple[Ints, Ints, Ints, Floats]] = []
    wins, gammas = [], []
    for episode in range(EPISODES):
        gamma = schedule.discount if arm == "ADS" else float(arm)
        if episode % TESTED == 0:
            places, keys = walked(_actions(table, 0.0, random))
            wins.append(float(places[-1] == CELLS - 1 and keys[-1]))
        actions = _actions(table, 0.15, random)
        places, keys = walked(actions)
        seen = shown(places, keys)
        kept.append((places, keys, actions, transport_rewards(distances(seen, demonstration))))
        schedule.seen(seen)
        gammas.append(gamma)
        for index in [len(kept) - 1, *random.integers(0, len(kept), REPLAYED).tolist()]:
            p, k, done, reward = kept[index]
            for t in reversed(range(STEPS)):
                following = table[t + 1, p[t + 1], k[t + 1]].max() if t + 1 < STEPS else 0.0
                aim = STEPS * reward[t] + gamma * following
                table[t, p[t], k[t], done[t]] += 0.2 * (aim - table[t, p[t], k[t], done[t]])
    return {
        "success at the end": float(np.mean(wins[-10:])),
        "success on the way": float(np.mean(wins)),
        "discount at the end": gammas[-1],
        "discount falls": float((np.diff(gammas) < 0).any()),
    }


def _actions(table: Floats, epsilon: float, random: np.random.Generator) -> Ints:
    """An episode by a table of values `[STEPS, CELLS, 2, 3]`, with any action now and then."""
    actions, place, key = np.zeros(STEPS, np.int64), START, 0
    for t in range(STEPS):
        best = np.flatnonzero(table[t, place, key] == table[t, place, key].max())
        actions[t] = random.integers(3) if random.random() < epsilon else random.choice(best)
        places, keys = walked(actions[: t + 1])
        place, key = int(places[-1]), int(keys[-1])
    return actions


def _best_and_growing(found: Found) -> bool:
    return found.interval("ADS", "discount falls")[1] == 0 and all(
        found.above("ADS", other, "success on the way") for other in ("γ = 0.9", "γ = 0.99")
    )


ADS = Check(
    row=64,
    name="automatic-discount-schedule",
    claim="Of a demonstration whose later steps can be imitated without its first ones, more episodes succeed with a "
    "discount that grows with what is mastered than with either of two fixed ones, and it never falls.",
    arms={
        "γ = 0.9": lambda seed: imitated(seed, "0.9"),
        "γ = 0.99": lambda seed: imitated(seed, "0.99"),
        "ADS": lambda seed: imitated(seed, "ADS"),
    },
    holds=_best_and_growing,
    units={"success at the end": "share of episodes", "success on the way": "share of episodes"},
)
