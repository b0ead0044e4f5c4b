"""Curves and final scores of one run, and which runs count as finished."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.sweep import Episode, Trial, final_scores, finished, learning_curve
from pipelines.driver.lifecycle import write_config
from pipelines.run_directory import RunDirectory


def test_the_final_scores_are_those_of_the_last_tenth():
    episodes = [Episode(800, 0.0, -1.0), Episode(900, 0.0, -1.0), Episode(901, 1.0, 0.5), Episode(1010, 0.0, 0.0)]
    assert final_scores(episodes, 1000) == (0.5, 0.25)


def test_a_run_without_an_episode_at_its_end_is_no_zero():
    with pytest.raises(ValueError, match="raise frames"):
        final_scores([Episode(100, 1.0, 1.0)], 1000)


def test_the_curve_is_the_mean_of_the_last_hundred_episodes():
    # 100 failures by frame 500, 50 successes by frame 1000: half of the last hundred at the end.
    episodes = [Episode(5 * k, 0.0, -2.0) for k in range(1, 101)] + [Episode(1000, 1.0, 0.0)] * 50
    curve = learning_curve(episodes, 1000)
    assert [frames for frames, _, _ in curve] == list(range(20, 1001, 20))
    assert curve[23] == (480, None, None)  # 96 episodes are not a hundred
    assert curve[24] == (500, 0.0, -2.0)
    assert curve[-1] == (1000, 0.5, -1.0)


@pytest.mark.slow
def test_only_the_same_experiment_counts_as_finished(tmp_path):
    trial = Trial("catch", "count", 0, "catch", {"seed": 0, "frames": 1000})
    assert finished(trial, tmp_path) is None
    folder = trial.folder(tmp_path)
    folder.mkdir(parents=True)
    write_config(trial.experiment(), RunDirectory(folder))
    assert finished(trial, tmp_path) is None
    outcome = dict.fromkeys(["final_success", "final_return", "episodes", "frames", "wall_s", "questions"], 1)
    outcome |= {"curve": [[20, None, None]], "verdicts": 1, "ledger_balanced": True}
    folder.with_suffix(".json").write_text(json.dumps({"outcome": outcome}))
    found = finished(trial, tmp_path)
    assert found is not None and (found.questions, found.judge) == (1, None)
    assert finished(replace(trial, settings={"seed": 0, "frames": 2000}), tmp_path) is None
    assert finished(replace(trial, recipe="minihack", settings={**trial.settings, "task": "catch"}), tmp_path) is None
    config = folder / "config.yaml"
    before = config.read_text()
    config.write_text(before.replace("stall_timeout_s: 600.0\n", ""))  # as if that setting had come into being since
    assert config.read_text() != before
    assert finished(trial, tmp_path) is not None
    config.write_text(before + "gone: 1\n")
    assert finished(trial, tmp_path) is None
    config.write_text(before)
    folder.with_suffix(".json").write_text("{")
    assert finished(trial, tmp_path) is None
