from __future__ import annotations

from envs.trajectory import Fragment
from pipelines.driver.training_clock import TrainingClock


class Time:
    """A clock that stands where it is put."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def test_it_stands_still_until_it_begins_and_begins_once():
    time = Time(100.0)
    clock = TrainingClock(time)
    time.at = 190.0
    assert clock.seconds == 0.0
    clock.begin()
    time.at = 200.0
    clock.begin()
    time.at = 220.0
    assert clock.seconds == 30.0
    assert clock.over(0.5) and not clock.over(0.51) and not clock.over(None)


def test_what_was_trained_before_counts_and_setting_up_again_does_not():
    time = Time(0.0)
    clock = TrainingClock(time)
    clock.go_on_from(25.0)
    time.at = 60.0
    assert clock.seconds == 25.0 and not clock.over(0.5)
    clock.begin()
    time.at = 65.0
    assert clock.seconds == 30.0 and clock.over(0.5)


def test_minutes_of_a_run_count_from_its_first_fragment_and_not_from_what_it_finds_stored(small, books, tmp_path):
    time = Time(0.0)
    run = books(small({"minutes": 0.5}), tmp_path / "run")
    run.clock = TrainingClock(time)
    first, second = (Fragment((0, 0, number), 0, 10, 1, {}, {}, []) for number in range(2))
    time.at = 40.0  # its processes begin
    assert run.catch_up([first]) == 1
    time.at = 80.0
    assert not run.done
    run.gathered(second)
    time.at = 109.9
    assert not run.done
    time.at = 110.0
    assert run.done and run.clock.seconds == 30.0
    run.close()
