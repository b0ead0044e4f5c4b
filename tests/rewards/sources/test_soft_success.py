from __future__ import annotations

import numpy as np
import pytest

from rewards.columns import Column
from rewards.sources.soft_success import soft_success


def test_exactly_at_the_goal_it_is_the_whole_and_falls_to_nothing_at_the_edge():
    found = soft_success(Column.full([0.0, 1.0, 2.9999, 3.0, 8.0]), [True] * 5, radius=3.0, scale=15.0)
    assert found.values.tolist() == pytest.approx([15, 10, 0.0005, 0, 0], abs=1e-4) and found.valid.all()


def test_who_was_cut_earns_nothing_and_a_distance_that_is_not_known_is_no_failure():
    distance = Column(np.array([0.0, 0.0, 0.0], np.float32), np.array([True, False, False]))
    found = soft_success(distance, [False, False, True], radius=3.0)
    assert found.values[:2].tolist() == [0, 0] and found.valid.tolist() == [True, True, False]


def test_distances_and_radii_that_cannot_be_are_refused():
    for distance, stopped, radius in (([-1.0], [True], 3.0), ([1.0], [True], 0.0), ([1.0], [True, True], 3.0)):
        with pytest.raises(ValueError, match="a radius above 0"):
            soft_success(Column.full(distance), stopped, radius)
