"""`job-resume`: a submitted job, its head killed with all that runs there, started again, and the job resumed.

    python -m benchmarks.job_resume
    python -m benchmarks.job_resume kills=3 frames=40000

A Ray head with its jobs server listens on loopback, in a folder of its own. `guerdon submit` sends a run; SIGKILL
ends the head and everything on it, driver, roles and replay; the head is started again, with an empty memory, and
`guerdon jobs resume` sends the run once more. What the run then goes on from is compared with what was on disk when it
was killed. Other keys: work, results, mode (token or disabled).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.apparatus.local_head import LocalHead
from benchmarks.apparatus.training import sigterm_interrupts
from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, figure, write_result
from pipelines.run_directory import RunDirectory

NAME = "job-resume"
RUN = "resumed"
DEADLINE_S = 400.0
STEP = 2000  # frames that must be learnt from, and saved, before the next kill
SETTINGS = {
    "actors.count": 2,
    "actors.environments": 4,
    "actors.unroll_length": 10,
    "batch_fragments": 2,
    "policy.hidden": 16,
    "tracking.enabled": "false",
    "checkpoint.every_s": 3,
    "report_every_s": 1,
}


class Command:
    """`guerdon WORDS…` against a head, in a process of its own; its output is kept."""

    def __init__(self, head: LocalHead, *words: str) -> None:
        self.log = head.place / f"command-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.cli", *words, f"address={head.address}"],
                cwd=head.place, env=head.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def output(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def ended(self, timeout_s: float = DEADLINE_S) -> int:
        """Its exit code, once it has ended."""
        try:
            return self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it has not ended in {timeout_s:.0f} s:\n{self.output[-3000:]}") from None

    def job(self) -> str:
        """The id of the job that it has submitted."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := re.search(r"^job (\S+): ", self.output, re.M)) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"nothing was submitted:\n{self.output[-3000:]}")
            time.sleep(0.2)
        return found[1]


def wait_for_checkpoint(run: RunDirectory, beyond: int, command: Command) -> int:
    """The number of the newest checkpoint, once it is well beyond `beyond` and something was learnt after it."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = checkpoint.numbers(run.checkpoints)
        lines = list(run.lines(run.metrics))
        if found and found[-1] >= beyond + STEP and lines and lines[-1]["learnt_frames"] > found[-1]:
            return found[-1]
        if command.process.poll() is not None:
            raise AssertionError(f"it ended before it was killed; raise frames:\n{command.output[-3000:]}")
        time.sleep(0.1)
    raise AssertionError(f"no checkpoint in {DEADLINE_S:.0f} s:\n{command.output[-3000:]}")


def resumed_at(run: RunDirectory) -> list[int]:
    """Frames at which the run said that it was resumed, in order."""
    found = [event for event in run.lines(run.events) if event["role"] == "run" and event["what"] == "resumed"]
    return [int(re.sub(r"\D", "", event["cause"])) for event in found]


def killed_once(head: LocalHead, run: RunDirectory, command: Command, beyond: int) -> tuple[Command, dict[str, Cell]]:
    """Kill the head under a job, start it again and resume the job."""
    job = command.job()
    wait_for_checkpoint(run, beyond, command)
    victims = head.kill()
    told = command.ended()
    number, tree, _ = checkpoint.load(run.checkpoints)
    before = len(resumed_at(run))
    began = time.monotonic()
    head.start()
    started_s = time.monotonic() - began
    again = Command(head, "jobs", "resume", job)
    deadline = time.monotonic() + DEADLINE_S
    while len(resumed_at(run)) == before:
        if again.process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"it was not resumed:\n{again.output[-3000:]}")
        time.sleep(0.1)
    row: dict[str, Cell] = {
        "processes_killed": victims,
        "exit_code_of_who_followed": told,
        "checkpoint_frames": number,
        "frontier": str(tree["frontier"]),
        "learnt_frames_in_it": tree["status"]["learnt_frames"],
        "resumed_at_frames": resumed_at(run)[-1],
        "head_started_s": round(started_s, 1),
        "resumed_after_s": round(time.monotonic() - began, 1),
    }
    return again, row


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values: dict[str, Any] = parse(arguments)
    work = Path(str(values.pop("work", f"runs/{NAME}"))).resolve() / time.strftime("%H%M%S")
    results, mode = Path(str(values.pop("results", "docs/results"))), str(values.pop("mode", "token"))
    kills, frames = int(values.pop("kills", 2)), int(values.pop("frames", 30_000))
    head = LocalHead(work, mode=mode)
    run = RunDirectory(work / "runs" / RUN)
    rows: list[dict[str, Cell]] = []
    try:
        head.start()
        words = [f"{key}={value}" for key, value in {**SETTINGS, "frames": frames, **values}.items()]
        places = [f"run={RUN}", f"runs={run.root.parent}", "environment=cluster"]
        command = Command(head, "submit", "catch", *words, *places)
        for _ in range(kills):
            beyond = checkpoint.numbers(run.checkpoints)[-1:] or [0]
            command, row = killed_once(head, run, command, beyond[0])
            rows.append(row)
            print(row, flush=True)
        code = command.ended()
    finally:
        head.kill()
    ledger = json.loads(run.ledger.read_text())
    _, tree, _ = checkpoint.load(run.checkpoints)
    learnt = tree["status"]["learnt_frames"]
    experience = ledger["experience"]
    skipped = experience["sampled"]["frames"] - learnt  # drawn and never learnt from; below 0: learnt from twice
    same = all(row["learnt_frames_in_it"] == row["resumed_at_frames"] for row in rows)
    told = all(row["exit_code_of_who_followed"] == 2 for row in rows)
    holds = bool(code == 0 and same and told and skipped == 0 and ledger["balanced"])
    one = {"low": None, "high": None, "n": 1}
    result = write_result(
        results / f"{NAME}.json",
        NAME,
        "A job whose head is killed with everything on it goes on, when it is submitted again to a new head, at the "
        "frontier of its newest checkpoint: no sample is skipped or learnt from twice, and its ledger balances.",
        holds,
        f"python -m benchmarks.job_resume{''.join(f' {word}' for word in arguments)}",
        {
            "kills of the head": Figure(value=len(rows), unit="kills", **one),
            "frames drawn and not learnt from, or twice": Figure(value=abs(skipped), unit="frames", **one),
            "frames learnt from": Figure(value=learnt, unit="frames", **one),
            "fragments accepted": Figure(value=experience["accepted"]["fragments"], unit="fragments", **one),
            "ledger balanced": Figure(value=float(ledger["balanced"]), unit="yes = 1", **one),
            "exit code of the job": Figure(value=code, unit="code", **one),
            "from starting the head to going on": figure([float(str(row["resumed_after_s"])) for row in rows], "s"),
        },
        rows,
    )
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
