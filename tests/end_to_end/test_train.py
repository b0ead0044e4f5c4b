"""`guerdon train`, distributed, as a person starts it; nothing may be left behind, however it ends."""

from __future__ import annotations

import os
import signal
import time

import pytest

from benchmarks.apparatus.live import PATIENCE_S

pytestmark = pytest.mark.cluster


def stopped_well(run, name):
    """It has saved, counts everything, and has left nothing behind."""
    assert run.wait() == 0, run.output
    run.nothing_left()
    assert f"stopped by {name}" in run.output and "Traceback" not in run.output
    assert [e["cause"] for e in run.events if e["what"] == "stopped"] == [name]
    assert run.tree["status"]["learnt_frames"] == run.metrics()["learnt_frames"] > 0
    assert run.ledger["balanced"] and not run.ledger["deaths"]
    return run.tree


def test_a_run_is_stopped_by_ctrl_c_goes_on_with_nothing_lost_obeys_a_second_signal_at_once_and_ends_well(training):
    first = training("catch", frames=10**7)
    first.until(lambda: first.metrics().get("updates", 0) >= 5, PATIENCE_S, "update")
    os.killpg(first.process.pid, signal.SIGINT)  # a terminal sends it to the whole group
    before, samples = stopped_well(first, "SIGINT"), first.ledger["experience"]["samples"]

    second = training("resume=last")
    second.until(lambda: second.ledger["experience"]["samples"] > samples, PATIENCE_S, "sample after the first")
    assert "lost" not in second.ledger["experience"]["dropped"], "what waited was learnt from, and not dropped"
    second.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)  # two that come at once are one
    second.process.send_signal(signal.SIGTERM)
    second.wait()
    second.nothing_left()

    goal = second.tree["status"]["learnt_frames"] + 200
    assert goal > before["status"]["learnt_frames"] + 200
    third = training("resume=last", frames=goal)
    assert third.wait() == 0, third.output
    third.nothing_left()
    after, ledger, last = third.tree, third.ledger, third.metrics()
    assert after["status"]["learnt_frames"] >= goal
    assert after["roles"]["learner"]["learner"]["counters"][0] > before["roles"]["learner"]["learner"]["counters"][0]
    verdicts = {v["subject"]: v for v in after["annotation"]["verdicts"]}
    assert all(verdicts[v["subject"]] == v for v in before["annotation"]["verdicts"])
    assert ledger["balanced"] and ledger["verdicts"]["ok"] == ledger["verdicts"]["asked"] == len(after["captions"]) > 0
    assert not ledger["deaths"] and {event["what"] for event in third.events} <= {"started", "stopped", "resumed"}
    assert last["learnt_frames"] >= goal and last["annotated_share"] > 0
    assert last["updates"] == after["status"]["updates"]
    assert third.directory.report.is_file() and "Traceback" not in third.output
    logs = {path.stem: list(third.directory.lines(path)) for path in third.directory.logs.glob("*.jsonl")}
    roles = {"driver", "env-actor-0", "env-actor-1", "judge", "learner", "replay-0", "reward-trainer"}
    assert set(logs) == roles
    assert {line["run"] for lines in logs.values() for line in lines} == {third.directory.root.name}
    played = {line["trajectory"] for line in logs["env-actor-0"] if line["message"] == "rollout"}
    drawn = {one for line in logs["replay-0"] if line["message"] == "draw" for one in line["trajectories"]}
    assert played & drawn  # one id from who acted to who drew it
    assert any(line["message"] == "answered" and line["request"] for line in logs["judge"])
    assert not [line for lines in logs.values() for line in lines if line["level"] in ("ERROR", "CRITICAL")]


def test_a_judge_that_cannot_start_ends_the_run_in_one_line(training, tmp_path):
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "config.json").write_text("{}")  # a model at first sight, which cannot be loaded
    run = training("catch", judge="transformers", judge__model=str(tmp_path / "nowhere"))
    assert run.wait() == 2, run.output
    run.nothing_left()
    said = run.output.splitlines()[-1]
    assert said.startswith("guerdon: ") and "nowhere" in said and "Traceback" not in run.output
    assert not list(run.directory.root.glob("checkpoints/*"))


def test_an_environment_that_breaks_its_contract_late_ends_the_run_in_one_line_and_saves_it(training, tmp_path):
    (tmp_path / "cracked_worlds.py").write_text(
        "from envs.catch import Catch\n"
        "class Cracked(Catch):\n"
        "    steps = 0\n"
        "    def step(self, action):\n"
        "        Cracked.steps += 1\n"
        "        timestep = super().step(action)\n"
        "        return timestep._replace(reward=float('nan')) if Cracked.steps > 700 else timestep\n"
    )
    run = training("catch", task="cracked_worlds:Cracked", frames=10**6, reward="extrinsic", checkpoint__every_s=1000)
    assert run.wait() == 2, run.output
    run.nothing_left()
    said = run.output.splitlines()[-1]
    assert said.startswith("guerdon: task 'cracked_worlds:Cracked', environment") and "got reward nan" in said
    assert "Traceback" not in run.output
    assert run.tree["status"]["learnt_frames"] > 0 and run.ledger["balanced"]
