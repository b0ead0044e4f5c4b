"""Who is pressed how hard, by numbers worked by hand."""

from __future__ import annotations

import pytest

from pipelines.scaling.pressure import Waits, makers_pressure, queue_pressure


def test_shares_are_of_the_time_of_all_processes_of_a_role_since_the_last_reading():
    now = [10.0]
    waits = Waits(lambda: now[0])
    waits.add("actors", 2.0)
    waits.add("actors", 1.0)
    waits.add("learner", 1.0)
    now[0] += 4.0
    assert waits.read(actors=3, learner=1) == {"actors": 0.25, "learner": 0.25}
    now[0] += 1.0
    assert waits.read(actors=3, learner=1) == {"actors": 0.0, "learner": 0.0}
    waits.add("actors", 9.0)  # of before the reading: a wait is told when it is over
    now[0] += 1.0
    assert waits.read(actors=0, learner=1) == {"actors": 0.0, "learner": 0.0}, "nobody waits where nobody is"


@pytest.mark.parametrize(
    ("makers", "learner", "stale", "pressure"),
    [
        (0.0, 0.5, False, 2.0),  # the learner could take twice as much
        (0.5, 0.0, False, 0.5),  # half the makers would do
        (0.5, 0.5, False, 1.0),
        (0.0, 0.0, False, 1.0),
        (0.0, 0.5, True, 1.0),  # more of them would make more that is too old
        (0.5, 0.0, True, 0.5),
        (0.0, 1.0, False, 20.0),  # a learner that has not begun: bounded
    ],
)
def test_makers_are_pressed_by_a_learner_that_waits_and_eased_by_admission(makers, learner, stale, pressure):
    assert makers_pressure(makers, learner, stale) == pytest.approx(pressure)


def test_a_queue_presses_by_its_length_a_process():
    assert queue_pressure(16, 2, aim=4.0) == 2.0
    assert queue_pressure(0, 2, aim=4.0) == 0.0
    assert queue_pressure(4, 0, aim=4.0) == 1.0
