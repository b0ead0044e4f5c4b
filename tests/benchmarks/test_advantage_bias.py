"""The advantage-bias experiment: numbers that can be worked by hand, and the published ones."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.advantage_bias import errors, main, measure, report
from pipelines.errors import UserError
from pipelines.results import read_result


def test_without_failures_every_method_is_exact():
    right = np.random.default_rng(0).random((100, 8)) < 0.6
    found = errors(right, np.zeros_like(right))
    assert all(one == {"rmse": 0.0, "spurious": 0.0} for one in found.values())


def test_one_failure_in_a_group_of_right_answers_by_hand():
    # Zero-filled: (1, 1, 1, 0) has mean 3/4 and deviation 1/2, so advantages of 1/2, 1/2, 1/2 and -3/2: RMSE sqrt(3)/2.
    found = errors(np.ones((1, 4), bool), np.array([[False, False, False, True]]))
    assert found["zero-filled"]["rmse"] == pytest.approx(3**0.5 / 2, abs=1e-5) and found["zero-filled"]["spurious"] == 1
    assert found["loss-masked"]["rmse"] == pytest.approx(0.5, abs=1e-5) and found["loss-masked"]["spurious"] == 1
    assert found["excluded"] == {"rmse": 0.0, "spurious": 0.0}


def test_the_figures_are_those_of_the_design():
    """Groups of 8, 90 % right, 10 % failed: 0.63 zero-filled, 0.29 loss-masked, 0.10 excluded."""
    random = np.random.default_rng(1)
    found = errors(random.random((40_000, 8)) < 0.9, random.random((40_000, 8)) < 0.1)
    rmse = [found[method]["rmse"] for method in ("zero-filled", "loss-masked", "excluded")]
    assert rmse == pytest.approx([0.63, 0.29, 0.10], abs=0.02)
    # An all-right group keeps clear of a false gradient only where none of its eight judges fails.
    assert found["zero-filled"]["spurious"] == pytest.approx(1 - 0.9**8, abs=0.01)


@pytest.mark.slow
def test_the_claim_is_written_with_its_evidence_and_falls_with_it(tmp_path):
    rows = measure(groups=300, members=8, repetitions=2)
    assert report(rows, "repeat me", tmp_path).holds
    assert read_result(tmp_path / "advantage-bias.json").figures["RMSE, excluded, 90% right, 10% failed"].n == 2
    spoilt = [row | {"spurious": 0.5} if row["method"] == "excluded" and row["failed"] == 0.1 else row for row in rows]
    assert not report(spoilt, "repeat me", tmp_path).holds


def test_the_command_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(UserError, match="expected groups"):
        main(["colour=red", f"results={tmp_path}"])
