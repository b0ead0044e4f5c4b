"""The chaos experiment: who is found by the events, and what the table claims."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest

from benchmarks.chaos_main_job import VICTIMS, Kills, collect, kill_in_turn, process_of
from pipelines.results import read_result
from pipelines.run_directory import RunDirectory


def run_with(root, events, updates=5.0, elapsed_s=60.0):
    root.mkdir(parents=True)
    run = RunDirectory(root)
    run.config.touch()
    for role, what, cause, *recovered_s in events:
        event = {"time_s": 1.0, "role": role, "what": what, "cause": cause, "recovered_s": None}
        run.append_line(run.events, event | dict(zip(["recovered_s"], recovered_s, strict=False)))
    run.append_line(run.metrics, {"updates": updates, "elapsed_s": elapsed_s, "learnt_frames": 100.0})
    count = {"fragments": 3, "rows": 3, "frames": 30}
    verdicts = {"asked": 4, "ok": 4}
    experience = {"accepted": count, "sampled": count | {"frames": 100}}
    ledger = {"balanced": True, "lost_rollouts": 1, "experience": experience, "verdicts": verdicts}
    run.write_json(run.ledger, ledger)
    return run


def test_the_process_of_a_role_is_the_last_it_told_unless_it_has_died_since(tmp_path):
    events = [("a", "started", "process 11"), ("b", "started", "process 12")]
    assert process_of(run_with(tmp_path / "0", events), "a") == 11
    events += [("a", "died", "no answer within 5 s")]
    assert process_of(run_with(tmp_path / "1", events), "a") is None
    events += [("a", "started", "process 13"), ("a", "recovered", "no answer within 5 s", 4.0)]
    assert process_of(run_with(tmp_path / "2", events), "a") == 13
    assert process_of(run_with(tmp_path / "3", events), "c") is None


def story(times):
    return [
        event
        for role in VICTIMS
        for n in range(times)
        for event in (
            (role, "died", "killed"),
            (role, "started", f"process {n}"),
            (role, "recovered", "killed", 2.0 + n),
        )
    ]


@pytest.mark.parametrize(("deaths", "holds"), [(2, True), (1, False), (3, False)])
def test_the_claim_holds_where_every_kill_was_named_and_recovered_from(tmp_path, deaths, holds):
    kills = Kills([(victim, float(n)) for n in range(2) for victim in VICTIMS])
    result = collect(run_with(tmp_path / "run", story(deaths)), kills, tmp_path, "repeat me")
    assert result.holds is holds
    assert read_result(tmp_path / "chaos-main-job.json") == result
    assert [row["kills"] for row in result.rows] == [2] * len(VICTIMS)
    if deaths == 2:
        assert result.figures["judge, recovery"].value == 2.5 and result.figures["kills"].value == 2 * len(VICTIMS)


def test_a_ledger_that_does_not_balance_breaks_the_claim(tmp_path):
    run = run_with(tmp_path / "run", story(1))
    run.write_json(run.ledger, json.loads(run.ledger.read_text()) | {"balanced": False})
    kills = Kills([(victim, 0.0) for victim in VICTIMS])
    assert not collect(run, kills, tmp_path, "repeat me").holds


def test_a_draw_that_was_skipped_or_learnt_from_twice_breaks_the_claim(tmp_path):
    run = run_with(tmp_path / "run", story(1))
    ledger = json.loads(run.ledger.read_text())
    ledger["experience"]["sampled"]["frames"] += 10
    run.write_json(run.ledger, ledger)
    kills = Kills([(victim, 0.0) for victim in VICTIMS])
    assert not collect(run, kills, tmp_path, "repeat me").holds


def test_victims_are_killed_in_turn_and_none_near_the_end(tmp_path):
    sleepers = [subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) for _ in VICTIMS]
    try:
        told = [(role, "started", f"process {p.pid}") for role, p in zip(VICTIMS, sleepers, strict=True)]
        run = run_with(tmp_path / "runs" / "main-1", told)
        kills, over = Kills(), threading.Event()
        args = (tmp_path / "runs", 0.02, 100.0, kills, over)
        killer = threading.Thread(target=kill_in_turn, args=args)
        killer.start()
        deadline = time.monotonic() + 120
        while any(p.poll() is None for p in sleepers) and time.monotonic() < deadline:
            time.sleep(0.02)
        # Their processes are gone, so nobody more is counted; an old run is left alone.
        run.append_line(run.metrics, {"updates": 9.0, "elapsed_s": 101.0, "learnt_frames": 100.0})
        killer.join(120)
        assert not killer.is_alive() and [p.wait() for p in sleepers] == [-9] * len(VICTIMS)
        assert [name for name, _ in kills.done][: len(VICTIMS)] == list(VICTIMS)
    finally:
        for p in sleepers:
            p.kill()
            p.communicate()
