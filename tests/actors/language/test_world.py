"""Slow, failing and hanging calls beside the engine."""

import threading

import pytest

from actors.language.world import World


@pytest.fixture
def gate():
    """Holds up calls until it is set; always set in the end."""
    event = threading.Event()
    yield event
    event.set()


def gather(world, count):
    found = {}
    while len(found) < count:
        found.update(world.collect(30.0))
    return found


def test_what_was_asked_comes_back_under_its_key():
    world = World(3, deadline_s=60)
    for key in range(20):
        world.submit(key, lambda key=key: key * key)
    assert gather(world, 20) == {key: key * key for key in range(20)} and world.pending == 0
    world.close()


def test_a_call_that_raises_gives_its_exception():
    world = World(1, deadline_s=60)
    world.submit(5, lambda: 1 / 0)
    ((key, result),) = world.collect(30.0)
    assert key == 5 and isinstance(result, ZeroDivisionError)
    world.close()


def test_a_fast_call_does_not_wait_for_a_slow_one(gate):
    world = World(2, deadline_s=60)
    world.submit(0, lambda: gate.wait(60))
    world.submit(1, lambda: "here")
    assert gather(world, 1) == {1: "here"} and world.pending == 1
    assert world.collect(0.0) == []
    gate.set()
    assert gather(world, 1) == {0: True}
    world.close()


def test_calls_that_need_each_other_are_made_at_the_same_time():
    world, together = World(3, deadline_s=600), threading.Barrier(3)
    for key in range(3):
        world.submit(key, lambda: together.wait(500) >= 0)
    assert gather(world, 3) == dict.fromkeys(range(3), True)
    world.close()


def test_a_call_that_hangs_is_given_up_at_its_deadline_and_another_thread_takes_its_place(gate):
    begun = threading.Event()

    def hangs():
        begun.set()
        gate.wait(60)

    world = World(1, deadline_s=0.05, clock=lambda: float(begun.is_set()))  # no time passes once that has begun
    world.submit(0, hangs)
    world.submit(1, lambda: "after it")
    assert begun.wait(60)
    found = gather(world, 2)
    assert isinstance(found[0], TimeoutError) and "within 0.05 s" in str(found[0]) and found[1] == "after it"
    gate.set()
    assert world.collect(0.1) == []  # what comes back too late is nobody's
    world.close()


def test_waiting_for_nothing_returns_at_once():
    assert World(1, deadline_s=60).collect(60.0) == []
