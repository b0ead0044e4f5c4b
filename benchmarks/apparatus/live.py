"""`LiveRun`: `guerdon train` in a process of its own, watched from outside: what it says, writes, and leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.apparatus.marked import marked
from benchmarks.apparatus.training import CHECKOUT
from benchmarks.chaos_main_job import process_of
from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory

MARK = "GUERDON_LIVE_RUN"
PATIENCE_S = 300.0  # with what comes in seconds on a machine that has nothing else to do

TINY = {
    "frames": 1200,
    "actors.count": 2,
    "actors.environments": 4,
    "actors.unroll_length": 10,
    "batch_fragments": 2,
    "policy.hidden": 16,
    "reward": "retrieval",
    "judge": "rules",
    "judge.goal": "explore and descend",
    "ray.object_store_mb": 100,
    "tracking.enabled": "false",
    "checkpoint.every_s": 1,
    "report_every_s": 0.5,
}
"""The smallest distributed run with every role in it."""


class LiveRun:
    """`guerdon train …` in a process of its own; every process that it starts carries a mark."""

    def __init__(self, place: Path, words: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Start it below `place`, where its runs go too and from where it may import."""
        self.place, self._mark = place, uuid.uuid4().hex
        path = os.pathsep.join([str(CHECKOUT), str(place)])
        self._log = (place / f"{self._mark}.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "train", *words, *(f"{k}={v}" for k, v in settings.items())],
            cwd=place,
            env={**os.environ, MARK: self._mark, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        """What it has said so far."""
        return Path(self._log.name).read_text()

    @property
    def directory(self) -> RunDirectory:
        """Its run."""
        return RunDirectory.existing("last", self.place / "runs")

    @property
    def ledger(self) -> dict[str, Any]:
        """Its accounts."""
        found: dict[str, Any] = json.loads(self.directory.ledger.read_text())
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        """What happened to it."""
        return list(self.directory.lines(self.directory.events))

    @property
    def tree(self) -> dict[str, Any]:
        """Its newest checkpoint."""
        return checkpoint.load(self.directory.checkpoints)[1]

    def metrics(self) -> dict[str, float]:
        """Its newest line of metrics; empty before the first."""
        try:
            return list(self.directory.lines(self.directory.metrics))[-1]
        except (UserError, IndexError):  # no run yet, or no line
            return {}

    def process_of(self, role: str) -> int | None:
        """The process of a role, once it has said so."""
        try:
            return process_of(self.directory, role)
        except UserError:
            return None

    def kill(self, role: str, signal_number: int = signal.SIGKILL) -> int:
        """Send a signal to the process of a role; gives its number."""
        pid = self.process_of(role)
        if pid is None:
            raise AssertionError(f"{role} runs nowhere:\n{self.output}")
        os.kill(pid, signal_number)
        return pid

    def stand_still(self, timeout_s: float = PATIENCE_S) -> None:
        """Stop its own process, and see that it has stopped; its roles work on.

        Raises:
            AssertionError: it has ended, or does not stop in time.
        """
        self.process.send_signal(signal.SIGSTOP)
        stopped = psutil.Process(self.process.pid)
        self.until(lambda: stopped.status() == psutil.STATUS_STOPPED, timeout_s, "standstill", look_s=0.001)

    def go_on(self) -> None:
        """Let its own process go on."""
        self.process.send_signal(signal.SIGCONT)

    def processes(self) -> list[psutil.Process]:
        """Every living process that it started, itself included."""
        return marked(MARK, self._mark)

    def until(self, holds: Callable[[], Any], timeout_s: float, what: str, look_s: float = 0.1) -> None:
        """Wait until something holds, looking every `look_s` seconds.

        Raises:
            AssertionError: it does not in time, or the run has ended before.
        """
        deadline = time.monotonic() + timeout_s
        while not holds():
            ended = self.process.poll()
            assert ended is None, f"ended with {ended} before {what}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {what} within {timeout_s} s:\n{self.output}"
            time.sleep(look_s)

    def learns_on(self, more: int = 3, timeout_s: float = PATIENCE_S) -> None:
        """Wait for so many updates that it makes from now on.

        Its newest line may be older than what has just happened to it, so one that is written after this call counts
        from where.

        Raises:
            AssertionError: they do not come in time, or the run has ended before.
        """
        now = time.time()
        self.until(lambda: self.metrics().get("time", 0.0) > now, timeout_s, "news of it")
        before = self.metrics()["updates"]
        self.until(lambda: self.metrics()["updates"] >= before + more, timeout_s, f"{more} further updates")

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for its end; gives the exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no end within {timeout_s} s:\n{self.output}") from None

    def nothing_left(self, within_s: float = PATIENCE_S, but: Sequence[str] = ()) -> None:
        """See that no process of it is left.

        Args:
            within_s: how long they may take to go.
            but: beginnings of command lines that may stay.

        Raises:
            AssertionError: names those that are.
        """
        deadline = time.monotonic() + within_s
        while left := [text for text in map(_named, self.processes()) if not text.startswith(("?", *but))]:
            assert time.monotonic() < deadline, f"still there after {within_s} s: {left}"
            time.sleep(0.2)

    def clear(self) -> None:
        """End whatever is left."""
        for process in self.processes():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.Error:
                continue
        self.process.wait()
        self._log.close()


def _named(process: psutil.Process) -> str:
    """The command line of a process and its number; "?" if it has just gone."""
    try:
        return f"{' '.join(process.cmdline())[:100]} ({process.pid}, {process.status()})"
    except psutil.Error:
        return "?"
