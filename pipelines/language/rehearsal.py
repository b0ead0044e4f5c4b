"""A rehearsal of rewards: those that answer for many at once are asked about gold replies before anything is trained.

One that gives another number of values than it was asked for would be a fault of every answer. One that hangs or raises
here may do so for these replies alone: that is told by its verdicts.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from envs.language.task import TextTask, episode_columns
from pipelines.errors import UserError
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.rewards import RewardSet
from pipelines.language.tiny_model import demonstration
from rewards.judges.judge import Answer

PROMPTS = 3


def rehearse(experiment: LanguageExperiment, task: TextTask, rewards: RewardSet) -> None:
    """Ask the experiment's own batched rewards.

    Raises:
        UserError: one gives more or fewer values than it was asked for.
    """
    asked = [part for part in rewards.parts if part.name in experiment.rewards.functions]
    for part in asked:
        if part.function is None or not part.function.batched:
            continue
        columns = _columns(task, experiment.seed)
        for answer in _within(rewards, part.name, columns, experiment.rewards.deadline_s):
            if answer.value is None and "expected one each" in answer.cause:
                raise UserError(
                    f"rewards.functions.{part.name}: {answer.cause}: it is batched, so it is given lists and has to "
                    "give a list as long; give None where it has nothing to say"
                )


def _columns(task: TextTask, seed: int) -> dict[str, list[Any]]:
    """What rewards may ask for, of some episodes with gold replies; none where nobody knows any."""
    prompts = task.load("train", seed)
    found: list[Mapping[str, Any]] = []
    for index in range(min(PROMPTS, len(prompts))):
        prompt = prompts[index]
        try:
            messages = demonstration(task, prompt)
        except ValueError:  # a task without gold replies: any reply will do
            messages = [*prompt.messages, {"role": "assistant", "content": "a reply"}]
        replies = sum(message["role"] == "assistant" for message in messages)
        found.append(episode_columns(prompt.columns, messages, [None] * replies, "stop"))
    return {name: [one.get(name) for one in found] for name in found[0]}


def _within(rewards: RewardSet, name: str, columns: dict[str, list[Any]], deadline_s: float) -> list[Answer]:
    """What a reward says in time; nothing where it says nothing."""
    answers: list[Answer] = []

    def ask() -> None:
        try:
            answers.extend(asyncio.run(rewards.answer(name, columns)))
        except Exception:  # raised or late: told when it is so for the policy's answers
            return

    asking = threading.Thread(target=ask, daemon=True, name=f"rehearsal of {name}")
    asking.start()
    asking.join(deadline_s + 1.0)
    return answers
