"""Check of learning by a memory of rewards: a sequence of tables to predict, in stages, against a leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from actors.search.bayesian_optimisation import maximise
from actors.search.experiences import Experience, ExperienceMemory, best_action
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.tables import BOX, DEFAULT, FEATURES, SCALES, Floats, Table, table
from pipelines.results import figure
from rewards.evaluation.elo import beaten, rated

TABLES, ENDS, TUNED, EVALUATIONS = 100, 20, 40, 12
"""Tables of a sequence; of its beginning and of its end; of those tuned alike by all; and evaluations of tuning."""
REMEMBERED, RECALLED, EXPLORES = 160, 8, 20
"""Experiences that are kept, and by which an action is chosen; and tables after which the chance to try anything, which
is 1 at first, has become half of what it was."""
COMPETITORS = 12
"""Others on the leaderboard: number n tries 1 + n // 4 pipelines at random, and hands in the best."""
Recalling = Literal["nothing", "anything", "nearest"]


class Contest(NamedTuple):
    """A table with what others make of it.

    Attributes:
        table: to be worked.
        others: their scores `[COMPETITORS]`.
        best: the highest score of all choices, before anything is tuned.
    """

    table: Table
    others: Floats
    best: float


@cache
def contests(seed: int) -> list[Contest]:
    """A sequence of them."""
    random = np.random.default_rng(seed)
    found = []
    for one in (table(random) for _ in range(TABLES)):
        scores = []
        for number in range(COMPETITORS):
            tries = [
                one.fitted(random.choice(SCALES), random.choice(FEATURES), random.uniform(*np.array(BOX).T))
                for _ in range(1 + number // 4)
            ]
            scores.append(max(tries)[1])
        best = max(one.fitted(scale, features, DEFAULT)[1] for scale, features in product(SCALES, FEATURES))
        found.append(Contest(one, np.array(scores), best))
    return found


def tuned(one: Table, scale: str, features: str, bayesian: bool, random: np.random.Generator) -> tuple[Floats, float]:
    """The prices of the best score for validation `[2]`, and that score."""
    found = maximise(
        partial(validated, one, scale, features), BOX, EVALUATIONS, random, first=4 if bayesian else EVALUATIONS
    )
    return found.best, float(found.values.max())


def validated(one: Table, scale: str, features: str, prices: Floats) -> float:
    """The score that tuning looks at."""
    return one.fitted(scale, features, prices)[0]


def worked(seed: int, recalling: Recalling, bayesian: bool) -> Mapping[str, float]:
    """What comes of one table after another, each worked once, with as many evaluations.

    Args:
        seed: of tables and of whoever works.
        recalling: by which experiences actions are chosen: none (a memory of size 0), any, or those of the nearest
            states.
        bayesian: whether prices are tuned so; else at random.
    """
    random = np.random.default_rng(100 + seed)
    memory = ExperienceMemory(0 if recalling == "nothing" else REMEMBERED)
    short, shares = np.zeros((2, TABLES))
    ratings = np.full(COMPETITORS + 1, 1500.0)

    def chosen(number: int, stage: str, state: Floats, actions: tuple[str, ...]) -> str:
        explores, by_chance = random.random() < 0.5 ** (number / EXPLORES), str(random.choice(actions))
        recalled = memory.recall(stage, state, len(memory) if recalling == "anything" else RECALLED)
        if recalling == "anything":
            recalled = tuple(recalled[place] for place in random.permutation(len(recalled))[:RECALLED])
        known = best_action(recalled)
        return by_chance if explores or known is None else known

    for number, (one, others, best) in enumerate(contests(seed)):
        state = one.described()
        scale = chosen(number, "scale", state, SCALES)
        plain, scaled = (validated(one, s, "none", DEFAULT) for s in ("as it is", scale))
        then = np.append(state, scale == np.array(SCALES))  # what was done before is part of the state
        features = chosen(number, "features", then, FEATURES)
        featured = validated(one, scale, features, DEFAULT)
        # What a scale is good for is seen with the features that follow: its reward is of both stages.
        memory.write(Experience("scale", state, scale, featured - plain))
        memory.write(Experience("features", then, features, featured - scaled))
        prices, _ = tuned(one, scale, features, bayesian, random)
        score = one.fitted(scale, features, prices)[1]
        everybody = np.append(others, score)
        short[number], shares[number], ratings = best - score, beaten(everybody)[-1], rated(ratings, everybody)
    # Tuning by itself: the same choices for all, whatever was remembered.
    random = np.random.default_rng(200 + seed)
    alone = [tuned(one, "ranks", "products", bayesian, random)[1] for one, _, _ in contests(seed)[:TUNED]]
    return {
        "short of the best, first": float(short[:ENDS].mean()),
        "short of the best, last": float(short[-ENDS:].mean()),
        "beaten at the end": float(shares[-ENDS:].mean()),
        "rating": float(ratings[-1]),
        "tuned to": float(np.mean(alone)),
    }


def _learns_and_tunes(found: Found) -> bool:
    """Later tables nearer to the best than the first, and than with other memories; Bayesian tuning above random."""
    ours = "rewards, nearest, Bayesian"
    name = "short of the best"
    first, last = (np.asarray(found.values[ours][f"{name}, {which}"]) for which in ("first", "last"))
    return (
        (figure(first - last, "difference").low or 0.0) > 0
        and all(found.below(ours, other, f"{name}, last") for other in ("no memory, Bayesian", "any, Bayesian"))
        and found.above(ours, "rewards, nearest, random search", "tuned to")
    )


AGENT_K = Check(
    row=115,
    name="memory-reward-structured-reasoning",
    claim="With a memory of rewards that is read by likeness, what is made of later tables is nearer to the best than "
    "of the first, and than without a memory or with one that is read at random; and Bayesian optimisation tunes to a "
    "higher score than random search with as many evaluations.",
    arms={
        "no memory, Bayesian": lambda seed: worked(seed, "nothing", bayesian=True),
        "any, Bayesian": lambda seed: worked(seed, "anything", bayesian=True),
        "rewards, nearest, random search": lambda seed: worked(seed, "nearest", bayesian=False),
        "rewards, nearest, Bayesian": lambda seed: worked(seed, "nearest", bayesian=True),
    },
    holds=_learns_and_tunes,
    units={
        "short of the best, first": "R²",
        "short of the best, last": "R²",
        "beaten at the end": "share of others",
        "rating": "Elo",
        "tuned to": "R²",
    },
)
