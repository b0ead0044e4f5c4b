"""What is read out of the metrics of a long run."""

from __future__ import annotations

import json

import pytest

from benchmarks.learning_nethack import Story, figures_of, read_story, report, thinned
from pipelines.driver.lifecycle import write_config
from pipelines.errors import UserError
from pipelines.recipes.nethack import nethack_score
from pipelines.results import read_result
from pipelines.run_directory import RunDirectory

LINES = [
    {
        "frames": 100.0 * k,
        "learnt_frames": 90.0 * k,
        "elapsed_s": 6.0 * k,
        "frames_per_s": 15.0,
        "judge/asked": 1.0 * k,
        "judge/ok": 0.0,
        **({"episode_return": float(k), "annotated_share": 0.5} if k > 10 else {}),
    }
    for k in range(1, 101)
]


def story(minutes: float = 10.0, lines: list = LINES, balanced: bool = True) -> Story:
    return Story("nethack-score", nethack_score().model_copy(update={"minutes": minutes}), lines, balanced)


def test_lines_are_thinned_by_the_means_of_neighbours():
    points = thinned(LINES, points=50)
    assert len(points) == 50
    assert points[0] == {"frames": 150.0, "elapsed_s": 9.0, "frames_per_s": 15.0}
    assert points[-1]["episode_return"] == pytest.approx(99.5)
    assert len(thinned(LINES[:7], points=50)) == 7


def test_figures_are_those_of_the_end_and_of_the_first_tenth_that_is_known():
    figures = {name.split(", ", 1)[1]: one.value for name, one in figures_of(story()).items()}
    assert figures["frames"] == 9000
    assert figures["frames/s"] == 15.0
    assert figures["asked"] == pytest.approx(0.01)
    assert figures["episode return, first tenth"] == pytest.approx(15.5)
    assert figures["episode return, last tenth"] == pytest.approx(95.5)
    assert "label lag" not in figures  # never measured is left out, not 0


def test_the_claim_needs_the_end_the_ledger_and_annotations():
    assert story().holds
    assert not story(minutes=11).holds
    assert not story(balanced=False).holds
    assert not story(lines=[{**line, "annotated_share": 0.0} for line in LINES]).holds


@pytest.mark.slow
def test_a_run_is_read_from_its_directory_and_reported(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.root.mkdir()
    with pytest.raises(UserError, match="no metrics"):
        read_story("nethack-score", run)
    write_config(story().experiment, run)
    for line in LINES:
        run.append_line(run.metrics, {**line, "judge/lag_s": 0.0})  # of no answers
    assert not read_story("nethack-score", run).balanced  # no ledger was written
    run.ledger.write_text(json.dumps({"balanced": True}))
    found = read_story("nethack-score", run)
    assert found == story()
    assert report([found], tmp_path / "results").holds
    assert read_result(tmp_path / "results" / "learning-nethack.json").rows[0]["frames"] == 150.0
    assert (tmp_path / "results" / "learning-nethack.png").stat().st_size > 10_000
