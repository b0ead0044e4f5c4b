"""`trial`: a short run of a recipe in a process of its own, watched from outside for some seconds.

What the processes of the run spend is read from the system, what its stages take from the run's own metrics.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil

from pipelines.errors import UserError
from pipelines.followed import Followed, Line
from pipelines.run_directory import RunDirectory

CHECKOUT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 60.0
LOOK_S = 0.1
MIB = 2**20


@dataclass(frozen=True)
class Trial:
    """What was seen in the window of a run, per frame that the learner consumed.

    Attributes:
        frames_per_s: that the learner consumed.
        window_s: length of the window.
        stages: microseconds by stage; stages of different processes run at the same time.
        processors: microseconds of processor time by role; what is nobody's role is Ray's.
        memory_mb: resident memory by role at the end of the window.
        own_mb: what of it is neither a mapped file nor shared, so that nobody else could have it.
        weight_age: versions between the weights that acted and those that learnt, on average.
        metrics: the last line of metrics of the window.
        began: the last one before it.
    """

    frames_per_s: float
    window_s: float
    stages: Mapping[str, float]
    processors: Mapping[str, float]
    memory_mb: Mapping[str, float]
    own_mb: Mapping[str, float]
    weight_age: float | None
    metrics: Mapping[str, float]
    began: Mapping[str, float] = field(default_factory=dict)


def trial(words: Sequence[str], warm_up_s: float, window_s: float, runs: Path | None = None) -> Trial:
    """Train for a while and watch.

    Args:
        words: recipe and overrides, as `guerdon train` takes them.
        warm_up_s: seconds of learning that do not count.
        window_s: seconds that count, at least.
        runs: where the run is kept; None: nowhere.

    Raises:
        UserError: the run failed, or learnt nothing within minutes.
    """
    with tempfile.TemporaryDirectory(prefix="guerdon-trial-") as scratch:
        place = Path(scratch) if runs is None else runs
        with _running(words, place) as process:
            return watched(process, _directory(process, place), warm_up_s, window_s, 1)[0]


def watched(
    process: psutil.Process, directory: RunDirectory, warm_up_s: float, window_s: float, windows: int
) -> list[Trial]:
    """What happens in each of several windows of a run that is alive, one after another; it lives on.

    A window begins and ends where the learner has just moved: updates come whole, and few of them fit into seconds.

    Args:
        process: of the run.
        directory: where it writes.
        warm_up_s: seconds of learning that do not count.
        window_s: seconds of each window, at least.
        windows: how many.

    Raises:
        UserError: the run failed, or learnt nothing within minutes.
    """
    found = []
    lines = _Lines(process, directory)
    first = lines.until(lambda _, line: line["learnt_frames"] > 0, 0.0)
    opens = lines.until(just_moved(first["elapsed_s"] + warm_up_s), warm_up_s)
    before = _spent(process, directory)
    for _ in range(windows):
        closes = lines.until(just_moved(opens["elapsed_s"] + window_s), window_s)
        after = _spent(process, directory)
        found.append(compared(opens, closes, before, after))
        opens, before = closes, after
    return found


class Spent(NamedTuple):
    """What a process has used up to a moment, and what it has in memory then; see `Trial`."""

    role: str
    processor_s: float
    memory_mb: float
    own_mb: float


class UpdateRate(NamedTuple):
    """What was seen of the updates of a language run.

    Attributes:
        seconds: that one took.
        updates: that were seen.
        tokens: of an answer, on average; None: no answer was written meanwhile.
    """

    seconds: float
    updates: int
    tokens: float | None


def update_rate(words: Sequence[str], window_s: float) -> UpdateRate:
    """Train a language model for a while, from the end of one update to the end of another.

    Args:
        words: recipe and overrides, as `guerdon train` takes them.
        window_s: seconds that are watched, at least; one update is, however long it takes.

    Raises:
        UserError: the run failed, or made no update within minutes.
    """
    with tempfile.TemporaryDirectory(prefix="guerdon-trial-") as scratch:
        runs = Path(scratch)
        with _running(words, runs, "updates") as process:
            lines = _Lines(process, _directory(process, runs))
            begun = lines.until(lambda _, line: "updates" in line, 0.0)["updates"]
            opens = lines.until(lambda _, line: line["updates"] > begun, 0.0)  # it has just become more
            due = lines.until(lambda _, line: line["elapsed_s"] >= opens["elapsed_s"] + window_s, window_s)
            closes = lines.until(lambda _, line: line["updates"] > due["updates"], window_s)
    return rate_between(opens, closes)


def rate_between(opens: Mapping[str, float], closes: Mapping[str, float]) -> UpdateRate:
    """What two lines of metrics come to, each the first after an update."""
    updates = int(closes["updates"] - opens["updates"])
    answers, tokens = closes["episodes"] - opens["episodes"], closes["frames"] - opens["frames"]
    each = tokens / answers if answers else None
    return UpdateRate((closes["elapsed_s"] - opens["elapsed_s"]) / updates, updates, each)


def compared(
    opens: Mapping[str, float],
    closes: Mapping[str, float],
    before: Mapping[int, Spent],
    after: Mapping[int, Spent],
) -> Trial:
    """What happened between two moments.

    Args:
        opens: the line of metrics at the first.
        closes: the line of metrics at the second.
        before: what each process had spent at the first.
        after: the same at the second.
    """
    frames = closes["learnt_frames"] - opens["learnt_frames"]
    seconds = closes["elapsed_s"] - opens["elapsed_s"]
    stages = {
        name.removeprefix("seconds/"): 1e6 * (value - opens.get(name, 0.0)) / frames
        for name, value in closes.items()
        if name.startswith("seconds/")
    }
    processors: defaultdict[str, float] = defaultdict(float)
    memory: defaultdict[str, float] = defaultdict(float)
    own: defaultdict[str, float] = defaultdict(float)
    for pid, now in after.items():
        earlier = before[pid].processor_s if pid in before else 0.0
        processors[now.role] += 1e6 * (now.processor_s - earlier) / frames
        memory[now.role] += now.memory_mb
        own[now.role] += now.own_mb
    return Trial(
        frames_per_s=frames / seconds,
        window_s=seconds,
        stages=stages,
        processors=dict(processors),
        memory_mb=dict(memory),
        own_mb=dict(own),
        weight_age=closes.get("learner/policy_lag_mean"),
        metrics=closes,
        began=opens,
    )


def last_words(words: Sequence[str]) -> list[str]:
    """Of words with the same key the last."""
    return list({word.partition("=")[0]: word for word in words}.values())


@contextmanager
def _running(words: Sequence[str], runs: Path, goal: str = "frames") -> Iterator[psutil.Popen]:
    """`guerdon train`, stopped at the end of the block; its goal, of frames or updates, is out of reach."""
    runs.mkdir(parents=True, exist_ok=True)
    words = last_words(
        [f"{goal}=1000000000000", "minutes=null", "report_every_s=0.5", "tracking.enabled=false", *words]
    )
    recipe = [word for word in words if "=" not in word]
    settings = [word for word in words if "=" in word]
    command = [sys.executable, "-m", "pipelines.cli", "train", *recipe, *settings, f"runs={runs.resolve()}"]
    with (runs / "trial.log").open("wb") as log:
        process = psutil.Popen(command, cwd=CHECKOUT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


def _directory(process: psutil.Popen, runs: Path) -> RunDirectory:
    """Where the run is, as soon as it is there."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        _expect_alive(process, runs)
        found = sorted(path.parent for path in runs.glob("*/metrics.jsonl"))
        if found:
            return RunDirectory(found[-1])
        time.sleep(LOOK_S)
    raise UserError(f"the run did not begin within {START_TIMEOUT_S:.0f} s; its last words: {_said_last(runs)}")


def just_moved(at_s: float) -> Callable[[Line | None, Line], bool]:
    """Whether a line of metrics, from a moment on, has learnt from more than the one before."""
    return lambda before, line: (
        before is not None and line["elapsed_s"] >= at_s and line["learnt_frames"] > before["learnt_frames"]
    )


class _Lines:
    """The metrics of a run that is watched, as they come."""

    def __init__(self, process: psutil.Process, directory: RunDirectory) -> None:
        self._followed = Followed(directory.metrics)
        self._alive = partial(_expect_alive, process, directory.root.parent)

    def until(self, wanted: Callable[[Line | None, Line], bool], within_s: float) -> Line:
        """The next line that is wanted: within so long, and what a start takes."""
        return self._followed.until(wanted, START_TIMEOUT_S + within_s, LOOK_S, self._alive)


def _expect_alive(process: psutil.Process, runs: Path) -> None:
    if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
        raise UserError(f"the run ended before it could be measured: {_said_last(runs)}")


def _said_last(runs: Path) -> str:
    if not (runs / "trial.log").is_file():
        return f"see the logs below {runs}"
    lines = [line for line in (runs / "trial.log").read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _spent(process: psutil.Process, directory: RunDirectory) -> dict[int, Spent]:
    """What each process of a run has spent so far."""
    roles = {process.pid: "runner"}
    for event in directory.lines(directory.events):
        if event["what"] == "started" and event["cause"].startswith("process "):
            roles[int(event["cause"].split()[1])] = event["role"]
    found = {}
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            times, memory = one.cpu_times(), one.memory_info()
            role, shared = roles.get(one.pid, "ray"), getattr(memory, "shared", 0)  # macOS does not say
            found[one.pid] = Spent(role, times.user + times.system, memory.rss / MIB, (memory.rss - shared) / MIB)
    return found
