from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.state_pool import StatePool

START = np.array([[0.0, 0.0]])


def test_at_first_every_episode_starts_where_the_task_does():
    found = StatePool(START, phases=3).draw(5, np.random.default_rng(0))
    assert found.phases.tolist() == [0] * 5 and found.states.tolist() == [[0.0, 0.0]] * 5


def test_a_phase_opens_when_enough_of_the_newest_have_come_to_it_and_stays_open():
    pool = StatePool(START, phases=3, unlock=0.5, window=4)
    reached = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])
    pool.tell([0] * 4, reached, [False, False, False, True])
    assert pool.open == 1 and pool.states(1).tolist() == [[4.0, 0.0]]
    pool.tell([0], [[5.0, 0.0]], [True])  # two of the last four
    assert pool.open == 2
    pool.tell([0] * 4, reached, [False] * 4)
    assert pool.open == 2 and pool.states(1).tolist() == [[4.0, 0.0], [5.0, 0.0]]


def test_with_one_phase_nothing_opens():
    pool = StatePool(START, phases=1, window=1)
    pool.tell([0], [[1.0, 1.0]], [True])
    assert pool.open == 1


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 5), st.integers(0, 100))
def test_only_what_was_reached_is_ever_drawn_and_no_more_is_kept_than_there_is_room_for(followed, capacity, seed):
    random, pool, there = np.random.default_rng(seed), StatePool(START, 4, capacity, 0.5, window=2), {(0, 0.0)}
    for number, good in enumerate(followed, 1):
        phase = pool.draw(1, random).phases
        pool.tell(phase, [[float(number), 0.0]], [good])
        there |= {(int(phase[0]) + 1, float(number))} if good else set()
    drawn = pool.draw(20, random)
    assert {(int(k), float(s[0])) for k, s in zip(*drawn, strict=True)} <= there
    assert all(len(pool.states(phase)) <= capacity for phase in range(4))


def test_the_last_open_phase_is_drawn_as_often_as_said():
    pool = StatePool(START, phases=2, window=1, frontier=1.0)
    pool.tell([0], [[1.0, 0.0]], [True])
    assert pool.draw(10, np.random.default_rng(0)).phases.tolist() == [1] * 10


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one at least"):
        StatePool(np.zeros((0, 2)), 2)
    with pytest.raises(ValueError, match="shares from 0 to 1"):
        StatePool(START, 2, unlock=1.5)
    pool = StatePool(START, 2)
    with pytest.raises(ValueError, match=r"expected \[n\], \[n, 2\] and \[n\]"):
        pool.tell([0], [[1.0]], [True])
    with pytest.raises(ValueError, match="1 open ones"):
        pool.tell([1], [[1.0, 0.0]], [True])
    with pytest.raises(ValueError, match="not finite"):
        pool.tell([0], [[np.nan, 0.0]], [True])
    pool.tell([0], [[np.nan, 0.0]], [False])
    assert len(pool.states(1)) == 0
