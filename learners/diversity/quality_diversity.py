"""Quality-diversity for sparse rewards: novelty search until something is rewarded, and emitters that climb from there.

Evaluations are spent in chunks, by turns on exploration (novelty_search.py, which sees no reward) and on
exploitation. Every policy with a reward above 0 is a candidate; the one that behaves least like all that were rewarded
becomes an emitter: a small evolution strategy around it, for reward alone, with noise as long as a third of the way to
the nearest other genome, until nothing has improved for a while. Its bests are kept, and count for novelty.

With a space made by hand this is SERENE, with a learnt one STAX; without exploitation novelty search, or TAXONS.

Source: SERENE (Paolo et al. 2021), STAX (Paolo et al. 2024), thesis of Paolo (2021). Chosen here: an emitter has no
trial before it starts, and ends after `patience` steps without a new best, where the papers compare medians of rewards;
and it is the noise that is as long as that: in the authors' code it is the deviation of each number of the genome, and
with many numbers an emitter looks far beyond its neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydantic import Field

from learners.diversity.behaviour_space import BehaviourSpace, Floats
from learners.diversity.novelty_search import Config as SearchConfig
from learners.diversity.novelty_search import Evaluate, NoveltySearch, Population, neighbour_novelty

REACH = 3  # lengths of the noise to the nearest other genome


class Config(SearchConfig):
    """Settings of novelty search, and of what climbs.

    Attributes:
        chunk: evaluations of a turn; 0: exploration alone.
        emitter: members of an emitter; each has two offspring a step.
        patience: steps of an emitter without a new best after which it ends.
    """

    chunk: int = Field(500, ge=0)
    emitter: int = Field(6, ge=1)
    patience: int = Field(5, ge=1)


class Found(NamedTuple):
    """What the search has kept: of all behaviour, and of what was rewarded."""

    archive: Population
    rewarded: Population


class Emitter:
    """A small evolution strategy for reward, around one policy.

    Attributes:
        population: its best members so far.
        stale: steps since the last new best.
    """

    def __init__(self, parent: Population, deviation: float, size: int) -> None:
        """Where it starts, and how far it looks.

        Args:
            parent: one policy.
            deviation: of the noise.
            size: members that are kept.
        """
        self.population, self.stale = parent, 0
        self._deviation, self._size = deviation, size

    def ask(self, random: np.random.Generator) -> Floats:
        """Offspring to be evaluated `[2 size, P]`, of each member as many."""
        parents = np.resize(np.arange(len(self.population.rewards)), 2 * self._size)
        genomes = self.population.genomes[parents]
        return np.asarray(genomes + self._deviation * random.normal(size=genomes.shape))

    def tell(self, offspring: Population) -> bool:
        """Keep the best; whether one is better than all before."""
        improved = bool(offspring.rewards.max() > self.population.rewards.max())
        everyone = self.population.joined(offspring)
        self.population = everyone.at(np.argsort(-everyone.rewards, kind="stable")[: self._size])
        self.stale = 0 if improved else self.stale + 1
        return improved


class _Climbing:
    """Candidates, the emitter at work, and what was rewarded."""

    def __init__(self, evaluate: Evaluate, space: BehaviourSpace, config: Config, seed: int) -> None:
        self._evaluate, self._space, self._config = evaluate, space, config
        self._random = np.random.default_rng([seed, 1])
        self._emitter: Emitter | None = None
        self._candidates: list[tuple[Population, float]] = []
        self._kept: list[Population] = []

    @property
    def rewarded(self) -> Population | None:
        """All that is kept; None where nothing was paid yet."""
        if not self._kept:
            return None
        return Population(*(np.concatenate(each) for each in zip(*self._kept, strict=True)))

    def consider(self, search: NoveltySearch) -> None:
        """Whatever exploration has just found with a reward is a candidate."""
        newest, genomes = search.newest, search.population.joined(search.newest).genomes
        for index in np.flatnonzero(newest.rewards > 0).tolist():
            parent = newest.at([index])
            self._kept.append(parent)
            apart = np.linalg.norm(genomes - parent.genomes, axis=1)
            apart = apart[apart > 0]
            length = float(apart.min()) / REACH if len(apart) else search.config.mutation
            self._candidates.append((parent, length / np.sqrt(genomes.shape[1])))

    def turn(self, evaluations: int) -> int:
        """Climb with as many evaluations; gives how many were used."""
        used, each = 0, 2 * self._config.emitter
        while used + each <= evaluations and (self._emitter or self._candidates):
            emitter = self._emitter = self._emitter or self._next()
            genomes = emitter.ask(self._random)
            improved = emitter.tell(Population(genomes, *self._evaluate(genomes)))
            used += each
            if improved:
                self._kept.append(emitter.population.at([0]))
            if emitter.stale >= self._config.patience:
                self._emitter = None
        return used

    def _next(self) -> Emitter:
        """The candidate that is furthest from all that were rewarded, itself among them."""
        described, known = (
            self._space.describe(np.concatenate([one.observations for one in these]))
            for these in ([parent for parent, _ in self._candidates], self._kept)
        )
        index = int(neighbour_novelty(described, known, self._config.neighbours).argmax())
        parent, deviation = self._candidates.pop(index)
        return Emitter(parent, deviation, self._config.emitter)


def search(
    evaluate: Evaluate, genome: int, space: BehaviourSpace, budget: int, config: Config | None = None, seed: int = 0
) -> Found:
    """Look for policies that do different things, and for the best of those that are rewarded.

    Args:
        evaluate: says what genomes do.
        genome: numbers in one.
        space: where novelty is measured.
        budget: evaluations in all; what is not enough for a generation is left over.
        config: settings.
        seed: of everything that is drawn here.

    Raises:
        ValueError: the budget is not enough for the first members.
    """
    config = config or Config()
    if budget < config.population:
        raise ValueError(
            f"got a budget of {budget} evaluations; expected {config.population}, the population, at least"
        )
    exploration = NoveltySearch(evaluate, genome, space, config, seed)
    climbing = _Climbing(evaluate, space, config, seed)
    climbing.consider(exploration)
    left, generation = budget - config.population, config.population * config.offspring
    while left >= generation:
        for _ in range(max(1, min(left, config.chunk or left) // generation)):
            exploration.step(climbing.rewarded if config.chunk else None)
            climbing.consider(exploration)
            left -= generation
        if config.chunk:
            left -= climbing.turn(min(left, config.chunk))
    rewarded = climbing.rewarded
    return Found(exploration.archive, exploration.archive.at([]) if rewarded is None else rewarded)
