"""A trial: which line of metrics is news, what it is called, and what a run's process is not told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.sweeps.told import status_of
from pipelines.sweeps.trial import RunTrial, trial_name, unseen, without_ray


def test_the_next_line_is_further_and_holds_the_metric():
    lines = [{"learnt_frames": 10}, {"learnt_frames": 20, "r": 0.0}, {"learnt_frames": 30, "r": None}]
    lines += [{"learnt_frames": 40, "r": 1.0}]
    assert unseen(lines, -1, "learnt_frames", "r") == lines[1]  # a zero is a number
    assert unseen(lines, 20, "learnt_frames", "r") == lines[3]  # a NULL is none
    assert unseen(lines, 40, "learnt_frames", "r") is None
    assert unseen(lines, -1, "updates", "r") is None


def test_a_trial_is_called_by_its_number():
    assert trial_name("3f2a1_00012") == "trial-00012"


def test_a_run_knows_nothing_of_the_worker_that_starts_it_but_the_token():
    told = {"RAY_JOB_ID": "1", "RAY_RAYLET_PID": "2", "RAY_AUTH_MODE": "token", "PATH": "/bin", "RAY_TMPDIR": "/t"}
    assert without_ray(told) == {"RAY_AUTH_MODE": "token", "PATH": "/bin", "RAY_TMPDIR": "/t"}


@pytest.mark.parametrize(
    ("metrics", "status"),
    [
        ({"finished": True, "done": True}, "finished"),
        ({"finished": False, "done": True}, "pruned"),
        ({"finished": False, "done": False}, "interrupted"),
        ({}, "interrupted"),
    ],
)
def test_a_trial_that_was_interrupted_was_not_pruned(metrics, status):
    assert status_of(metrics) == status


def test_a_run_that_speaks_of_other_things_is_not_silent_and_one_that_says_nothing_is(monkeypatch):
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: now.__setitem__(0, now[0] + 60.0))
    monkeypatch.setattr("pipelines.sweeps.trial.time", clock)

    def said():
        return [{"updates": now[0], **({"success_rate": 0.5} if now[0] >= 1500 else {})}]

    trial = object.__new__(RunTrial)
    trial._metric, trial._time_key, trial._horizon, trial._reached = "success_rate", "updates", None, -1.0
    trial._lines, trial._log, trial._process = [], Path("a.log"), SimpleNamespace(poll=lambda: None)
    trial._followed = SimpleNamespace(new=said)
    assert trial.step()["success_rate"] == 0.5 and now[0] == 1500
    trial._followed = SimpleNamespace(new=list)
    with pytest.raises(RuntimeError, match="no new metrics within 900 s"):
        trial.step()


def test_a_metric_that_nobody_says_is_answered_with_the_nearest():
    trial = object.__new__(RunTrial)
    trial._metric, trial._time_key = "episode_retrun", "learnt_frames"
    with pytest.raises(RuntimeError, match="the run never said 'episode_retrun'; did you mean episode_return"):
        trial._ended(0, [{"time": 1.0, "episode_return": 0.5, "learnt_frames": 5.0}])
