"""`chaos-main-job`: roles of the main job are killed (SIGKILL) in turn while it runs; it has to recover by itself.

    python -m benchmarks.chaos_main_job
    python -m benchmarks.chaos_main_job minutes=10 every_s=15 recipe=nethack-score

Victims are the first env actor, the judge's replica, the reward trainer, the learner and the replay, found by the
process ids that the run writes into its events. Other keys: work, results; every further key is an override of the
recipe.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.apparatus.training import sigterm_interrupts, train
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, figure, write_result
from pipelines.run_directory import RunDirectory

NAME = "chaos-main-job"
VICTIMS = ("env-actor-0", "judge", "reward-trainer", "learner", "replay-0")
MINUTES, EVERY_S = 4.0, 20.0
QUIET_S = 30.0  # before the end nobody is killed, so that the last victim has the time to recover


@dataclass
class Kills:
    """Who was killed when, in order."""

    done: list[tuple[str, float]] = field(default_factory=list)

    def of(self, victim: str) -> list[float]:
        """Times at which one victim was killed."""
        return [time_s for name, time_s in self.done if name == victim]


def newest(runs: Path) -> RunDirectory | None:
    """The newest run below `runs`, if there is one yet."""
    try:
        return RunDirectory.existing("last", runs)
    except UserError:
        return None


def process_of(run: RunDirectory, role: str) -> int | None:
    """The process that a role said it is, if its last word was not that it died."""
    pid = None
    for event in run.lines(run.events):
        if event["role"] == role:
            word, _, number = str(event["cause"]).rpartition(" ")
            pid = int(number) if word == "process" and number.isdigit() else None if event["what"] == "died" else pid
    return pid


def kill_in_turn(runs: Path, every_s: float, until_s: float, kills: Kills, over: threading.Event) -> None:
    """Kill the next victim every `every_s` seconds, from when the run has begun to learn until it is `until_s` old."""
    while (run := newest(runs)) is None or not any(line["updates"] > 0 for line in run.lines(run.metrics)):
        if over.wait(0.5):
            return
    turn = 0
    while not over.wait(every_s) and [*run.lines(run.metrics)][-1]["elapsed_s"] < until_s:
        victim = VICTIMS[turn % len(VICTIMS)]
        pid = process_of(run, victim)
        if pid is None:
            continue  # it has not recovered yet: wait, rather than kill somebody else out of turn
        turn += 1
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        kills.done.append((victim, time.time()))


def recoveries(run: RunDirectory, victim: str) -> list[float]:
    """Seconds from each death of a role, as the run noticed it, to its next answer."""
    return [e["recovered_s"] for e in run.lines(run.events) if e["role"] == victim and e["what"] == "recovered"]


def collect(run: RunDirectory, kills: Kills, results: Path, command: str) -> Result:
    """Write the table: victim × kills × deaths noticed × recovered × seconds, and the ledger."""
    ledger = json.loads(run.ledger.read_text())
    lines = list(run.lines(run.metrics))
    events = list(run.lines(run.events))
    rows: list[dict[str, Cell]] = []
    figures: dict[str, Figure] = {}
    for victim in VICTIMS:
        seconds = recoveries(run, victim)
        deaths = sum(e["role"] == victim and e["what"] == "died" for e in events)
        rows.append(
            {
                "victim": victim,
                "kills": len(kills.of(victim)),
                "deaths_named": deaths,
                "recovered": len(seconds),
                "seconds_max": max(seconds, default=None),
            }
        )
        if seconds:
            figures[f"{victim}, recovery"] = figure(seconds, "s")
    last = lines[-1]
    books, rows_of = ledger["verdicts"], ledger["experience"]
    for name, value, unit in (
        ("kills", len(kills.done), "kills"),
        ("frames learnt from", last["learnt_frames"], "frames"),
        ("rollouts lost with their actor", ledger["lost_rollouts"], "rollouts"),
        ("fragments accepted", rows_of["accepted"]["fragments"], "fragments"),
        ("verdicts asked", books["asked"], "questions"),
        ("verdicts ok", books["ok"], "questions"),
        ("ledger balanced", float(ledger["balanced"]), "yes = 1"),
    ):
        figures[name] = Figure(value=float(value), unit=unit, low=None, high=None, n=1)
    once = rows_of["sampled"]["frames"] == last["learnt_frames"]
    named = all(row["kills"] and row["kills"] == row["deaths_named"] == row["recovered"] for row in rows)
    holds = ledger["balanced"] and once and named
    return write_result(
        results / f"{NAME}.json",
        NAME,
        "While env actor, judge replica, reward trainer, learner and replay of the main job are killed in turn, each "
        "death is named and followed by a recovery, the run comes to its end, its ledger balances, and what was drawn "
        "from the replay was learnt from once.",
        bool(holds),
        command,
        figures,
        rows,
    )


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values: dict[str, Any] = parse(arguments)
    work = Path(values.pop("work", f"runs/{NAME}")).resolve() / time.strftime("%Y%m%d-%H%M%S")
    results = Path(values.pop("results", "docs/results"))
    minutes, every_s = values.pop("minutes", MINUTES), values.pop("every_s", EVERY_S)
    recipe = values.pop("recipe", "main")
    kills, over = Kills(), threading.Event()
    killer = threading.Thread(
        target=kill_in_turn, args=(work, every_s, 60 * minutes - QUIET_S, kills, over), daemon=True
    )
    killer.start()
    try:
        run = train(recipe, {"checkpoint.every_s": 10, "frames": 100_000_000, **values}, work, minutes)
    finally:
        over.set()
        killer.join(timeout=10.0)
    words = "".join(f" {argument}" for argument in arguments)
    result = collect(run, kills, results, f"python -m benchmarks.{NAME.replace('-', '_')}{words}")
    for row in result.rows:
        print(row)
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")
    return 0 if result.holds else 1


if __name__ == "__main__":
    try:
        with sigterm_interrupts():
            sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped")
