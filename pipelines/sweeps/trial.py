"""`RunTrial`: one trial of a sweep is a whole run in a process of its own, and Tune is told what its metrics say.

When Tune prunes it, the run gets SIGTERM: it saves and ends, and only then are its cores free.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import psutil
from ray import tune

from pipelines.followed import Followed, Line
from pipelines.run_directory import RunDirectory
from pipelines.sweeps.space import word
from pipelines.tracking import PARENT_RUN

LOOK_S = 0.2
STEP_TIMEOUT_S = 900.0  # a model may be built and loaded before the first line
STOP_TIMEOUT_S = 90.0
CHILD = "pipelines.sweeps.child"
KEPT = ("RAY_AUTH_", "RAY_TMPDIR", "RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO")


def trial_name(trial_id: str) -> str:
    """Name of the run of a trial: its number in the sweep."""
    return f"trial-{trial_id.rpartition('_')[2]}"


def without_ray(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what a Ray worker was told; a run starts a Ray of its own."""
    return {key: value for key, value in environment.items() if not key.startswith("RAY_") or key.startswith(KEPT)}


def unseen(lines: list[Line], after: float, time_key: str, metric: str) -> dict[str, Any] | None:
    """The first line of metrics that holds the metric and is further than `after`, in steps; None where none is."""
    for line in lines:
        if line.get(metric) is not None and line.get(time_key, -1) > after:
            return line
    return None


def stop(processes: Sequence[psutil.Process], timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Let runs save and end, all at once; kill what has not ended in time, and its children."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
    for process in psutil.wait_procs(processes, timeout_s)[1]:
        with suppress(psutil.NoSuchProcess):
            for one in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            process.wait(timeout_s)


def running(runs: Path) -> list[psutil.Process]:
    """The runs of a sweep that go on on this machine, whoever has started them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if CHILD in words and "train" in words and f"runs={runs}" in words:
                found.append(process)
    return found


class RunTrial(tune.Trainable):
    """`guerdon train` with the values of one point of the space.

    The config has, beside the axes under "values": command (recipe and settings), runs, cwd, metric,
    time_key (what counts as progress), horizon (where the run ends by it), parent (MLflow's, or "").
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Start the run, or go on with it where it is there."""
        self._metric, self._time_key, self._horizon = config["metric"], config["time_key"], config["horizon"]
        runs, name = Path(config["runs"]), trial_name(self.trial_id)
        self._directory, self._log = RunDirectory(runs / name), runs / f"{name}.log"
        self._followed, self._lines = Followed(self._directory.metrics), list[Line]()
        self._reached = -1.0
        environment = without_ray(os.environ)
        if config["parent"]:
            environment[PARENT_RUN] = config["parent"]
        values = [word(key, value) for key, value in config["values"].items()]
        own = [f"runs={runs}", f"run={name}", "display=lines"]
        with self._log.open("ab") as log:
            self._process = psutil.Popen(
                [sys.executable, "-m", CHILD, str(os.getpid()), "train", *config["command"], *values, *own],
                cwd=config["cwd"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def step(self) -> dict[str, Any]:
        """Wait for the next line of metrics that says something new; with the run's end, the last.

        Raises:
            RuntimeError: the run failed, ended without the metric, or says nothing for a quarter of an hour.
        """
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while time.monotonic() < deadline:
            code = self._process.poll()  # before the lines, so that none comes between
            new = self._followed.new()
            self._lines += new
            if new:  # of something else: it lives, and ends itself where it stalls
                deadline = time.monotonic() + STEP_TIMEOUT_S
            if code is not None:
                return self._ended(code, self._lines)
            line = unseen(self._lines, self._reached, self._time_key, self._metric)
            # A run that has all its frames ends by itself: it is not pruned at the goal.
            if line is not None and (self._horizon is None or line[self._time_key] < self._horizon):
                return self._told(line, finished=False)
            time.sleep(LOOK_S)
        raise RuntimeError(f"no new metrics within {STEP_TIMEOUT_S:.0f} s; see {self._log}")

    def _ended(self, code: int, lines: list[Line]) -> dict[str, Any]:
        if code != 0:
            said = [text for text in self._log.read_text(errors="replace").splitlines() if text.strip()]
            raise RuntimeError(f"the run ended with {code}: {said[-1] if said else 'it said nothing'}")
        told = [line for line in lines if line.get(self._metric) is not None and self._time_key in line]
        if not told:
            known = sorted({key for line in lines for key in line} - {"time"})
            near = get_close_matches(self._metric, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(known) or 'nothing'}"
            raise RuntimeError(f"the run never said {self._metric!r}; {hint}")
        return self._told(told[-1], finished=True)

    def _told(self, line: dict[str, Any], finished: bool) -> dict[str, Any]:
        self._reached = line[self._time_key]
        return {
            self._metric: float(line[self._metric]),
            self._time_key: int(line[self._time_key]),
            "finished": finished,
            "done": finished,
        }

    def cleanup(self) -> None:
        """Let the run save and end; kill what does not."""
        if self._process.poll() is not None:
            return
        stop([self._process])

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing: a run keeps its own checkpoints, and goes on from the newest."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing, as above."""
