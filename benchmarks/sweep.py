"""Many runs, one process with one thread each, a few at a time; finished ones are kept. Local, but those on RLlib.

```
WORK/TASK/METHOD/seed-N.json   what is kept of a finished run: its curve and final scores
WORK/TASK/METHOD/seed-N.log    what it printed
WORK/TASK/METHOD/seed-N/       its run directory, with the experiment in config.yaml, without checkpoints
```
A sweep can be stopped and started again: what was finished of the same experiment is not repeated.

    python -m benchmarks.sweep FOLDER EXPERIMENT     one run, by itself; EXPERIMENT is JSON
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.apparatus.training import CHECKOUT, ONE_THREAD, STOPPING_S, last_line, sigterm_interrupts
from envs.trajectory import Fragment
from pipelines.display import Display, LineDisplay
from pipelines.driver.lifecycle import write_config
from pipelines.environment.roles import task_of
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.judging.judges import prepare_judge
from pipelines.local import run_local
from pipelines.overrides import apply
from pipelines.recipes.table import find_recipe
from pipelines.results import commit_at_start
from pipelines.run_directory import RunDirectory, stored_experiment

POINTS = 50
LAST_EPISODES = 100
FINAL_SHARE = 0.1
ALWAYS = {"minutes": None, "record_mb": 0, "checkpoint.every_s": 1e9, "checkpoint.keep": 1}
"""Settings of every run: nothing ends it but its frames, and nothing is written that the sweep does not read."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: a method on a task with a seed.

    Attributes:
        recipe: in pipelines/recipes/.
        settings: overrides of the recipe, by dotted path.
    """

    task: str
    method: str
    seed: int
    recipe: str
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.task} {self.method} seed {self.seed}"

    def experiment(self) -> Experiment:
        """All that the run depends on; two trials with equal ones are the same run.

        Raises:
            UserError: recipe or settings do not fit.
        """
        base = find_recipe(self.recipe)
        runner = {"runner": "local" if base.rllib is None else "distributed"}
        return apply(base, {**ALWAYS, **runner, **self.settings})

    def folder(self, work: Path) -> Path:
        """Its run directory."""
        return work / self.task / self.method / f"seed-{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """What became of one run.

    Attributes:
        curve: environment frames, success rate and return over the last 100 episodes; None before there are 100.
        final_success: over the episodes that ended in the last tenth of the frames.
        final_return: likewise.
        commit: of the checkout when it began.
        judge: fingerprint of the judge that answered.
    """

    curve: Sequence[tuple[int, float | None, float | None]]
    final_success: float
    final_return: float
    episodes: int
    frames: int
    wall_s: float
    questions: int
    verdicts: int
    ledger_balanced: bool
    commit: str = "unknown"
    judge: str | None = None


@dataclass(frozen=True)
class Episode:
    """A finished episode, by the frames gathered when it was reported."""

    frames: int
    success: float
    env_return: float


class EpisodeRun(Run):
    """The books of a run, which also remember every episode."""

    def __init__(self, experiment: Experiment, directory: RunDirectory, display: Display, fingerprint: str) -> None:
        """Empty books."""
        super().__init__(experiment, directory, display, fingerprint)
        self.ended: list[Episode] = []

    def gathered(self, fragment: Fragment) -> None:
        """A fragment was stored: also note the episodes that ended in it."""
        super().gathered(fragment)
        self.ended += [Episode(self.status.frames, float(e.success or 0), e.env_return) for e in fragment.episodes]


def learning_curve(episodes: Sequence[Episode], frames: int) -> list[tuple[int, float | None, float | None]]:
    """Success rate and return of the last 100 episodes, at equal distances of frames.

    Nothing is said before there are as many: the first to end are the short ones.
    """
    curve: list[tuple[int, float | None, float | None]] = []
    recent: deque[Episode] = deque(maxlen=LAST_EPISODES)
    waiting = deque(episodes)
    for point in range(1, POINTS + 1):
        mark = round(point * frames / POINTS)
        while waiting and waiting[0].frames <= mark:
            recent.append(waiting.popleft())
        curve.append((mark, *_means(recent if len(recent) == LAST_EPISODES else ())))
    return curve


def _means(episodes: Sequence[Episode] | deque[Episode]) -> tuple[float, float] | tuple[None, None]:
    if not episodes:
        return None, None
    n = len(episodes)
    return sum(e.success for e in episodes) / n, sum(e.env_return for e in episodes) / n


def final_scores(episodes: Sequence[Episode], frames: int) -> tuple[float, float]:
    """Success rate and mean return of the episodes that ended in the last tenth of the frames.

    Raises:
        ValueError: none ended there.
    """
    success, env_return = _means([e for e in episodes if e.frames > (1 - FINAL_SHARE) * frames])
    if success is None or env_return is None:
        raise ValueError(f"got no episode in the last {FINAL_SHARE:.0%} of {frames} frames; raise frames")
    return success, env_return


def run_here(folder: Path, experiment: Experiment) -> Outcome:
    """One run in this process."""
    folder.with_suffix(".json").unlink(missing_ok=True)  # of other settings
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was cut short
    folder.mkdir(parents=True)
    directory = RunDirectory(folder)
    write_config(experiment, directory)
    fingerprint = ""
    if experiment.reward.judged:
        fingerprint = f"{experiment.judge.model_dump_json()}|{experiment.judge.goal or task_of(experiment).goal}"
    run = EpisodeRun(experiment, directory, LineDisplay(experiment.frames, every_s=30.0), fingerprint)
    if experiment.rllib is None:
        run_local(run, None)
    else:
        from pipelines.rllib.engine import run_rllib  # seconds of imports

        run_rllib(run, None)
    run.report(force=True)
    run.close()
    shutil.rmtree(directory.checkpoints, ignore_errors=True)
    success, env_return = final_scores(run.ended, experiment.frames)
    books, accounts = run.verdicts.annotation.ledger(), run.accounts()
    return Outcome(
        curve=learning_curve(run.ended, experiment.frames),
        final_success=success,
        final_return=env_return,
        episodes=len(run.ended),
        frames=run.status.frames,
        wall_s=round(run.clock.seconds, 1),
        questions=books.asked,
        verdicts=books.ok,
        ledger_balanced=bool(accounts["balanced"]),
        commit=commit_at_start(),
        judge=run.verdicts.counted[0].judge_fingerprint if run.verdicts.counted else None,
    )


def finished(trial: Trial, work: Path) -> Outcome | None:
    """What is kept of a run; None if this experiment was not finished.

    Settings that came into being since count as what they are by default.
    """
    folder = trial.folder(work)
    try:
        outcome = json.loads(folder.with_suffix(".json").read_text())["outcome"]
        if stored_experiment(RunDirectory(folder)) != trial.experiment():
            return None
    except (OSError, ValueError, UserError):
        return None
    return Outcome(**{one.name: outcome[one.name] for one in fields(Outcome) if one.name in outcome})


def run_all(trials: Sequence[Trial], work: Path, workers: int, say: Callable[[str], None] = print) -> int:
    """Run what is not finished, in order, at most `workers` at a time.

    Returns:
        How many runs failed; their logs say why, and starting again repeats them.

    Raises:
        UserError: another sweep writes to `work`, or a setting does not fit.
    """
    experiments = [trial.experiment() for trial in trials]
    for judge in {experiment.judge for experiment in experiments if experiment.reward.judged}:
        say(f"preparing the {judge.kind} judge")
        prepare_judge(judge)  # once, not in each run
    work = work.resolve()  # runs start in the checkout
    work.mkdir(parents=True, exist_ok=True)
    lock = RunDirectory(work)
    lock.lock()
    waiting = deque(trial for trial in trials if finished(trial, work) is None)
    say(f"{len(trials)} runs, {len(trials) - len(waiting)} finished before, below {work}")
    running: list[tuple[Trial, subprocess.Popen[bytes]]] = []
    failed, done = 0, len(trials) - len(waiting)
    try:
        with sigterm_interrupts():
            while waiting or running:
                while waiting and len(running) < workers:
                    trial = waiting.popleft()
                    running.append((trial, _start(trial, work)))
                time.sleep(0.2)
                ended = [pair for pair in running if pair[1].poll() is not None]
                running = [pair for pair in running if pair not in ended]
                for trial, process in ended:
                    outcome = finished(trial, work)
                    if process.returncode or outcome is None:
                        failed += 1
                        reason = last_line(trial.folder(work).with_suffix(".log"))
                        say(f"{trial}: failed with code {process.returncode}: {reason}")
                    else:
                        done += 1
                        success, wall_s = outcome.final_success, outcome.wall_s
                        say(f"[{done}/{len(trials)}] {trial}: success {success:.2f}, {wall_s:.0f} s")
    finally:
        for _, process in running:
            process.terminate()  # takes its Ray down, where it has one
        for _, process in running:
            try:
                process.wait(STOPPING_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        lock.unlock()
    return failed


def _start(trial: Trial, work: Path) -> subprocess.Popen[bytes]:
    folder = trial.folder(work)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Resolved here, so that a recipe that is edited while the sweep goes on does not change the runs to come.
    command = [sys.executable, "-m", "benchmarks.sweep", str(folder), trial.experiment().model_dump_json()]
    with folder.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=CHECKOUT, env={**os.environ, **ONE_THREAD}, stdout=log, stderr=subprocess.STDOUT
        )


def main(folder: str, experiment: str) -> None:
    with sigterm_interrupts():
        outcome = run_here(Path(folder), Experiment.model_validate_json(experiment))
    RunDirectory(Path(folder)).write_json(Path(folder).with_suffix(".json"), {"outcome": vars(outcome)})


if __name__ == "__main__":
    main(*sys.argv[1:])
