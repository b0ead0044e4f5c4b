"""Who grows and shrinks when, by a clock that the test turns."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.scaler import Bounds, Config, Scaler

FAST = Config(tolerance=0.1, up_s=2, down_s=4, settle_s=3, double=2.0)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def wishes(scaler, clock, pressures, step_s=1.0):
    """Wanted after each look, one look a step."""
    found = []
    for pressure in pressures:
        found.append(scaler.observe(pressure))
        clock.now += step_s
    return found


def scaler(current=2, least=1, most=10, config=FAST):
    clock = Clock()
    return Scaler(config, least, most, current, clock), clock


def test_pressure_that_lasts_grows_by_its_factor_and_one_that_does_not_changes_nothing():
    one, clock = scaler()
    assert wishes(one, clock, [1.5, 1.5, 1.5]) == [2, 2, 3], "2 · 1.5 = 3, after two seconds"
    two, clock = scaler()
    assert wishes(two, clock, [1.5, 1.0, 1.5, 1.5, 1.5]) == [2, 2, 2, 2, 3], "a calm look begins the window anew"


def test_growth_takes_the_least_that_was_wished_and_shrinking_the_most():
    one, clock = scaler(current=4)
    assert wishes(one, clock, [2.0, 1.25, 2.0]) == [4, 4, 5]
    two, clock = scaler(current=8)
    assert wishes(two, clock, [0.25, 0.25, 0.5, 0.25, 0.25]) == [8, 8, 8, 8, 4]


def test_after_a_change_nothing_is_decided_until_it_has_settled():
    one, clock = scaler()
    # Changed at the third look (t=2), rests until t=5, and then needs two seconds of pressure again.
    assert wishes(one, clock, [2.0] * 9) == [2, 2, 4, 4, 4, 4, 4, 8, 8]


@pytest.mark.parametrize("pressure", [0.25, 4.0])
def test_one_look_after_a_time_without_any_decides_nothing(pressure):
    one, clock = scaler(current=4)
    wishes(one, clock, [1.0] * 6)
    one.forget()
    clock.now += 60
    assert wishes(one, clock, [pressure, 1.0]) == [4, 4], "what was between, nobody knows"
    assert wishes(one, clock, [pressure] * 6)[-1] != 4, "and a window later it counts"


def test_bounds_hold_and_small_pressures_are_left_alone():
    one, clock = scaler(current=9)
    assert wishes(one, clock, [2.0] * 3)[-1] == 10
    two, clock = scaler(current=2, least=2)
    assert wishes(two, clock, [0.0] * 20)[-1] == 2
    three, clock = scaler()
    assert wishes(three, clock, [1.1, 0.9] * 10) == [2] * 20
    assert Bounds().around(3) == (3, 3) and Bounds(least=1, most=8).around(3) == (1, 8)
    assert Bounds(most=2).around(3) == (3, 3), "a role never has fewer than it begins with, unless `least` says so"


def test_what_makes_no_sense_is_refused():
    one, _ = scaler()
    with pytest.raises(ValueError, match="pressure of nan"):
        one.observe(float("nan"))
    with pytest.raises(ValueError, match="expected 1 <= least"):
        Scaler(FAST, 0, 2, 1, Clock())
    with pytest.raises(ValueError, match="least 3 above most 2"):
        Bounds(least=3, most=2)


@given(st.lists(st.floats(0, 10), max_size=60), st.integers(1, 10))
def test_never_outside_the_bounds_and_never_two_changes_within_the_settling_time(pressures, current):
    one, clock = scaler(current=current)
    wanted = wishes(one, clock, pressures)
    assert all(1 <= count <= 10 for count in wanted)
    changes = [at for at in range(1, len(wanted)) if wanted[at] != wanted[at - 1]]
    assert all(later - earlier >= FAST.settle_s for earlier, later in pairwise(changes))
