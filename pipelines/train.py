"""`guerdon train`: checks everything, then runs an experiment to its report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cluster.logs import open_log
from envs.contract import ContractViolation, check_environment
from pipelines.display import EXPERIENCE, Display, open_display
from pipelines.displays import Opened
from pipelines.driver.lifecycle import graceful_stop, raise_for_people, restored_or_left, tell_stop, write_config
from pipelines.environment.roles import task_of
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.judging.foreseen import expect_judge
from pipelines.judging.judges import judge_identity, prepare_judge
from pipelines.judging.quarantine import canary_watch
from pipelines.local import run_local
from pipelines.mirror.opening import check_storage, mirror_or_left
from pipelines.observed import Observed
from pipelines.observing.logs import log_level, log_to
from pipelines.overrides import apply
from pipelines.reward_stage import novelty_for, reward_model_for
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.stored.offline import OfflineRun, check_offline, run_offline
from pipelines.tracking import start_tracker
from pipelines.trust.watching import OF_EPISODES, check_gold

if TYPE_CHECKING:
    from envs.environment import Task
    from pipelines.language.run import LanguageRun


def named_task(experiment: Experiment) -> Task:
    """The task that an experiment names; nothing of it is made yet.

    Raises:
        UserError: there is none of this name.
    """
    try:
        return task_of(experiment)
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"task {experiment.task}: {error}") from None


def check(experiment: Experiment) -> str:
    """Everything that can be wrong before any work starts; gives the task's goal.

    Raises:
        UserError: the environment is unknown or breaks its contract, or the judge cannot be reached.
    """
    task = named_task(experiment)
    try:
        check_environment(task)
    except (ValueError, TypeError, ImportError, ContractViolation) as error:
        raise UserError(f"task {experiment.task}: {error}") from None
    except Exception as error:  # whatever the environment's own code raises
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"task {experiment.task}: the environment raised {what}. Mend it, or choose another") from error
    if experiment.offline is not None:
        check_offline(experiment, task)
    canary_watch(experiment)
    if experiment.reward.observed:
        environment = task.make()
        spec = environment.spec
        environment.close()
        try:
            Observed(experiment.reward.observed).check(spec)
        except ValueError as error:
            raise UserError(f"reward.observed: {error}") from None
    if (novelty := novelty_for(experiment.reward)) is not None:
        environment = task.make()
        arrays = environment.spec.observation.items()
        environment.close()
        try:
            novelty.score({key: np.zeros((1, *array.shape), array.dtype) for key, array in arrays})
        except ValueError as error:
            raise UserError(f"reward.{experiment.reward.source}: {error}") from None
    model = reward_model_for(experiment.reward)
    if experiment.judged and model is not None:
        here = experiment.runner == "local" or experiment.ray.address is None
        for config in (experiment.judge, experiment.fallback_judge):
            if config is not None:
                expect_judge(config, task.goal, model.question_kind, here)
    return experiment.judge.goal or task.goal


def train(
    experiment: Experiment,
    runs: Path,
    resume: str | None,
    say: Callable[[str], None] = print,
    opened: Opened = open_display,
    name: str | None = None,
) -> RunDirectory:
    """Run an experiment to its end, or go on with one.

    Args:
        experiment: what to run; with `resume`, the stored experiment with overrides.
        runs: directory of runs.
        resume: name or path of a run to go on with.
        say: prints what happens before the display is up.
        opened: opens the display.
        name: of a new run; None: its experiment's and the time.

    Raises:
        UserError: something that a person can mend.
        Unfinished: its node went away; it is saved.
    """
    check_storage(experiment.storage)
    logged = log_level()
    goal = check(experiment)
    check_gold(experiment.monitors, OF_EPISODES, experiment.judged)
    if resume is None:
        directory = RunDirectory.create(runs, experiment.name, name)
    else:
        directory = RunDirectory.existing(resume, runs)
    if resume is not None:
        directory.lock()
        directory.check_space()
    judged = experiment.judged
    if judged:
        try:
            for config in (experiment.judge, experiment.fallback_judge):
                if config is not None:
                    prepare_judge(config, _progress(say))
        except BaseException:  # Ctrl-C as well: a model may be made for a minute
            directory.leave()
            raise
    say(f"run {directory.root}" + (f", goal: {goal}" if judged else ""))
    title = f"{experiment.name}: {experiment.task}, {experiment.reward.source}"
    display = opened(title, experiment.frames, experiment.minutes, EXPERIENCE)
    judge = judge_identity(experiment.judge, goal) if judged else ""
    if experiment.offline is None:
        run = Run(experiment, directory, display, judge)
    else:
        run = OfflineRun(experiment, directory, display, experiment.offline.reward_version or "")
    restored = None if resume is None else restored_or_left(run)
    if restored is not None and run.done:
        say("it had come to its end; frames= or minutes= above what it has let it go on")
    status = "FAILED"
    run.mirrored_by(mirror_or_left(experiment.storage, run))
    log_to(directory, logged)
    try:
        write_config(experiment, directory)
        if resume is not None:
            run.note("resumed", f"at {run.status.learnt_frames} frames")
        mlflow_run = None if restored is None else restored.mlflow_run
        run.tracker = start_tracker(
            experiment.tracking,
            runs,
            directory.root.name,
            _flat(experiment.model_dump(mode="json")),
            mlflow_run,
            partial(directory.reports, "learnt_frames"),
        )
        with graceful_stop(run):
            if isinstance(run, OfflineRun):
                run_offline(run, None if restored is None else restored.roles)
            elif experiment.rllib is not None:
                from pipelines.rllib.engine import run_rllib

                run_rllib(run, restored)
            elif experiment.runner == "local":
                run_local(run, restored)
            else:
                from pipelines.distributed import run_distributed

                run_distributed(run, restored)
        status = "KILLED" if run.stopping else "FINISHED"
        if run.stopping:
            run.note("stopped", run.stopping)
    except Exception as error:
        raise_for_people(error, directory)
        raise
    finally:
        _finish(run, display, status, say)
        open_log(None, "driver")
        directory.unlock()
    tell_stop(run, f"{run.status.learnt_frames:,} frames", directory, say)
    return directory


def _finish(run: Run | LanguageRun, display: Display, status: str, say: Callable[[str], None]) -> None:
    """Write the ledger and the report, and send the mirror its last, whatever happened and whatever of it fails.

    Raises:
        UserError: of a run that went well, something could not be written. Where it failed, that is what is told.
        Exception: of a run that went well, one of these steps has a fault of ours.
    """
    from pipelines.reports.page import write_report

    def artifacts() -> None:
        for path in (run.directory.report, run.directory.ledger, run.directory.config):
            run.tracker.artifact(path)
        run.tracker.finish(status)

    problems: list[str] = []
    faults: list[Exception] = []
    report = partial(write_report, [run.directory], run.directory.report)

    def mirror() -> None:
        if (problem := run.mirror.close(say=say)) is not None:
            raise UserError(f"{problem}; what is here is whole: go on with resume={run.directory.root} to send it")

    for step in (partial(run.report, force=True), run.close, display.close, report, artifacts, mirror):
        try:
            step()
        except (OSError, UserError) as error:
            problems.append(str(error))
        except Exception as error:  # a report that cannot be drawn must not cost the copy of the run
            faults.append(error)
    if status == "FAILED":
        return
    if faults:
        raise faults[0]
    if problems:
        raise UserError("; ".join(problems))


def _progress(say: Callable[[str], None]) -> Callable[[float, str], None]:
    """Progress of building the judge: a line that is overwritten on a terminal, a few lines elsewhere."""
    shown = [-1.0]

    def show(fraction: float, text: str) -> None:
        if sys.stdout.isatty() and say is print:
            print(f"\r{100 * fraction:3.0f} % {text:<60}", end="\n" if fraction >= 1 else "", flush=True)
        elif fraction - shown[0] >= 0.25 or fraction >= 1:
            shown[0] = fraction
            say(f"{100 * fraction:3.0f} % {text}")

    return show


def _flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Nested settings as dotted keys."""
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def resolve(recipe: Experiment, values: dict[str, object], runs: Path, resume: str | None) -> Experiment:
    """The experiment to run: the recipe's, or that of the run to be resumed, with overrides."""
    base = recipe if resume is None else stored_experiment(RunDirectory.existing(resume, runs))
    if base.offline is None and (wrong := [key for key in values if key.split(".")[0] == "offline"]):
        raise UserError(f"{wrong[0]} is for learning from a stored run: name one with from=RUN")
    return apply(base, values)
