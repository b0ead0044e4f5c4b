"""Runs of `guerdon train`, each a process of its own that is stopped cleanly, and what they left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory

CHECKOUT = Path(__file__).resolve().parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
STARTING_S = 300.0
STOPPING_S = 120.0


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does, so that what was started is also stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def train(recipe: str, settings: Mapping[str, Any], runs: Path, minutes: float) -> RunDirectory:
    """One run with the distributed runner, by the command line, for some minutes.

    Args:
        recipe: in pipelines/recipes/.
        settings: overrides by dotted path.
        runs: its directory of runs; what it prints goes to train.log there.
        minutes: when it ends by itself.

    Raises:
        UserError: it failed, or did not end; the log says why.
    """
    runs = runs.resolve()
    runs.mkdir(parents=True, exist_ok=True)
    values = {"runner": "distributed", **settings, "minutes": minutes}
    words = [f"{key}={json.dumps(value)}" for key, value in values.items()]
    command = [sys.executable, "-m", "pipelines.cli", "train", recipe, *words, f"runs={runs}"]
    log = runs / "train.log"
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches it once, from here, and it saves and takes its Ray down.
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**os.environ, **ONE_THREAD},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(60 * minutes + STARTING_S)
    except subprocess.TimeoutExpired:
        raise UserError(f"{recipe}: not over {STARTING_S:.0f} s after its {minutes:g} minutes; see {log}") from None
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOPPING_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if code:
        raise UserError(f"{recipe}: ended with code {code}: {last_line(log)}")
    return RunDirectory.existing("last", runs)


def last_line(log: Path) -> str:
    """The last line of a log that says something, and where to read the others."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1] if lines else 'it printed nothing'} ({log})"
