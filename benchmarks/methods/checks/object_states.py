"""Check of likeness to a goal by objects: a household of things in places, and who tidies it greedily."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from rewards.sources.object_state import Objects, cosine_by, progress_rewards, state_similarity

THINGS = ("red cup", "blue plate", "green book", "old lamp", "wooden chair", "small key")
PLACES = ("on the shelf", "in the sink", "under the bed", "by the window")
STATES = ("clean", "dirty")
House = dict[str, tuple[int, int]]
"""Place and state of each thing."""


def embed(text: str) -> NDArray[np.float64]:
    """Counts of hashed words and of pieces of three letters, 512 numbers."""
    found = np.zeros(512)
    for piece in [*text.split(), *(text[i : i + 3] for i in range(len(text) - 2))]:
        found[zlib.crc32(piece.encode()) % 512] += 1
    return found


def parsed(house: House) -> Objects:
    """Objects with attributes."""
    return {thing: {"place": PLACES[place], "state": STATES[state]} for thing, (place, state) in house.items()}


def told(house: House) -> str:
    """The same as a text."""
    return ". ".join(
        f"the {thing} is {PLACES[place]} and is {STATES[state]}" for thing, (place, state) in house.items()
    )


def done(goal: House, house: House) -> float:
    """Share of the goal's attributes that are as they should be."""
    return float(np.mean([[a == b for a, b in zip(goal[thing], house[thing], strict=True)] for thing in goal]))


def after(house: House) -> list[House]:
    """Every house that is one action away: one thing elsewhere, or in another state; or the same."""
    found = [house]
    for thing, (place, state) in house.items():
        found += [{**house, thing: (other, state)} for other in range(len(PLACES)) if other != place]
        found.append({**house, thing: (place, 1 - state)})
    return found


def tidied(seed: int, arm: str, houses: int = 30, steps: int = 6) -> Mapping[str, float]:
    """Distance of the reward from what is truly done, and how often who follows it greedily gets all done.

    Args:
        seed: of everything.
        arm: `objects`, or `whole` texts.
        houses: how many.
        steps: of each.
    """
    random, like = np.random.default_rng(seed), cosine_by(embed)
    predicted: list[float] = []
    true: list[float] = []
    solved = 0
    for _ in range(houses):
        house = {thing: (int(random.integers(4)), int(random.integers(2))) for thing in THINGS}
        wanted = random.choice(len(THINGS), 2, replace=False)
        goal = {THINGS[i]: (int(random.integers(4)), int(random.integers(2))) for i in wanted}

        def worth(found: House, goal: House = goal) -> float:
            if arm == "objects":
                return state_similarity(parsed(goal), parsed(found), like)
            return like(told(goal), told(found))

        path = [house]
        for _ in range(steps):  # half of the steps at random, so that there are steps back too
            choices = after(path[-1])
            better = [other for other in choices if done(goal, other) > done(goal, path[-1])]
            pick = better if better and random.random() < 0.5 else choices
            path.append(pick[int(random.integers(len(pick)))])
        if arm == "objects":
            predicted += progress_rewards(parsed(goal), [parsed(found) for found in path], like).tolist()
        else:
            predicted += [worth(found) for found in path]
        true += [done(goal, found) for found in path]
        for _ in range(steps):
            house = max(after(house), key=worth)
        solved += done(goal, house) == 1.0
    distance = np.sqrt((1 - np.corrcoef(predicted, true)[0, 1]) / 2)
    return {"distance": float(distance), "solved": solved / houses}


def _nearer(found: Found) -> bool:
    return found.below("by objects", "whole texts", "distance") and found.above("by objects", "whole texts", "solved")


STATE_FACTORY = Check(
    row=118,
    name="object-attribute-state-similarity",
    claim="Likeness to a goal by objects and attributes is nearer to what is truly done than that of whole texts, and "
    "who follows it greedily gets all done more often.",
    arms={"whole texts": lambda seed: tidied(seed, "whole"), "by objects": lambda seed: tidied(seed, "objects")},
    holds=_nearer,
    units={"distance": "√((1 − ρ) / 2)", "solved": "share of houses"},
)
