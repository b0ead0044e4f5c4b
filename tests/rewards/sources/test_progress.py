from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.sources.progress import route_completion

CLEAN = np.ones((4, 2))


def test_a_clean_full_route_earns_a_hundred_and_driving_to_and_fro_nothing_more():
    assert route_completion([0.25, 0.5, 0.75, 1.0], CLEAN).tolist() == [25, 25, 25, 25]
    to_and_fro = route_completion([0.5, 0.1, 0.5, 1.0], CLEAN)
    assert to_and_fro.tolist() == [50, 0, 0, 50]


def test_a_penalty_of_nothing_forfeits_the_progress_of_its_step_and_penalties_multiply():
    penalties = [[1, 1], [0, 1], [0.5, 0.5], [1, 1]]
    assert route_completion([0.25, 0.5, 0.75, 1.0], penalties).tolist() == [25, 0, 6.25, 25]
    assert route_completion([0.5, 0.5], np.ones((2, 1)), [0, 30]).tolist() == [50, -30]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.5))
def test_no_route_earns_more_than_what_was_left_of_it(seed, start):
    random = np.random.default_rng(seed)
    found = route_completion(random.random((3, 7)), random.random((3, 7, 2)), start=start)
    assert (found >= 0).all() and (found.sum(-1) <= 100 * (1 - start) + 1e-9).all()


def test_values_outside_of_their_range_are_refused():
    for position, penalties, terminal in (([1.5], [[1]], 0), ([np.nan], [[1]], 0), ([0.5], [[2]], 0), ([0.5], [1], 0)):
        with pytest.raises(ValueError, match="expected"):
            route_completion(position, penalties, terminal)
    with pytest.raises(ValueError, match="none below 0"):
        route_completion([0.5], [[1]], [-1])
