"""The judge that Guerdon makes itself: what it is taught, before it is taught."""

from __future__ import annotations

from collections import Counter

import pytest

from envs.language.tasks.praise import gold_praise
from pipelines.errors import UserError
from pipelines.language.tiny_judge import BUILTIN, Grading, with_tiny_judge
from pipelines.recipes.language import rlvr, rubric_grpo


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


def test_a_judge_that_is_named_is_left_alone_and_one_that_cannot_be_made_is_refused():
    assert with_tiny_judge(rlvr()) == rlvr()
    experiment = rubric_grpo()
    assert experiment.rewards.judge.model.model == BUILTIN
    with pytest.raises(UserError, match="has no pairs"):
        with_tiny_judge(experiment.model_copy(update={"task": "arithmetic", "task_options": {}}))
