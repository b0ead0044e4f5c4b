"""Checks of quality-diversity: a maze where a policy learns nothing but where it has ended, and seldom a reward."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from learners.diversity.behaviour_space import BehaviourSpace, GivenSpace, LearntSpace
from learners.diversity.quality_diversity import Config, search

Floats = NDArray[np.float64]
MAZE = (
    "...#......",
    "...#......",
    "...#..####",
    "...#......",
    "...#......",
    "...####...",
    "..........",
    "..######..",
    ".......#..",
    ".......#..",
)
"""Seen from above; a policy starts in the lower left corner."""
WALL = np.array([[cell == "#" for cell in row] for row in MAZE[::-1]])
SIZE, HIDDEN, LONGEST, SPEED, START = len(MAZE), 5, 40, 0.6, (0.5, 0.5)
GENOME = HIDDEN * 3 + 2 * (HIDDEN + 1)
AREAS = ((5.5, 0.5, 0.4), (1.5, 9.0, 0.6), (8.5, 5.5, 1.0))
"""Where something is paid, and how much at most: nearby in a dead end, straight ahead, and far around the walls."""
RADIUS = 1.2
BUDGET = 4000
BUMPS = np.stack(np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5), -1).reshape(-1, 2)


def ends(genomes: Floats) -> Floats:
    """Where policies have got to `[N, 2]`: networks from a place to a velocity, which slide along walls."""
    first = genomes[:, : HIDDEN * 3].reshape(-1, HIDDEN, 3)
    second = genomes[:, HIDDEN * 3 :].reshape(-1, 2, HIDDEN + 1)
    place, one = np.tile(np.array(START), (len(genomes), 1)), np.ones((len(genomes), 1))
    for _ in range(LONGEST):
        seen = np.concatenate([2 * place / SIZE - 1, one], axis=1)
        hidden = np.concatenate([np.tanh(np.einsum("nhi,ni->nh", first, seen)), one], axis=1)
        move = SPEED * np.tanh(np.einsum("noh,nh->no", second, hidden))
        for axis in range(2):
            to = place.copy()
            to[:, axis] += move[:, axis]
            inside = ((to >= 0) & (to < SIZE)).all(1)
            column, row = np.clip(to, 0, SIZE - 1e-9).astype(np.int64).T
            place = np.where((inside & ~WALL[row, column])[:, None], to, place)
    return place


def paid(places: Floats) -> Floats:
    """What is paid in each area at these places `[N, areas]`."""
    centres, most = np.array(AREAS)[:, :2], np.array(AREAS)[:, 2]
    apart = np.linalg.norm(places[:, None] - centres, axis=-1)
    return np.asarray(most * np.maximum(0.0, 1 - apart / RADIUS))


def picture(places: Floats) -> Floats:
    """What a camera above sees `[N, SIZE²]`: a blurred dot."""
    return np.asarray(np.exp(-((places[:, None] - BUMPS) ** 2).sum(-1) / 2))


@cache
def searched(seed: int, how: str) -> Mapping[str, float]:
    """The same number of evaluations in each way.

    Args:
        seed: of everything.
        how: the name of an arm.
    """
    learnt, all_ends = how in ("TAXONS", "STAX"), list[Floats]()

    def evaluate(genomes: Floats) -> tuple[Floats, Floats]:
        places = ends(genomes)
        all_ends.append(places)
        return picture(places) if learnt else places, paid(places).sum(1)

    if how == "random":
        evaluate(np.random.default_rng(seed).normal(size=(BUDGET, GENOME)))
    else:
        space: BehaviourSpace = LearntSpace(SIZE * SIZE, seed=seed) if learnt else GivenSpace(lambda places: places)
        config = Config.model_validate(
            {
                "reward alone": {"criterion": "reward", "chunk": 0},
                "novelty search": {"criterion": "novelty", "chunk": 0},
                "TAXONS": {"criterion": "alternating", "chunk": 0},
                "SERENE": {"criterion": "novelty"},
                "STAX": {"criterion": "pareto"},
            }[how]
        )
        search(evaluate, GENOME, space, BUDGET, config, seed)
    places = np.concatenate(all_ends)
    column, row = places.astype(np.int64).T
    been = np.zeros_like(WALL)
    been[row, column] = True
    most = paid(places).max(0)
    return {
        "coverage": float(been.sum() / (~WALL).sum()),
        "best reward": float(most.max()),
        "areas with half of what they pay": float((most > 0.5 * np.array(AREAS)[:, 2]).sum()),
    }


ARMS = ("random", "reward alone", "novelty search", "TAXONS", "SERENE", "STAX")
UNITS = {"coverage": "share of free cells", "best reward": "reward", "areas with half of what they pay": "areas"}


def _explores_and_climbs(found: Found) -> bool:
    """TAXONS between random and the hand-made space; emitters above what does not climb and what does not explore."""
    name = "best reward"
    return (
        found.above("TAXONS", "random", "coverage")
        and not found.above("TAXONS", "novelty search", "coverage")
        and all(found.above(one, other, name) for one in ARMS[4:] for other in ("novelty search", "reward alone"))
    )


QUALITY_DIVERSITY = Check(
    row=36,
    name="quality-diversity-exploration",
    claim="In a maze with few rewards, policies of TAXONS end in more places than random ones and in no more than "
    "those of novelty search that is given the place; SERENE and STAX get more reward than novelty search alone and "
    "than selection by reward alone.",
    arms={how: partial(searched, how=how) for how in ARMS},
    holds=_explores_and_climbs,
    units=UNITS,
)


def _as_if_it_were_told(found: Found) -> bool:
    """STAX covers as much as with the place given, to 0.05, and more than the others, with a better reward."""
    apart = found.difference("STAX", "novelty search", "coverage")
    others = ("random", "reward alone")
    return (apart.low or 0.0) > -0.05 and all(
        found.above("STAX", other, name) for other in others for name in ("coverage", "best reward")
    )


STAX = Check(
    row=166,
    name="learned-behavior-space-novelty-search",
    claim="In a maze with few rewards, policies of STAX end in as many places, to 0.05 of all, as those of novelty "
    "search that is given the place, in more than random ones and those selected by reward, and get more reward than "
    "both.",
    arms={how: partial(searched, how=how) for how in ARMS},
    holds=_as_if_it_were_told,
    units=UNITS,
)
