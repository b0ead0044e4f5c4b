"""Curves and final scores of one run, and which runs count as finished."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.sweep import Episode, Trial, final_scores, finished, learning_curve


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


def test_only_the_same_experiment_counts_as_finished(tmp_path):
    trial = Trial("catch", "count", 0, "catch", {"seed": 0, "frames": 1000})
    assert finished(trial, tmp_path) is None
    path = trial.folder(tmp_path).with_suffix(".json")
    path.parent.mkdir(parents=True)
    outcome = dict.fromkeys(["final_success", "final_return", "episodes", "frames", "wall_s", "questions"], 1)
    outcome |= {"curve": [[20, None, None]], "verdicts": 1, "ledger_balanced": True}
    experiment = trial.experiment().model_dump(mode="json")

    def keep(stored: dict) -> None:
        path.write_text(json.dumps({"experiment": stored, "outcome": outcome}))

    keep(experiment)
    assert finished(trial, tmp_path) is not None
    assert finished(replace(trial, settings={"seed": 0, "frames": 2000}), tmp_path) is None
    assert finished(replace(trial, recipe="minihack", settings={**trial.settings, "task": "catch"}), tmp_path) is None
    del experiment["stall_timeout_s"]  # as if that setting had come into being since
    keep(experiment)
    assert finished(trial, tmp_path) is not None
    keep(experiment | {"gone": 1})
    assert finished(trial, tmp_path) is None
    path.write_text("{")
    assert finished(trial, tmp_path) is None
