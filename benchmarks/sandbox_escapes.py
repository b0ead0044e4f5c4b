"""Does hostile code get out of the sandbox, or into its own verdict?

    python -m benchmarks.sandbox_escapes [tiers=[process]] [interpreter=/usr/bin/python3] [runs=20]

Every attack of `sandbox_attacks` is run in every tier against tests of a function that it does not implement. It is
blocked if no test passed and nothing of it is seen outside: no file, no process, no signal, no connection. The right
solution is run beside them, and so is the usual way of testing code (append the tests, run the file, believe the exit
status), with those attacks that are harmless to run without a sandbox. A tier that cannot be had on the machine must
refuse every attack.

Timings are of one test of the right solution from start to verdict, both sandboxes included, one after another.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.apparatus.sandbox_attacks import ATTACKS, SOLUTION, Attack
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Figure, Result, figure, write_result
from rewards.sandbox.programs import run_program
from rewards.sandbox.testing import run_tests
from rewards.sandbox.tiers import Config, Limits, Tier, TierAbsent

NAME = "sandbox-escapes"
TIERS: tuple[Tier, ...] = ("process", "bubblewrap", "gvisor")
TRIES = 20
LIMITS = Limits(wall_s=3.0, memory_mb=192, processes=8, disk_mb=4, output_kb=1024)


@dataclass
class World:
    """What there is to attack, and what an attack leaves behind."""

    folder: Path
    mark: str
    places: dict[str, Any]
    signals: list[int] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)

    def armed(self, attack: Attack) -> str:
        """The attack's code, told where everything is."""
        return f"WORLD = {self.places!r}\n{attack.code}"

    def traces(self) -> list[str]:
        """What was seen outside since the last call; cleaned up, so that the next attack starts afresh."""
        found = []
        outside = Path(self.places["outside"])
        if outside.exists():
            found.append("a file was written")
            outside.unlink()
        time.sleep(0.05)  # a daemon that got away needs a moment to show itself
        for process in psutil.process_iter(["cmdline"]):
            if self.mark in (process.info["cmdline"] or []):
                found.append("a process survived")
                process.kill()
        if self.signals or not psutil.pid_exists(self.places["victim"]):
            found.append("a signal arrived")
            self.signals.clear()
        if self.connections:
            found.append(f"a connection by {', '.join(self.connections)}")
            self.connections.clear()
        return found


@contextmanager
def world() -> Iterator[World]:
    """Secrets in environment, files and open files; sockets that listen; a signal handler. All gone afterwards."""
    canary, mark = f"canary-{secrets.token_hex(8)}", f"mark-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="guerdon-escapes-") as name, tempfile.TemporaryFile() as held:
        folder = Path(name)
        folder.chmod(0o755)
        for place in ("secret.txt", ".ssh/id_ed25519", ".ray/auth_token"):
            (folder / place).parent.mkdir(exist_ok=True)
            (folder / place).write_text(canary)
        held.write(canary.encode())
        held.flush()
        os.set_inheritable(held.fileno(), True)
        listeners = {
            "tcp": _listener(socket.AF_INET, ("", 0)),
            "unix": _listener(socket.AF_UNIX, str(folder / "socket")),
            "abstract": _listener(socket.AF_UNIX, f"\0{mark}"),
        }
        victim = subprocess.Popen(["sleep", "86400"], env={"GUERDON_CANARY": canary})
        places = {
            "asker": os.getpid(),
            "victim": victim.pid,
            "secret": str(folder / "secret.txt"),
            "home": str(folder),
            "source": str(Path(__file__).resolve()),
            "host": socket.gethostname(),
            "port": listeners["tcp"].getsockname()[1],
            "address": socket.gethostbyname(socket.gethostname()),
            "socket": str(folder / "socket"),
            "abstract": mark,
            "outside": str(folder / "outside.txt"),
            "mark": mark,
        }
        made = World(folder, mark, places)
        for kind, listener in listeners.items():
            threading.Thread(target=_accept, args=(listener, kind, made.connections), daemon=True).start()
        previous = signal.signal(signal.SIGUSR1, lambda number, frame: made.signals.append(number))
        os.environ["GUERDON_CANARY"] = canary
        try:
            yield made
        finally:
            del os.environ["GUERDON_CANARY"]
            victim.kill()
            victim.wait()
            signal.signal(signal.SIGUSR1, previous)
            for listener in listeners.values():
                listener.close()


def _listener(family: int, address: Any) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen()
    listener.settimeout(0.1)
    return listener


def _accept(listener: socket.socket, kind: str, connections: list[str]) -> None:
    while listener.fileno() >= 0:
        try:
            listener.accept()[0].close()
            connections.append(kind)
        except TimeoutError:
            continue
        except OSError:
            return


def checks_of(seed: int) -> list[str]:
    """Three tests of `double`, with numbers that code cannot know beforehand."""
    numbers = random.Random(seed).sample(range(1000, 10**6), 3)
    return [f"assert double({number}) == {2 * number}" for number in numbers]


@dataclass(frozen=True)
class Trial:
    """What became of one attack in one tier: how it was scored, and what was seen outside."""

    attack: Attack
    where: str
    blocked: bool
    outcome: str
    wall_s: float

    def row(self) -> dict[str, str | bool | float]:
        """One line of the result."""
        return {
            "attack": self.attack.name,
            "kind": self.attack.kind,
            "where": self.where,
            "blocked": self.blocked,
            "outcome": self.outcome,
            "wall_s": round(self.wall_s, 3),
        }


def attempt(attack: Attack, config: Config, at: World, seed: int) -> Trial:
    """Run one attack in a sandbox.

    Raises:
        TierAbsent: the tier cannot be had here.
    """
    start = time.monotonic()
    for _ in range(TRIES):
        with contextlib.suppress(TimeoutError):  # the machine was busy with others: this says nothing of the attack
            report = run_tests(config, at.armed(attack), checks_of(seed))
            break
    else:
        raise TimeoutError(f"{attack.name}: the machine is too busy to say; run it alone")
    traces = at.traces()
    scored = f"policy fault: {report.fault}" if report.fault else f"failed: {report.causes[0]}"
    outcome = "; ".join([*traces, "passed" if any(report.passed) else scored.split("\n")[0][:160]])
    return Trial(attack, config.tier, not any(report.passed) and not traces, outcome, time.monotonic() - start)


def attempt_without(attack: Attack, at: World, seed: int) -> Trial:
    """Run a harmless attack the usual way: one file, one process, its exit status believed."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "solution_and_tests.py")
        file.write_text("\n".join([at.armed(attack), *checks_of(seed)]))
        process = subprocess.Popen(
            [sys.executable, str(file)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            passed = process.wait(10 * LIMITS.wall_s) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            passed = False
    traces = at.traces()
    outcome = "; ".join([*traces, "passed" if passed else "failed"])
    return Trial(attack, "without", not passed and not traces, outcome, time.monotonic() - start)


def refuses(config: Config, at: World) -> str:
    """The words with which an absent tier refuses every attack; empty if it ran even one, or left a trace."""
    words = ""
    for attack in ATTACKS:
        try:
            attempt(attack, config, at, 0)
            return ""
        except TierAbsent as error:
            words = str(error)
    return "" if at.traces() else words


def seconds(config: Config, runs: int) -> tuple[list[float], list[float]]:
    """Wall seconds of tests of the right solution, and of a program of one line, `runs` times each."""
    tested, printed = [], []
    for run in range(runs):
        start = time.monotonic()
        if not all(run_tests(config, SOLUTION, checks_of(run)).passed):
            raise RuntimeError(f"the right solution does not pass in {config.tier}")
        tested.append(time.monotonic() - start)
        start = time.monotonic()
        if run_program(config, "print(int(input()) * 2)", "21\n").stdout != "42\n":
            raise RuntimeError(f"the right program does not pass in {config.tier}")
        printed.append(time.monotonic() - start)
    return tested, printed


def report(
    trials: Sequence[Trial],
    timings: dict[str, tuple[list[float], list[float]]],
    absent: dict[str, str],
    command: str,
    results: Path,
) -> Result:
    """Write docs/results/sandbox-escapes.json."""
    sandboxed = [trial for trial in trials if trial.where != "without"]
    figures: dict[str, Figure] = {}
    for where in dict.fromkeys(trial.where for trial in trials):
        here = [trial for trial in trials if trial.where == where]
        figures[f"blocked, {where}"] = _count(sum(trial.blocked for trial in here), f"of {len(here)}")
    for tier, (tested, printed) in timings.items():
        figures[f"tested, {tier}"] = figure([1 / s for s in tested], "runs/s")
        figures[f"programs, {tier}"] = figure([1 / s for s in printed], "runs/s")
    tiers = list(timings)
    figures["tiers that cannot be had here"] = _count(len(absent), f"of {len(absent) + len(tiers)}")
    rows: list[dict[str, str | bool | float]] = [trial.row() for trial in trials]
    rows += [
        {"where": tier, "attack": "all", "blocked": bool(words), "outcome": words} for tier, words in absent.items()
    ]
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"Of {len(ATTACKS)} attacks, each is blocked and scored as failed or as the policy's fault in every tier of "
        f"the sandbox ({', '.join(tiers) or 'none'}), while the right solution passes"
        + (f"; {', '.join(absent)} cannot be had on this machine and refused them all." if absent else "."),
        bool(tiers) and all(trial.blocked for trial in sandboxed) and all(absent.values()),
        command,
        figures,
        rows,
    )


def _count(value: float, unit: str) -> Figure:
    return Figure(value=value, unit=unit, low=None, high=None, n=1)


def main(arguments: Sequence[str]) -> None:
    values = parse(arguments)
    tiers: Sequence[str] = values.pop("tiers", TIERS)
    runs, seed = int(values.pop("runs", 20)), int(values.pop("seed", 0))
    results, interpreter = Path(values.pop("results", "docs/results")), str(values.pop("interpreter", ""))
    if values:
        raise UserError(f"got {', '.join(values)}; expected tiers, interpreter, runs, seed, results")
    trials: list[Trial] = []
    timings: dict[str, tuple[list[float], list[float]]] = {}
    absent: dict[str, str] = {}
    with world() as at:
        for tier in tiers:
            config = Config.model_validate({"tier": tier, "interpreter": interpreter, "limits": LIMITS})
            try:
                timings[tier] = seconds(config, runs)
            except TierAbsent as error:
                print(f"{tier}: {error}", flush=True)
                absent[tier] = refuses(config, at)
                continue
            for number, attack in enumerate(ATTACKS):
                trials.append(attempt(attack, config, at, seed + number))
                mark = "blocked" if trials[-1].blocked else "NOT BLOCKED"
                print(f"{tier}: {mark}: {attack.name}: {trials[-1].outcome}", flush=True)
        for number, attack in enumerate(attack for attack in ATTACKS if attack.tame):
            trials.append(attempt_without(attack, at, seed + number))
            mark = "blocked" if trials[-1].blocked else "not blocked"
            print(f"without: {mark}: {attack.name}: {trials[-1].outcome}", flush=True)
    command = " ".join([f"python -m benchmarks.{NAME.replace('-', '_')}", *arguments])
    print(f"{results / f'{NAME}.json'}: holds {report(trials, timings, absent, command, results).holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
