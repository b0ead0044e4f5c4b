"""Rates of runs that take turns, and that a frozen run stands still."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import psutil
import pytest

from benchmarks.apparatus.turns import Runner, forth_and_back, rates

COUNTING = """
import sys, time
while True:
    print(time.process_time(), flush=True)
    for _ in range(10_000): pass
"""


class Counting:
    """A process that counts, and says so."""

    def __init__(self, place):
        self.log = place / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen([sys.executable, "-c", COUNTING], stdout=log)
        while not self.log.read_text():
            time.sleep(0.01)

    def processes(self):
        return [psutil.Process(self.process.pid)]

    def metrics(self):
        return {
            "lines": float(len(self.log.read_text().splitlines())),
            "time": time.time(),
            "elapsed_s": 1.0,
            "learnt_s": 1.0,
        }


@pytest.fixture
def counting(tmp_path):
    run = Counting(tmp_path)
    yield run
    run.process.kill()
    run.process.wait()


def test_a_rate_is_of_the_time_awake():
    seen = [{"n": 100.0, "awake_s": 12.0}, {"n": 300.0, "awake_s": 32.0}, {"n": 340.0, "awake_s": 52.0}]
    assert rates(seen, "n") == [10.0, 2.0]


def test_what_grows_evenly_with_time_touches_all_runs_alike():
    assert "".join(forth_and_back("abc", 3)) == "abccbaabc"
    order = "".join(forth_and_back("abc", 6))
    assert {sum(at for at, run in enumerate(order) if run == name) for name in "abc"} == {6 * 17 // 2}


@pytest.mark.slow
def test_a_run_works_in_its_turn_alone(counting):
    runner = Runner(counting)
    runner.count()
    runner.freeze()
    while counting.processes()[0].status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    before = runner.seen()
    time.sleep(0.2)
    frozen = runner.seen()
    assert (frozen["lines"], frozen["awake_s"]) == (before["lines"], before["awake_s"])
    turns = 0
    while runner.seen()["lines"] <= before["lines"] and turns < 100:
        runner.work(0.2)
        turns += 1
    after = runner.seen()
    assert after["lines"] > before["lines"] and 0.2 * turns <= after["awake_s"]
    runner.wake()


def test_time_awake_is_counted_until_the_latest_update_ended(counting, monkeypatch):
    clock = iter([100.0, 106.0, 112.0, 118.0])
    runner = Runner(counting)
    monkeypatch.setattr("benchmarks.apparatus.turns.time.time", lambda: next(clock))
    for _ in range(2):
        runner.wake()
        runner.freeze()
    monkeypatch.undo()
    assert runner.awake_s(math.inf) == 12.0
    for learnt_at, awake_s in ((99.0, 0.0), (105.5, 5.5), (109.0, 6.0), (113.5, 7.5), (120.0, 12.0)):
        line = {"time": learnt_at + 0.5, "elapsed_s": 7.5, "learnt_s": 7.0}
        monkeypatch.setattr(counting, "metrics", lambda line=line: line)
        assert runner.seen()["awake_s"] == awake_s
    runner.wake()


def test_a_run_that_has_ended_is_told(counting):
    counting.process.kill()
    counting.process.wait()
    counting.output = "the last words"
    with pytest.raises(Exception, match="ended while it was measured: the last words"):
        Runner(counting).seen()
