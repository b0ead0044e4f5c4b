import pytest

from pipelines.reports.throughput import over_time


def test_where_a_resumed_run_went_back_to_its_checkpoint_there_is_no_point():
    rows = [
        {"learnt_frames": 100.0, "seconds/learn": 1.0},
        {"learnt_frames": 200.0, "seconds/learn": 2.5},
        {"learnt_frames": 250.0},
        {"learnt_frames": 300.0, "seconds/learn": 2.0},  # what the checkpoint said, and a quicker go at the same
        {"learnt_frames": 400.0, "seconds/learn": 3.0},
    ]
    assert dict(over_time(rows, "learn")) == pytest.approx({200.0: 15000.0, 400.0: 10000.0})
