"""`guerdon train` for language experiments: checks everything, makes what is not there, then runs to the report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from envs.language.validation import InvalidTask, validate
from pipelines.display import LANGUAGE, open_display, preparation
from pipelines.displays import Opened
from pipelines.driver.conduct import conduct
from pipelines.driver.lifecycle import Restored
from pipelines.errors import UserError
from pipelines.judging.foreseen import expect_judge
from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.kept_models import judge_of, keep_judge, keep_model, model_of
from pipelines.language.models import engine_for, ensure_model, ensure_reward_model, start_level
from pipelines.language.rehearsal import rehearse
from pipelines.language.reward_parts import JUDGE
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.rewards import RewardSet
from pipelines.language.run import LanguageRun
from pipelines.language.tasks import task_of
from pipelines.language.tiny_judge import is_tiny, with_tiny_judge
from pipelines.mirror.opening import check_storage
from pipelines.observing.logs import log_level
from pipelines.run_directory import RunDirectory
from pipelines.trust.watching import check_gold


def check(experiment: LanguageExperiment) -> RewardSet:
    """What can be wrong before a model is loaded; gives the rewards.

    Raises:
        UserError: the task is not sound, or a reward asks for what nothing provides.
    """
    task = task_of(experiment)
    try:
        for split in ("train", "test"):
            if not len(task.load(split, experiment.seed)):
                raise UserError(
                    f"task {task.name} has no prompts in its {split} split; look at its data and test_share"
                )
        rewards = RewardSet(experiment, task)
        names = [part.name for part in rewards.parts]
        check_gold(experiment.monitors, names, bool(names))
        rewards.check([*task.load("train", experiment.seed)[0].columns])
    except UserError:
        raise
    except (ValueError, OSError) as error:
        raise UserError(f"task {task.name}: {error}") from None
    except Exception as error:  # whatever the task's own code raises
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"task {task.name} raised {what}. Mend it, or choose another") from error
    return rewards


def check_model(experiment: LanguageExperiment, model: str) -> None:
    """What can be wrong between task and model: no chat template, prompts that do not fit, an answer that leaks.

    Raises:
        UserError: names what is wrong, and the remedy.
    """
    task = task_of(experiment)
    engine, chats = engine_for(experiment, model)
    if engine.max_tokens <= experiment.sampling.max_tokens:
        raise UserError(
            f"model {model} takes {engine.max_tokens} tokens in all, and sampling.max_tokens is "
            f"{experiment.sampling.max_tokens}; expected room for a prompt: lower it, or take another model"
        )
    try:
        report = validate(
            task,
            _resolver(experiment),
            seed=experiment.seed,
            # As an engine reads them: a model whose template knows no system has it said by the user.
            count_tokens=lambda messages: len(chats.conversations.opening(messages)),
            context=engine.max_tokens - experiment.sampling.max_tokens,
        )
    except InvalidTask as error:
        raise UserError(str(error)) from None
    except TemplateError as error:
        raise UserError(
            f"task {task.name}: the chat template of model {model} refuses a prompt of it ({error}): change its "
            "messages, or take another model"
        ) from None
    if report.too_long:
        ident, tokens = next(iter(report.too_long.items()))
        raise UserError(
            f"task {task.name}: {len(report.too_long)} of its prompts leave no room for a reply, such as "
            f"{ident} with {tokens} "
            f"tokens; the model takes {engine.max_tokens}: raise tiny.context, lower sampling.max_tokens, or "
            f"take another model"
        )
    tokens = len(chats.tokenizer)
    if tokens > engine.vocabulary:
        raise UserError(
            f"model {model}: its tokenizer knows {tokens} tokens and its weights {engine.vocabulary}; expected "
            f"a tokenizer that "
            "belongs to the weights: look at the directory"
        )


def train(
    experiment: LanguageExperiment,
    runs: Path,
    resume: str | None = None,
    say: Callable[[str], None] = print,
    opened: Opened = open_display,
    name: str | None = None,
) -> RunDirectory:
    """Run a language experiment.

    Args:
        experiment: resolved.
        runs: where runs go.
        resume: a run to go on with, instead of a new one.
        say: told what happens before the display opens.
        opened: opens the display.
        name: of a new run; None: its experiment's and the time.

    Returns:
        The run, with its report.

    Raises:
        UserError: something that a person can mend.
        Unfinished: its node went away; it is saved.
    """
    check_storage(experiment.storage)
    logged = log_level()
    task = task_of(experiment)
    rehearse(experiment, task, check(experiment))
    resumed = None if resume is None else RunDirectory.existing(resume, runs)
    _expect_judge(experiment, resumed)
    kept = None if resumed is None else model_of(resumed, None)
    model = kept or ensure_model(experiment, task, preparation(say))
    check_model(experiment, model)
    preferences = experiment.preferences
    if preferences is not None and preferences.into == "reward_model" and experiment.rewards.judge is None:
        made = ensure_reward_model(experiment, task, model, preparation(say))
        experiment = following(experiment, made)
    experiment = with_tiny_judge(experiment, preparation(say))
    rewards = check(experiment)
    if resume is None:
        directory = RunDirectory.create(runs, experiment.name, name)
    else:
        directory = RunDirectory.existing(resume, runs)
        directory.lock()
        directory.check_space()
    if experiment.storage is not None:
        _kept_or_left(directory, model, experiment.rewards.judge)
    rewards.judge = judge_of(directory, experiment.rewards.judge)
    level = start_level(model)
    say(f"run {directory.root}, model {model}" + ("" if level is None else f", which begins at {level:.1%}"))
    title = f"{experiment.name}: {experiment.task}, {experiment.method}"
    display = opened(title, experiment.updates, experiment.minutes, LANGUAGE)
    run = LanguageRun(experiment, directory, display, rewards, model)
    return conduct(run, partial(_work, run), runs, resume is not None, logged, say)


def _work(run: LanguageRun, restored: Restored | None) -> None:
    """Everything that a run does, by the runner that its experiment names."""
    preferences = run.experiment.preferences
    if preferences is not None and preferences.into == "policy":
        from pipelines.language.preference_run import run_preferences

        run_preferences(run, restored)
    elif run.experiment.runner == "local":
        run.rewards.load()  # what cannot be built would be a fault of every answer
        from pipelines.language.local import run_local

        run_local(run, restored)
    else:
        from pipelines.language.distributed import run_distributed

        run_distributed(run, restored)


def _expect_judge(experiment: LanguageExperiment, resumed: RunDirectory | None) -> None:
    """See that it can be had; one that Guerdon makes is made later."""
    judge = experiment.rewards.judge
    if resumed is not None:
        judge = judge_of(resumed, judge)
    if judge is not None and not is_tiny(judge):
        here = experiment.runner == "local" or experiment.ray.address is None
        expect_judge(judge, "", None, here)


def _kept_or_left(directory: RunDirectory, model: str, judge: RewardModelJudge | RubricJudge | None) -> None:
    try:
        keep_model(directory, model)
        keep_judge(directory, judge)
    except UserError:
        directory.unlock()
        raise


def following(experiment: LanguageExperiment, reward_model: str) -> LanguageExperiment:
    """The experiment with a learned reward in the place of the task's own, which are recorded beside it."""
    task = task_of(experiment)
    rewards = RewardsConfig(
        **{
            **experiment.rewards.model_dump(exclude={"judge", "weights"}),
            "judge": RewardModelJudge(model=reward_model, device=experiment.learner_device),
            "weights": {**dict.fromkeys(task.rewards, 0.0), JUDGE: 1.0, **experiment.rewards.weights},
        }
    )
    return experiment.model_copy(update={"rewards": rewards})


def _resolver(experiment: LanguageExperiment) -> Callable[[str], Callable[[Mapping[str, Any]], float | None]]:
    """Finds rewards that a task names by dotted path."""
    task = task_of(experiment)
    rewards = RewardSet(experiment, task)
    names = {str(weighted.function): name for name, weighted in task.rewards.items()}

    def resolve(path: str) -> Callable[[Mapping[str, Any]], float | None]:
        def value(columns: Mapping[str, Any]) -> float | None:
            (answer,) = asyncio.run(rewards.answer(names[path], {name: [one] for name, one in columns.items()}))
            return answer.value

        return value

    return resolve
