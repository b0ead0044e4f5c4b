from __future__ import annotations

import numpy as np
import pytest

from actors.search.bayesian_optimisation import expected_improvement, maximise, posterior


def test_expected_improvement_by_hand():
    ei = expected_improvement(np.array([0.0, 2.0, -2.0]), np.array([1.0, 0.0, 0.0]), 0.0)
    assert ei == pytest.approx([1 / np.sqrt(2 * np.pi), 2.0, 0.0])


def test_the_process_goes_through_what_was_measured_and_is_unsure_elsewhere():
    points = np.array([[0.1], [0.5], [0.9]])
    mean, deviation = posterior(points, np.array([1.0, 3.0, 2.0]), np.array([[0.1], [0.5], [0.9], [0.3]]))
    assert mean[:3] == pytest.approx([1, 3, 2], abs=0.02)
    assert (deviation[:3] < 0.1).all() and deviation[3] > deviation[:3].max()


def test_it_finds_the_top_of_a_hill_and_with_first_points_alone_it_is_random_search():
    def hill(point):
        return -float(((point - [3.0, -1.0]) ** 2).sum())

    box = [[0, 5], [-2, 2]]
    found = maximise(hill, box, 20, np.random.default_rng(0))
    assert found.best == pytest.approx([3, -1], abs=0.3) and len(found.values) == 20
    random = maximise(hill, box, 20, np.random.default_rng(0), first=20)
    assert np.allclose(random.points, [0, -2] + np.random.default_rng(0).random((20, 2)) * [5, 4])
    assert np.array_equal(random.points[:4], found.points[:4])


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="low < high"):
        maximise(lambda point: 0.0, [[1, 1]], 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="finite number"):
        maximise(lambda point: float("inf"), [[0, 1]], 3, np.random.default_rng(0))
