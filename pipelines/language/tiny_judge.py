"""A small judge that Guerdon makes itself: the tiny model, taught to answer a rubric as the task's own reward would.

It reads what any judge reads, the rubric with prompt and answer in it, and learns from the task's pairs of answers
which word of the rubric is nearest to what the gold reward gives. So it knows this task, this rubric, and nothing else,
and it errs where it has seen little: a policy that follows it can lead it astray, which is what it is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from actors.engines.transformers_engine import TransformersEngine
from envs.language.task import Message, Prompt, Split, TextTask
from pipelines.errors import UserError
from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge, TransformersModel
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.models import judge_engine
from pipelines.language.preferences import pairs_of
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.rewards import RewardSet
from pipelines.language.tasks import task_of
from pipelines.language.tiny_model import Config, OnProgress, TooHard, ensure_tiny_model
from rewards.judges import rubric
from rewards.judges.chat_model import Chat, Reply
from rewards.judges.judge import question
from rewards.judges.kinds.scale import Categorical

BUILTIN = "builtin"
"""The model's name in a config, where this one is meant."""

TEACHING = Config(hidden=64, context=512, vocabulary=600, start=0.75, every=50, steps=3000, batch=32)


def is_tiny(judge: RubricJudge | RewardModelJudge) -> bool:
    """Whether the judge that is meant is this one."""
    return isinstance(judge, RubricJudge) and getattr(judge.model, "model", "") == BUILTIN


def with_tiny_judge(experiment: LanguageExperiment, on_progress: OnProgress | None = None) -> LanguageExperiment:
    """The experiment with a judge that is there: where its model is `builtin`, it is made now, or was before.

    Raises:
        UserError: it cannot be made for this rubric or this task.
    """
    judge = experiment.rewards.judge
    if not isinstance(judge, RubricJudge) or not is_tiny(judge):
        return experiment
    try:
        task = Grading(experiment, judge)
        made = ensure_tiny_model(task, task.identity, TEACHING, task.agreement, on_progress)
    except (TooHard, OSError, ValueError) as error:
        raise UserError(f"rewards.judge: no judge can be made: {error}") from None
    model = TransformersModel(model=str(made), device="cpu")
    rewards = experiment.rewards.model_copy(update={"judge": judge.model_copy(update={"model": model})})
    return experiment.model_copy(update={"rewards": rewards})


class Grading(TextTask):
    """A rubric's questions about answers to a task's prompts; the gold reply is the word nearest to the reward."""

    def __init__(self, experiment: LanguageExperiment, judge: RubricJudge) -> None:
        """Read the rubric.

        Raises:
            UserError: the task has no pairs of answers, or no reward of its own.
            ValueError: the rubric has no words with a worth.
        """
        self._judge, self._seed = judge, experiment.seed
        self._task = task_of(experiment)
        self._truth = RewardSet(experiment.model_copy(update={"rewards": RewardsConfig()}), self._task)
        if not self._truth.parts:
            raise UserError(f"task {self._task.name} has no reward of its own to make a judge by: name a model")
        self._recorder = _Recorder()
        found = rubric.load(judge.path)
        if not isinstance(found, Categorical):
            raise ValueError(f"{judge.path} is of kind {found.kind}; expected categorical, or another judge.model")
        self._rubric, self._asking = found, found.build(rubric.Parts(model=self._recorder))
        self.name = f"judge-{self._task.name}"
        self.identity = f"{experiment.task}|{experiment.options_text}|{rubric.content(judge.path)}"

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """Both answers of each pair, as questions; those that the gold reward says nothing of teach nothing.

        Raises:
            ValueError: it says nothing of any.
        """
        asked, columns = [], []
        for pair in pairs_of(self._task, split, seed):
            for reply in (pair.chosen, pair.rejected):
                text = "\n".join(message["content"] for message in pair.prompt.messages)
                asked.append(question("response", (reply,), prompt=text))
                columns.append({**pair.prompt.columns, "completion": reply})
        self._recorder.chats.clear()
        asyncio.run(self._asking.judge(asked))
        together = {name: [one[name] for one in columns] for name in columns[0]}
        answers = asyncio.run(self._truth.answer(self._truth.parts[0].name, together))
        worth = self._rubric.words
        lessons = [
            Prompt(f"{self.name}/{number}", tuple(chat), {"word": _nearest(worth, one.value)})
            for number, (chat, one) in enumerate(zip(self._recorder.chats, answers, strict=True))
            if one.value is not None
        ]
        if not lessons:
            cause = next((one.cause for one in answers if one.cause), "there are none")
            raise ValueError(
                f"reward {self._truth.parts[0].name} of {self._task.name} judges none of its pairs: {cause}"
            )
        return lessons

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """The word."""
        return (str(prompt.columns["word"]),)

    def agreement(self, directory: Path, model: Any) -> float:
        """How often a model's likeliest word is the right one, on answers that it was not taught."""
        engine: TransformersEngine = judge_engine(directory)
        engine.load_weights(dict(model.named_parameters()), 1)
        unseen, words = self.load("test", self._seed)[: TEACHING.measure_prompts], tuple(self._rubric.words)
        scores = engine.score_choices([one.messages for one in unseen], words)
        found = np.argmax(scores.log_probs, axis=1)
        return float(np.mean([words[i] == one.columns["word"] for i, one in zip(found, unseen, strict=True)]))


def _nearest(worth: Mapping[str, float], value: float) -> str:
    """The word whose worth is nearest to a value."""
    return min(worth, key=lambda word: abs(worth[word] - value))


class _Recorder:
    """A chat model that notes what it is asked."""

    fingerprint = "recorder"
    special_tokens: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.chats: list[Sequence[Message]] = []

    @asynccontextmanager
    async def session(self) -> AsyncIterator[_Recorder]:
        yield self

    async def choose(self, chat: Chat, choices: Sequence[str]) -> Reply:
        self.chats.append(chat)
        return Reply(probabilities=(1.0 / len(choices),) * len(choices))

    async def write(self, chat: Chat, max_tokens: int, schema: Any = None) -> Reply:
        raise NotImplementedError
