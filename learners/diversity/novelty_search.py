"""Novelty search: a population of parameters that is selected for doing something else than all before it.

    novelty(θ) = mean distance of b(θ) to its k nearest among the population, its offspring and the archive

b is a behaviour descriptor (behaviour_space.py). Each generation every member has offspring by Gaussian noise,
the best of all stay, and some offspring, drawn at random, enter the archive, which is kept. What is best is said by
novelty, by novelty or surprise as a coin falls (TAXONS), by both in the sense of Pareto (STAX), or by reward alone.

Source: Lehman and Stanley 2011; TAXONS (Paolo et al. 2020), STAX (2024) and the thesis of Paolo (2021). Within the last
Pareto front that has room members are drawn at random: no crowding distance, for novelty says that already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial.distance import cdist

from learners.diversity.behaviour_space import BehaviourSpace, Floats

Evaluate = Callable[[Floats], tuple[Floats, Floats]]
"""Of genomes `[N, P]` to what was observed of each `[N, O]` and its reward `[N]`."""


class Config(BaseModel):
    """Settings of the search.

    Attributes:
        criterion: what members are selected for.
        population: members that stay.
        offspring: of each member, each generation.
        archived: offspring that enter the archive, each generation.
        neighbours: k.
        spread: deviation of the first genomes.
        mutation: deviation of the noise.
        learn_every: generations between two times at which the space learns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    criterion: Literal["novelty", "alternating", "pareto", "reward"] = "novelty"
    population: int = Field(25, ge=1)
    offspring: int = Field(2, ge=1)
    archived: int = Field(5, ge=0)
    neighbours: int = Field(15, ge=1)
    spread: float = Field(1.0, gt=0)
    mutation: float = Field(0.3, gt=0)
    learn_every: int = Field(5, ge=1)


class Population(NamedTuple):
    """Genomes `[N, P]`, what was observed of them `[N, O]`, and their rewards `[N]`."""

    genomes: Floats
    observations: Floats
    rewards: Floats

    def at(self, chosen: NDArray[np.int64] | list[int]) -> Population:
        """Some of them."""
        return Population(*(each[np.asarray(chosen, np.int64)] for each in self))

    def joined(self, other: Population) -> Population:
        """These and others."""
        return Population(*(np.concatenate(both) for both in zip(self, other, strict=True)))


def neighbour_novelty(of: ArrayLike, among: ArrayLike, neighbours: int = 15, itself: bool = False) -> Floats:
    """Mean distance to the nearest neighbours `[N]`; to all others where there are fewer.

    Args:
        of: descriptors `[N, D]`.
        among: others `[M, D]`.
        neighbours: k.
        itself: whether each of `of` is in `among` as well, and is to be left out there once.

    Raises:
        ValueError: there are no others.
    """
    points, others = np.asarray(of, np.float64), np.asarray(among, np.float64)
    first = int(itself)
    if len(others) <= first:
        raise ValueError(f"got {len(others)} descriptors to be compared with; expected more than {first}")
    count = min(first + neighbours, len(others))
    nearest = np.partition(cdist(points, others), count - 1, axis=1)[:, :count]
    return np.asarray(np.sort(nearest, axis=1)[:, first:].mean(1))


def pareto_ranks(objectives: ArrayLike) -> NDArray[np.int64]:
    """The front of each `[N]`: 0 where no other is at least as good in all and better in one, and so on without those.

    Args:
        objectives: `[N, M]`, higher is better.
    """
    values = np.asarray(objectives, np.float64)
    at_least, above = values[:, None] >= values[None], values[:, None] > values[None]
    dominates: NDArray[np.bool_] = np.asarray(at_least.all(-1) & above.any(-1))
    ranks, left, rank = np.zeros(len(values), np.int64), np.ones(len(values), np.bool_), 0
    while left.any():
        front = left & ~dominates[left].any(0)
        ranks[front], left, rank = rank, left & ~front, rank + 1
    return ranks


class NoveltySearch:
    """The search; `step` is one generation.

    Attributes:
        population: its members.
        archive: offspring of all generations, some of each; first of all the first members.
        newest: what the last step has evaluated.
    """

    def __init__(self, evaluate: Evaluate, genome: int, space: BehaviourSpace, config: Config, seed: int) -> None:
        """The first members, evaluated.

        Args:
            evaluate: says what a genome does.
            genome: numbers in one, P.
            space: of behaviour.
            config: settings.
            seed: of everything that is drawn here.
        """
        self._evaluate, self._space, self.config = evaluate, space, config
        self._random = np.random.default_rng(seed)
        genomes = config.spread * self._random.normal(size=(config.population, genome))
        self.population = self.newest = self.archive = Population(genomes, *evaluate(genomes))
        self._generation = 0

    def step(self, known: Population | None = None) -> None:
        """A generation: offspring, what the space learns of them, and who stays.

        Args:
            known: others that count for novelty, as those that were rewarded; None: there are none.
        """
        config = self.config
        parents = np.repeat(self.population.genomes, config.offspring, axis=0)
        genomes = parents + config.mutation * self._random.normal(size=parents.shape)
        self.newest = Population(genomes, *self._evaluate(genomes))
        everyone = self.population.joined(self.newest)
        others = self.archive if known is None else self.archive.joined(known)
        if self._generation % config.learn_every == 0:
            self._space.learn(everyone.joined(others).observations)
        worth = self._worth(everyone, others)
        order = self._random.permutation(len(worth))  # those that are as good have equal chances
        self.population = everyone.at(order[np.argsort(-worth[order], kind="stable")[: config.population]])
        chosen = self._random.permutation(len(genomes))[: config.archived]
        self.archive = self.archive.joined(self.newest.at(chosen))
        self._generation += 1

    def _worth(self, everyone: Population, others: Population) -> Floats:
        if self.config.criterion == "reward":
            return everyone.rewards
        described = self._space.describe(everyone.joined(others).observations)
        novelty = neighbour_novelty(described[: len(everyone.rewards)], described, self.config.neighbours, itself=True)
        if self.config.criterion == "novelty":
            return novelty
        surprise = self._space.surprise(everyone.observations)
        if self.config.criterion == "alternating":
            return novelty if self._random.random() < 0.5 else surprise
        return -pareto_ranks(np.stack([novelty, surprise], axis=1)).astype(np.float64)
