"""Runs that are alive at once and take turns of seconds: one works while the others are frozen, forth and back.

What else the machine does changes from minute to minute and touches runs that follow each other unequally. Turns that
are short beside such changes, and many, touch all runs alike: their rates compare within a percent or so where those of
whole runs differ by ten. Every second round goes backwards, first to last and last to first, so that where there are
as many of both no run is the later one on average. A run does not notice but by its clocks: two turns of all others
together, which is how long it is frozen, must be shorter than its shortest deadline.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import psutil

from benchmarks.apparatus.live import LiveRun
from pipelines.errors import UserError

T = TypeVar("T")

START_TIMEOUT_S = 300.0


@dataclass
class Runner:
    """One run of the ring.

    Attributes:
        run: that is alive.
    """

    run: LiveRun
    _processes: list[psutil.Process] = field(default_factory=list)
    _awake: list[tuple[float, float]] = field(default_factory=list)  # from when until when, by the clock of the day

    def count(self) -> None:
        """See which processes it has."""
        self._processes = self.run.processes()

    def freeze(self) -> None:
        """Stop every process of it."""
        self._send(signal.SIGSTOP)
        if self._awake:
            self._awake[-1] = (self._awake[-1][0], time.time())

    def wake(self) -> None:
        """Let it go on."""
        self._awake.append((time.time(), math.inf))
        self._send(signal.SIGCONT)

    def work(self, seconds: float) -> None:
        """Have its turn."""
        self.wake()
        time.sleep(seconds)
        self.freeze()

    def awake_s(self, until: float) -> float:
        """How long it was not frozen since it was first woken, until a time of the day."""
        return sum(min(end, until) - begin for begin, end in self._awake if begin < until)

    def seen(self) -> dict[str, float]:
        """Its newest line of metrics, and how long it had been awake when it had learnt so much.

        A line tells of whole updates, and an update of half a second is a twentieth of a block: so what counts is when
        the last one ended, not when somebody looked.

        Raises:
            UserError: it has ended.
        """
        if self.run.process.poll() is not None:
            raise UserError(f"a run ended while it was measured: {self.run.output[-300:]}")
        line = self.run.metrics()
        learnt_at = line["time"] - (line["elapsed_s"] - line["learnt_s"])
        return {**line, "awake_s": self.awake_s(learnt_at)}

    def _send(self, number: signal.Signals) -> None:
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def in_turn(
    runs: Mapping[str, LiveRun], warm_up_s: float, turn_s: float, block_s: float, blocks: int
) -> dict[str, list[dict[str, float]]]:
    """What each run had done at the beginning of the first block and at the end of each; all are awake afterwards.

    Args:
        runs: by name, just started.
        warm_up_s: that each has of its own before the first block.
        turn_s: of one turn; those at either end of the order have two turns on end.
        block_s: that each is awake in a block.
        blocks: how many.

    Raises:
        UserError: a run failed, or did not learn in time.
    """
    ring = {name: Runner(run) for name, run in runs.items()}
    try:
        for name, run in runs.items():
            _await_learning(name, run)
        for runner in ring.values():
            runner.count()
            runner.freeze()
        _go_round(list(ring.values()), turn_s, warm_up_s)
        found = {name: [runner.seen()] for name, runner in ring.items()}
        for _ in range(blocks):
            _go_round(list(ring.values()), turn_s, block_s)
            for name, runner in ring.items():
                found[name].append(runner.seen())
        return found
    finally:
        for runner in ring.values():
            runner.wake()


def rates(seen: Sequence[Mapping[str, float]], counter: str) -> list[float]:
    """How fast a counter grew in each block while the run was awake, 1/s."""
    return [
        (after[counter] - before[counter]) / (after["awake_s"] - before["awake_s"]) for before, after in pairwise(seen)
    ]


def forth_and_back(ring: Sequence[T], rounds: int) -> Iterator[T]:
    """So many rounds, each in the other direction than the one before."""
    for number in range(rounds):
        yield from ring if number % 2 == 0 else reversed(ring)


def _await_learning(name: str, run: LiveRun) -> None:
    """Nobody is frozen while one of them starts: a start has deadlines of its own, and takes what the machine has."""
    try:
        run.until(lambda: run.metrics().get("learnt_frames", 0) > 0, START_TIMEOUT_S, "learning")
    except AssertionError as error:
        raise UserError(f"{name}: {error}") from None


def _go_round(ring: Sequence[Runner], turn_s: float, each_s: float) -> None:
    """Turns until each has had `each_s` seconds."""
    for runner in ring:
        runner.wake()
        runner.count()  # what it has started since
        runner.freeze()
    for runner in forth_and_back(ring, round(each_s / turn_s)):
        runner.work(turn_s)
