"""What the timings of overlap come to, by numbers worked by hand."""

import pytest

from benchmarks import lm_overlap
from pipelines.errors import UserError


def row(passes, **seconds):
    return {"passes": passes, "lockstep_s": 4.0, "writing_s": 0.5, "side_by_side_s": 1.25, **seconds}


def test_each_number_of_passes_has_figures_of_its_own():
    found = lm_overlap.figures_of(
        [
            row(1, asynchronous_s=1.0, learning_s=0.4),
            row(2, asynchronous_s=2.0, learning_s=1.0),
            row(1, asynchronous_s=2.0, learning_s=0.4),
        ]
    )
    assert found["asynchronous over the slower stage alone, 1 pass"].value == pytest.approx((2 + 4) / 2)
    assert found["asynchronous over the slower stage alone, 2 passes"].value == pytest.approx(2.0)
    beside = "asynchronous over both stages side by side, with nothing between them, 2 passes"
    assert found[beside].value == pytest.approx(1.6)
    assert found["lockstep over asynchronous, 1 pass"].value == pytest.approx((4 + 2) / 2)
    assert found["quicker stage over the slower one, 1 pass"].value == pytest.approx(0.8)
    assert found["quicker stage over the slower one, 2 passes"].value == pytest.approx(0.5)


def test_without_the_experiment_that_the_claim_is_of_there_is_no_result(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["lm_overlap", "passes=[1]", f"work={tmp_path}"])
    with pytest.raises(UserError, match="expected 2 among them"):
        lm_overlap.main()
