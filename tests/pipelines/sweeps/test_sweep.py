"""`guerdon sweep`: refusals before anything starts, and a sweep with a pruned trial, as its user sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.run_directory import RunDirectory
from pipelines.sweeps.sweep import RUNGS, Settings, plan_sweep, resume_sweep, start_sweep
from pipelines.sweeps.trial import running

FRAMES = 12_000
LOCAL = ["runner=local", f"frames={FRAMES}", "tracking.enabled=false"]
WAITS = f"""
import sys
import time
from pathlib import Path

from envs.catch import Catch


class Waits(Catch):
    steps = 0
    told = False

    def step(self, action):
        Waits.steps += 1
        if "run=trial-00001" in sys.argv and Waits.steps > {FRAMES // RUNGS}:
            time.sleep(0.2)  # it is not at its end before it is told to stop, however late that is
            if not Waits.told and "SIGTERM" in Path("runs/nets/trial-00001.log").read_text():
                Waits.told = True
                time.sleep(20)  # and then not quick to save
        return super().step(action)
"""


GATED = """
import time
from pathlib import Path

from envs.catch import Catch


class Gated(Catch):
    def step(self, action):
        if not Path("open").exists():
            time.sleep(0.05)
        return super().step(action)
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["policy.hiden=[16,32]"], "did you mean hidden"),
        (["policy.hidden=[16,many]"], "policy.hidden"),
        (["actors.count=uniform(1,9)", "seed=[1]"], "integer"),
        (["learner.learning_rate=uniform(-1,1)"], "greater than 0"),
        (["seed=[1,2]", "run=mine"], "leave it out"),
        (["seed=[1,2]", "ray.address=127.0.0.1:6379"], "cores of this machine"),
        (["frames=[1000,2000]"], "pruner=none"),
        (["seed=[1,2]", "frames=none"], "frames"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_and_leaves_nothing(words, said, tmp_path):
    with pytest.raises(UserError, match=said):
        start_sweep("catch", [*words, "runner=local"], tmp_path, Settings())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [[], ["tracking.uri=sqlite:///mine.db"]])
def test_a_trial_is_told_each_setting_once_and_its_storage_is_that_of_no_other_sweep(given, tmp_path):
    words = ["seed=[1,2]", "storage=/shared/runs/", *given]
    plan = plan_sweep("catch", words, tmp_path, Settings())
    values = parse(plan.told("nets", "sqlite:///mine.db")[1:])
    assert values == {"tracking.uri": "sqlite:///mine.db", "storage": "/shared/runs/nets"}
    assert "tracking.uri" not in parse(plan_sweep("catch", ["seed=[1,2]"], tmp_path, Settings()).told("nets", "")[1:])


@pytest.mark.parametrize(
    "wrong", [{"samples": 0}, {"concurrent": -1}, {"mode": "best"}, {"pruner": "hyperband"}, {"name": "../up"}]
)
def test_settings_that_do_not_fit_are_refused(wrong):
    with pytest.raises(UserError, match=f"got {next(iter(wrong))}"):
        Settings(**wrong)


def test_too_many_trials_are_refused(tmp_path):
    with pytest.raises(UserError, match="1001 trials"):
        plan_sweep("catch", ["seed=[1]", "runner=local"], tmp_path, Settings(samples=1001))


def test_a_name_that_is_taken_and_a_sweep_that_is_not_there_are_refused(tmp_path):
    (tmp_path / "nets").mkdir()
    with pytest.raises(UserError, match="resume=nets"):
        start_sweep("catch", ["seed=[1,2]", "runner=local"], tmp_path, Settings(name="nets"))
    with pytest.raises(UserError, match="no sweep"):
        resume_sweep("nets", tmp_path)
    with pytest.raises(UserError, match="no sweep"):
        resume_sweep("../nets", tmp_path)


def test_a_sweep_that_goes_on_is_not_gone_on_with_by_another(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr("pipelines.sweeps.sweep._tune", lambda *_: started.append(1))
    root = tmp_path / "nets"
    root.mkdir()
    row = {"trial": "trial-00000", "status": "finished"}
    asked = {"recipe": "catch", "words": ["seed=[1,2]", "runner=local"], "settings": {"name": "nets"}}
    (root / "sweep.json").write_text(json.dumps({"asked": asked, "mlflow_run": "", "trials": [row]}))
    holder = RunDirectory(root)
    holder.lock()
    with pytest.raises(UserError, match="another process is writing to"):
        resume_sweep("nets", tmp_path)
    assert not started and json.loads((root / "sweep.json").read_text())["trials"] == [row]
    holder.unlock()


def test_a_trial_asks_for_the_cores_of_its_largest_run(tmp_path):
    def cpus(*words):
        return plan_sweep("catch", words, tmp_path, Settings()).cpus

    assert cpus("seed=[1,2]", "runner=local") == 1
    few, many = cpus("seed=[1,2]", "actors.count=2"), cpus("actors.count=[2,5]")
    assert few > 2 and many == few + 3


def test_language_recipes_count_updates(tmp_path):
    plan = plan_sweep("rlvr", ["seed=[1,2]", "updates=40"], tmp_path, Settings())
    assert (plan.time_key, plan.horizon, plan.cpus) == ("updates", 40, 1)


def until(condition, seconds=300.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


SWEEP = (sys.executable, "-m", "pipelines.cli", "sweep")


def guerdon(where, *words):
    command = [*SWEEP, *words]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=600, env=dict(os.environ))


@pytest.mark.slow
def test_more_than_one_recipe_is_refused(tmp_path):
    done = guerdon(tmp_path, "catch", "minihack", "seed=[1,2]")
    assert done.returncode == 2 and "2 recipes" in done.stderr


@pytest.mark.cluster
def test_a_sweep_prunes_saves_and_is_gone_on_with(tmp_path):
    """One at a time, a better one first: ASHA stops those that come after and do worse, after they have saved.

    However long that takes: Tune gives up the last one after some 10 s, and Ray would kill what it has started.
    """
    space = ["learner.learning_rate=[0.01,0.0000001]", "policy.hidden=[16]"]
    small = ["actors.environments=1", "actors.unroll_length=10", "report_every_s=0.1", "concurrent=1", "name=nets"]
    sharper = ["metric=learner/entropy", "mode=min"]  # told apart by the first look: a policy that hardly learns
    (tmp_path / "lab_that_waits.py").write_text(WAITS)
    small.append("task=lab_that_waits:Waits")
    done = guerdon(tmp_path, "catch", *space, *small, *sharper, *LOCAL)
    assert done.returncode == 0, done.stdout + done.stderr
    root = tmp_path / "runs" / "nets"
    rows = json.loads((root / "sweep.json").read_text())["trials"]
    assert len(rows) == 2 and {row["status"] for row in rows} == {"finished", "pruned"}
    assert {(r["values"]["learner.learning_rate"], r["values"]["policy.hidden"]) for r in rows} == {
        (rate, hidden) for rate in (0.01, 1e-7) for hidden in (16,)
    }
    for row in rows:
        directory = RunDirectory(root / row["trial"])
        tree = checkpoint.load(directory.checkpoints)[1]
        assert tree and directory.report.is_file()
        last = list(directory.lines(directory.metrics))[-1]["learnt_frames"]
        assert (last >= FRAMES) if row["status"] == "finished" else (row["steps"] <= last < FRAMES)
    again = guerdon(tmp_path, "resume=nets")
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads((root / "sweep.json").read_text())["trials"] == rows


@pytest.mark.cluster
def test_the_runs_of_a_sweep_that_is_killed_save_and_end_and_are_gone_on_with(tmp_path):
    (tmp_path / "lab_that_waits.py").write_text(GATED)
    small = ["task=lab_that_waits:Gated", "actors.environments=1", "actors.unroll_length=10", "name=nets"]
    sweep = subprocess.Popen([*SWEEP, "catch", "seed=[1]", *small, *LOCAL], cwd=tmp_path, start_new_session=True)
    root = tmp_path / "runs" / "nets"
    directory = RunDirectory(root / "trial-00000")
    try:
        until(lambda: directory.metrics.is_file() and directory.metrics.stat().st_size)
    finally:
        sweep.kill()
        sweep.wait()
    until(lambda: not running(root))
    (event,) = directory.lines(directory.events)
    assert (event["what"], event["cause"]) == ("stopped", "SIGTERM")
    saved = checkpoint.load(directory.checkpoints)[1]["status"]["learnt_frames"]
    assert 0 < saved < FRAMES

    (tmp_path / "open").touch()
    again = guerdon(tmp_path, "resume=nets")
    assert again.returncode == 0, again.stdout + again.stderr
    assert [event["cause"] for event in directory.lines(directory.events)] == ["SIGTERM", f"at {saved} frames"]
    (row,) = json.loads((root / "sweep.json").read_text())["trials"]
    assert (row["status"], row["steps"]) == ("finished", FRAMES)
