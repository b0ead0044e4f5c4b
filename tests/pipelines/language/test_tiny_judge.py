"""The judge that Guerdon makes itself: what it is taught, before it is taught."""

from __future__ import annotations

from collections import Counter

import pytest

from envs.language.tasks.praise import gold_praise
from pipelines.errors import UserError
from pipelines.language.tiny_judge import BUILTIN, Grading, with_tiny_judge
from pipelines.recipes.language import rlvr, rubric_grpo
from rewards.judges.judge import Answer
from rewards.verdicts import Status


def test_it_is_taught_the_word_whose_worth_is_nearest_to_the_gold_reward():
    experiment = rubric_grpo().model_copy(update={"task_options": {"pairs": 50}})
    task = Grading(experiment, experiment.rewards.judge)
    prompts = task.load("train", 0)
    assert len(prompts) == 100 and set(Counter(task.gold(one)[0] for one in prompts)) == {"fully", "barely", "nowhere"}
    for one in prompts:
        asked = one.messages[-1]["content"]
        said, thing = asked.split("Response:\n")[1].split("\n")[1], asked.split("praise the ")[1].split()[0]
        value = gold_praise(said, thing)
        assert task.gold(one) == ("fully" if value > 0.65 else "barely" if value > 0.15 else "nowhere",)


def test_what_the_gold_reward_cannot_say_is_no_lesson_that_an_answer_is_bad(monkeypatch):
    experiment = rubric_grpo().model_copy(update={"task_options": {"pairs": 50}})
    task = Grading(experiment, experiment.rewards.judge)
    expected, truth = task.load("train", 0), task._truth.answer
    broken = Answer(Status.JUDGE_FAULT, cause="it raised")

    async def now_and_then(name, columns):
        return [broken if place % 3 else one for place, one in enumerate(await truth(name, columns))]

    monkeypatch.setattr(task._truth, "answer", now_and_then)
    assert task.load("train", 0) == expected[::3]

    async def never(name, columns):
        return [broken] * len(columns["completion"])

    monkeypatch.setattr(task._truth, "answer", never)
    with pytest.raises(ValueError, match="reward gold of praise judges none of its pairs: it raised"):
        task.load("train", 0)


def test_a_judge_that_is_named_is_left_alone_and_one_that_cannot_be_made_is_refused():
    assert with_tiny_judge(rlvr()) == rlvr()
    experiment = rubric_grpo()
    assert experiment.rewards.judge.model.model == BUILTIN
    with pytest.raises(UserError, match="has no pairs"):
        with_tiny_judge(experiment.model_copy(update={"task": "arithmetic", "task_options": {}}))
