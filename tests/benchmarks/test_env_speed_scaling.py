"""What is claimed of a long run, from rows that are written down here."""

from __future__ import annotations

import pytest

from benchmarks.env_speed_scaling import drift, report_long


def minutes(rates, sizes):
    return [
        {"varied": "time", "minute": float(k), "frames_per_s": rate, "memory_mb": size}
        for k, (rate, size) in enumerate(zip(rates, sizes, strict=True), start=1)
    ]


def turns(old, fresh):
    return [
        {"varied": "age", "block": k, "frames_per_s_old": a, "frames_per_s_fresh": b}
        for k, (a, b) in enumerate(zip(old, fresh, strict=True))
    ]


def test_a_machine_that_was_slow_for_a_while_is_not_held_against_the_run(tmp_path):
    by_minute = minutes([200.0, 140.0, 150.0, 140.0], [1000.0, 1001.0, 1000.0, 1001.0])
    result = report_long(by_minute, turns([100.0, 140.0, 198.0], [101.0, 139.0, 200.0]), "c", tmp_path)
    age = result.figures["frames/s over those of a run that has just begun"]
    assert result.holds and age.value == pytest.approx((100 / 101 + 140 / 139 + 0.99) / 3) and age.n == 3
    assert result.figures["change of frames/s over the run, whatever the machine did"].value < -0.2


SLOWER = ((97.0, 97.0), (1000.0,) * 4)
LARGER = ((100.0, 100.0), (1000.0, 1010.0, 1020.0, 1030.0))


@pytest.mark.parametrize(("old", "sizes"), [SLOWER, LARGER], ids=["slower", "larger"])
def test_a_run_that_became_slower_or_larger_does_not_hold(tmp_path, old, sizes):
    assert not report_long(minutes([200.0] * 4, sizes), turns(old, (100.0, 100.0)), "c", tmp_path).holds


def test_a_drift_worked_by_hand():
    found = drift([1.0, 2.0, 3.0], [90.0, 100.0, 110.0])
    assert found.value == pytest.approx(0.2) and found.low == pytest.approx(0.2) and found.n == 3
