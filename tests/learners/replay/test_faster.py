"""The faster of two ways is found, also when it becomes the other one, and trials of the slower one become rare."""

import random

import pytest

from learners.replay.faster import Faster


def chosen(faster, costs, times):
    """Which way was gone each time, where way 0 and way 1 cost so much."""
    found = []
    for _ in range(times):
        found.append(faster.choose())
        faster.took(costs[found[-1]])
    return found


def test_the_faster_way_is_gone_whichever_it_is():
    assert chosen(Faster(), (1.0, 0.5), 1000)[100:].count(1) > 850
    assert chosen(Faster(), (1.0, 30.0), 100_000).count(1) < 100


def test_threads_that_are_held_up_are_given_up_at_once_and_come_back_when_the_cores_are_free():
    faster = Faster()
    chosen(faster, (1.0, 0.5), 500)
    assert faster.choose() == 1
    busy = chosen(faster, (1.0, 30.0), 5000)
    assert busy[:3].count(1) <= 2 and busy.count(1) < 40
    assert chosen(faster, (1.0, 0.5), 40_000)[-1000:].count(1) > 900


def test_times_that_stray_do_not_decide():
    faster, costs = Faster(), [(1.0, 0.9), (1.3, 1.2), (0.8, 0.7)]
    found = []
    for number in range(3000):
        found += chosen(faster, costs[number % 3], 1)
    assert found[1500:].count(1) > 1000


def test_a_way_that_is_held_up_once_is_not_given_up():
    faster = Faster()
    chosen(faster, (1.0, 0.6), 500)
    for _ in range(50):
        assert chosen(faster, (1.0, 0.6), 40).count(1) >= 36
        chosen(faster, (20.0, 20.0), 1)


def test_what_is_rarely_held_up_for_long_is_the_faster_way_still():
    faster, found = Faster(), []
    for number in range(20_000):
        costs = (8.0, 5.8) if number % 100 == 99 else (1.0, 0.72)  # the mean of way 1 counts all of it, and is less
        found += chosen(faster, costs, 1)
    assert found[100:].count(1) > 0.95 * len(found)


def test_when_all_ways_are_slow_for_a_while_none_is_blamed():
    faster = Faster()
    chosen(faster, (1.0, 0.6), 500)
    for _ in range(5):
        chosen(faster, (20.0, 20.0), 30)
        assert chosen(faster, (1.0, 0.6), 4000).count(1) > 3000


@pytest.mark.parametrize("seed", range(20))
def test_a_way_that_is_a_little_slow_for_a_while_is_not_left_for_long(seed):
    rng, faster, slow, found = random.Random(seed), Faster(), 0, []
    for _ in range(8000):
        if not slow and rng.random() < 1 / 2000:
            slow, both = rng.randint(10, 60), rng.random() < 0.5
        found.append(faster.choose())
        is_slow = slow > 0 and (both or found[-1] == 1)
        slow = max(0, slow - 1)
        faster.took((1.0, 0.63)[found[-1]] * rng.lognormvariate(0, 0.12) * (rng.uniform(1, 3) if is_slow else 1))
    assert found.count(1) > 0.9 * len(found)
