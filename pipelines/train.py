"""`guerdon train`: checks everything, then runs an experiment to its report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.contract import ContractViolation, check_environment
from pipelines.display import EXPERIENCE, open_display, preparation
from pipelines.displays import Opened
from pipelines.driver.conduct import conduct
from pipelines.driver.lifecycle import Restored
from pipelines.environment.roles import task_of
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.judging.foreseen import expect_judge
from pipelines.judging.judges import judge_identity, prepare_judge
from pipelines.judging.quarantine import canary_watch
from pipelines.local import run_local
from pipelines.mirror.opening import check_storage
from pipelines.observed import Observed
from pipelines.observing.logs import log_level
from pipelines.overrides import apply
from pipelines.reward_stage import novelty_for, reward_model_for
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.stored.offline import OfflineRun, check_offline, run_offline
from pipelines.trust.watching import OF_EPISODES, check_gold

if TYPE_CHECKING:
    from envs.environment import Task


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
                    prepare_judge(config, preparation(say))
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
    return conduct(run, partial(_work, run), runs, resume is not None, logged, say)


def _work(run: Run, restored: Restored | None) -> None:
    """Everything that a run does, by the runner that its experiment names."""
    if isinstance(run, OfflineRun):
        run_offline(run, None if restored is None else restored.roles)
    elif run.experiment.rllib is not None:
        from pipelines.rllib.engine import run_rllib

        run_rllib(run, restored)
    elif run.experiment.runner == "local":
        run_local(run, restored)
    else:
        from pipelines.distributed import run_distributed

        run_distributed(run, restored)


def resolve(recipe: Experiment, values: dict[str, object], runs: Path, resume: str | None) -> Experiment:
    """The experiment to run: the recipe's, or that of the run to be resumed, with overrides."""
    base = recipe if resume is None else stored_experiment(RunDirectory.existing(resume, runs))
    if base.offline is None and (wrong := [key for key in values if key.split(".")[0] == "offline"]):
        raise UserError(f"{wrong[0]} is for learning from a stored run: name one with from=RUN")
    return apply(base, values)
