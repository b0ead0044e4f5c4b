from __future__ import annotations

import numpy as np
import pytest

from learners.diversity.behaviour_space import GivenSpace
from learners.diversity.novelty_search import NoveltySearch, Population
from learners.diversity.quality_diversity import Config, Emitter, search

PLACES = GivenSpace(lambda observations: observations)


def hills(genomes):
    """Two hills, one of them higher; nothing anywhere else."""
    near, far = (np.linalg.norm(genomes - np.array(top), axis=1) for top in ([3.0, 0.0], [0.0, -4.0]))
    return genomes.copy(), np.maximum(0, 0.5 - near / 2) + np.maximum(0, 1 - far)


def one(genome, reward):
    return Population(np.array([genome]), np.array([genome]), np.array([reward]))


def test_an_emitter_keeps_its_best_and_counts_steps_without_a_better_one():
    emitter = Emitter(one([0.0, 0.0], 0.5), deviation=0.1, size=2)
    asked = emitter.ask(np.random.default_rng(0))
    assert asked.shape == (4, 2) and np.abs(asked).max() < 0.5
    assert emitter.tell(Population(asked, asked, np.array([0.1, 0.9, 0.2, 0.3])))
    assert emitter.population.rewards.tolist() == [0.9, 0.5] and emitter.stale == 0
    assert not emitter.tell(Population(asked, asked, np.array([0.9, 0.0, 0.0, 0.0])))
    assert emitter.stale == 1 and emitter.population.rewards.tolist() == [0.9, 0.9]


def test_without_chunks_it_is_novelty_search():
    found = search(hills, 2, PLACES, budget=25 + 4 * 50, config=Config(chunk=0), seed=3)
    plain = NoveltySearch(hills, 2, PLACES, Config(), seed=3)
    for _ in range(4):
        plain.step()
    assert len(found.archive.rewards) == 25 + 4 * 5
    assert all((one == other).all() for one, other in zip(found.archive, plain.archive, strict=True))


def test_a_learnt_space_that_is_the_identity_makes_it_serene():
    # an autoencoder that is the identity rebuilds all that it sees, so nothing surprises it: as where places are given
    stax = search(hills, 2, PLACES, 1000, Config(criterion="pareto", chunk=200))
    serene = search(hills, 2, PLACES, 1000, Config(criterion="novelty", chunk=200))
    for kept, other in zip(stax, serene, strict=True):
        assert all((one == another).all() for one, another in zip(kept, other, strict=True))


@pytest.mark.parametrize("budget", [25, 60, 1000])
def test_the_budget_is_kept(budget):
    evaluated = []

    def counted(genomes):
        evaluated.append(len(genomes))
        return hills(genomes)

    search(counted, 2, PLACES, budget, Config(chunk=100))
    assert budget - 50 < sum(evaluated) <= budget


def test_emitters_climb_both_hills_higher_than_exploration_does():
    climbed, explored = (search(hills, 2, PLACES, 2000, Config(chunk=chunk)).rewarded for chunk in (300, 0))

    def tops(found):
        return [found.rewards[mine].max() for mine in (found.genomes[:, 0] > 1.5, found.genomes[:, 1] < -2)]

    assert min(np.subtract(tops(climbed), tops(explored))) > 0
    assert tops(climbed) == pytest.approx([0.5, 1.0], abs=0.05)


def test_where_nothing_is_paid_nothing_is_kept_as_rewarded():
    found = search(lambda genomes: (genomes, np.zeros(len(genomes))), 2, PLACES, 200)
    assert found.rewarded.genomes.shape == (0, 2)
    with pytest.raises(ValueError, match="expected 25"):
        search(hills, 2, PLACES, 10)
