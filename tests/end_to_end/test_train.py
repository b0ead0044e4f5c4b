"""`guerdon train`, distributed, as a person starts it; nothing may be left behind, however it ends."""

from __future__ import annotations

import os
import signal

import pytest

pytestmark = pytest.mark.cluster


def test_a_distributed_run_ends_well_and_leaves_nothing_behind(training):
    run = training("catch")
    assert run.wait() == 0, run.output
    run.nothing_left()
    ledger, last = run.ledger, run.metrics()
    assert ledger["balanced"] and ledger["verdicts"]["ok"] == ledger["verdicts"]["asked"] > 0
    assert not ledger["deaths"] and {event["what"] for event in run.events} <= {"started"}
    assert last["learnt_frames"] >= 1200 and last["annotated_share"] > 0
    assert last["updates"] == run.tree["status"]["updates"]
    assert run.directory.report.is_file() and "Traceback" not in run.output
    logs = {path.stem: list(run.directory.lines(path)) for path in run.directory.logs.glob("*.jsonl")}
    roles = {"driver", "env-actor-0", "env-actor-1", "judge", "learner", "replay-0", "reward-trainer"}
    assert set(logs) == roles
    assert {line["run"] for lines in logs.values() for line in lines} == {run.directory.root.name}
    played = {line["trajectory"] for line in logs["env-actor-0"] if line["message"] == "rollout"}
    drawn = {one for line in logs["replay-0"] if line["message"] == "draw" for one in line["trajectories"]}
    assert played & drawn  # one id from who acted to who drew it
    assert any(line["message"] == "answered" and line["request"] for line in logs["judge"])
    assert not [line for lines in logs.values() for line in lines if line["level"] in ("ERROR", "CRITICAL")]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_saves_the_run_leaves_nothing_behind_and_the_run_goes_on_with_nothing_lost(training, name):
    first = training("catch", frames=10**7)
    first.until(lambda: first.metrics().get("updates", 0) >= 5, 120, "update")
    if name == "SIGINT":
        os.killpg(first.process.pid, signal.SIGINT)  # a terminal sends it to the whole group
    else:
        first.process.send_signal(signal.SIGTERM)
    assert first.wait() == 0, first.output
    first.nothing_left()
    assert f"stopped by {name}" in first.output and "Traceback" not in first.output
    assert [e["cause"] for e in first.events if e["what"] == "stopped"] == [name]
    before = first.tree
    assert before["status"]["learnt_frames"] == first.metrics()["learnt_frames"] > 0
    assert first.ledger["balanced"] and not first.ledger["deaths"]

    goal = before["status"]["learnt_frames"] + 200
    second = training("resume=last", frames=goal)
    assert second.wait() == 0, second.output
    second.nothing_left()
    after, ledger = second.tree, second.ledger
    assert after["status"]["learnt_frames"] >= goal
    assert after["roles"]["learner"]["learner"]["counters"][0] > before["roles"]["learner"]["learner"]["counters"][0]
    verdicts = {v["subject"]: v for v in after["annotation"]["verdicts"]}
    assert all(verdicts[v["subject"]] == v for v in before["annotation"]["verdicts"])
    assert ledger["balanced"] and ledger["verdicts"]["asked"] == len(after["captions"])
    # What waited when the run was stopped was learnt from, and not dropped.
    assert "lost" not in ledger["experience"]["dropped"]


def test_a_second_signal_is_obeyed_at_once_and_leaves_nothing_behind_either(training):
    run = training("catch", frames=10**7)
    run.until(lambda: run.metrics().get("updates", 0) >= 3, 120, "update")
    run.process.send_signal(signal.SIGTERM)
    run.process.send_signal(signal.SIGTERM)
    run.wait()
    run.nothing_left()


def test_a_judge_that_cannot_start_ends_the_run_in_one_line(training, tmp_path):
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
