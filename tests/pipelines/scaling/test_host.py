"""Elasticity: what was measured reaches the crew, and nothing is decided by processes that have not come."""

from __future__ import annotations

from cluster.scaler import Bounds, Config
from pipelines.scaling.host import Elasticity

FAST = Config(up_s=0, down_s=0, settle_s=0)


class Sized:
    def __init__(self, wanted):
        self.wanted = self.answering = wanted


def test_a_crew_is_sized_by_pressure_and_each_change_is_told():
    crew, events, sizes, pressures = Sized(2), [], [], iter([2.0, 9.0, 0.5])
    one = Elasticity(
        "env-actors", crew, Bounds(least=1, most=6), FAST, lambda: next(pressures), events.append, sizes.append
    )
    assert one.elastic
    one.look()
    assert crew.wanted == 4 and sizes == [4] and "2 to 4: they are pressed by 2.00" in events[0].cause
    one.look()
    assert crew.wanted == 4, "two of them have not come yet: what the others feel says nothing"
    crew.answering = 4
    one.look()
    assert crew.wanted == 2 and [event.what for event in events] == ["scaled", "scaled"]


def test_one_that_dies_and_comes_back_does_not_make_a_moment_count_for_a_window():
    now, crew, pressures = [0.0], Sized(4), iter([1.0] * 20 + [0.3] * 10 + [1.0])
    speed = Config(up_s=2, down_s=4, settle_s=3)
    one = Elasticity(
        *("env-actors", crew, Bounds(least=1, most=6), speed, lambda: next(pressures)),
        *(lambda event: None, lambda count: None, lambda: now[0]),
    )

    def looks(count):
        for _ in range(count):
            now[0] += 1.0
            one.look()

    looks(10)
    crew.answering = 3
    looks(10)
    crew.answering = 4
    looks(1)
    assert crew.wanted == 4, "they were pressed so little for one look"
    looks(6)
    assert crew.wanted == 2


def test_without_bounds_nothing_changes():
    one = Elasticity("env-actors", Sized(2), Bounds(), FAST, lambda: 2.0, lambda event: None, lambda count: None)
    assert not one.elastic
    assert not Elasticity("none", Sized(0), Bounds(), FAST, lambda: 1.0, lambda event: None, lambda count: None).elastic
