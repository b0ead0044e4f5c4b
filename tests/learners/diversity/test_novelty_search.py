from __future__ import annotations

import numpy as np
import pytest

from learners.diversity.behaviour_space import GivenSpace
from learners.diversity.novelty_search import Config, NoveltySearch, neighbour_novelty, pareto_ranks

PLACES = GivenSpace(lambda observations: observations)


def plane(genomes):
    """What is observed is the genome, and nothing is paid."""
    return genomes.copy(), np.zeros(len(genomes))


def searched(config, steps=20, seed=0, evaluate=plane):
    search = NoveltySearch(evaluate, 2, PLACES, config, seed)
    for _ in range(steps):
        search.step()
    return search


def test_the_novelty_of_what_is_in_the_archive_k_times_is_0():
    archive = [[1.0, 2.0]] * 3 + [[9.0, 9.0]]
    assert neighbour_novelty([[1.0, 2.0]], archive, neighbours=3).tolist() == [0.0]
    assert neighbour_novelty([[1.0, 2.0]], archive, neighbours=4)[0] == pytest.approx(np.hypot(8, 7) / 4)


def test_novelty_by_hand_with_and_without_itself():
    line = [[0.0], [1.0], [3.0]]
    assert neighbour_novelty(line, line, neighbours=1, itself=True).tolist() == [1.0, 1.0, 2.0]
    assert neighbour_novelty(line, line, neighbours=2).tolist() == [0.5, 0.5, 1.0]
    assert neighbour_novelty([[0.0]], line, neighbours=99)[0] == pytest.approx(4 / 3)
    with pytest.raises(ValueError, match="expected more than 1"):
        neighbour_novelty([[0.0]], [[0.0]], itself=True)


def test_fronts_by_hand():
    assert pareto_ranks([[2, 0], [0, 2], [1, 1], [0, 0], [0, 1], [2, 0]]).tolist() == [0, 0, 0, 2, 1, 0]
    assert pareto_ranks([[3.0], [1.0], [2.0], [3.0]]).tolist() == [0, 2, 1, 0]


def test_where_nothing_surprises_both_in_the_sense_of_pareto_is_novelty():
    by_novelty, by_both = (searched(Config(criterion=criterion)) for criterion in ("novelty", "pareto"))
    for one, other in zip(by_novelty.archive, by_both.archive, strict=True):
        assert (one == other).all()


def test_novelty_search_spreads_further_than_a_walk_without_selection():
    wide, aimless = searched(Config(population=10)), searched(Config(population=10, criterion="reward"))
    assert np.ptp(wide.archive.genomes, axis=0).min() > np.ptp(aimless.archive.genomes, axis=0).max()


def test_what_is_selected_by_reward_climbs():
    def hill(genomes):
        return genomes, -np.linalg.norm(genomes - 3.0, axis=1)

    found = searched(Config(population=10, criterion="reward"), evaluate=hill)
    assert found.population.rewards.max() > -0.5


def test_the_archive_grows_by_as_many_offspring_a_generation_and_others_count_for_novelty():
    search = searched(Config(population=6, archived=2), steps=3)
    assert len(search.archive.rewards) == 6 + 3 * 2 and len(search.newest.rewards) == 12
    around = search.population.at([0, 1])
    search.step(known=around)
    assert len(search.archive.rewards) == 6 + 4 * 2 and len(search.population.rewards) == 6
