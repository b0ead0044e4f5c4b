import pytest

from pipelines.reports.throughput import in_all, over_time


def test_a_run_that_was_resumed_counts_the_seconds_from_before_too():
    rows = [
        {"learnt_frames": 100.0, "seconds/learn": 1.0},
        {"learnt_frames": 200.0, "seconds/learn": 2.5},
        {"learnt_frames": 250.0},
        {"learnt_frames": 300.0, "seconds/learn": 0.5},  # resumed: counted anew
        {"learnt_frames": 400.0, "seconds/learn": 1.5},
    ]
    assert in_all(rows, "learn") == pytest.approx(2.5 + 1.5) and in_all(rows, "act") == 0.0
    assert dict(over_time(rows, "learn")) == pytest.approx({200.0: 15000.0, 400.0: 10000.0})
