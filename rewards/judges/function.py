"""`FunctionJudge` and `RewardModelJudge`: what needs no language model, behind the protocol of those that do.

| question | arguments of the function |
|---|---|
| caption | `caption` |
| pair | `first`, `second` |
| response | `completion` |
| trajectory | `steps` |
| group | `members` |

The texts of a question's context are arguments too, by their names (`prompt`, `answer`, …).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from envs.captions import caption_id
from rewards.functions import RewardFunction, answer_of
from rewards.judges.judge import Answer, Question, QuestionKind, alike, unanswerable
from rewards.models.model import RewardModel
from rewards.verdicts import Status

ARGUMENTS: dict[QuestionKind, tuple[str, ...]] = {
    "caption": ("caption",),
    "pair": ("first", "second"),
    "response": ("completion",),
    "trajectory": ("steps",),
    "group": ("members",),
}


class FunctionJudge:
    """A `Judge` that asks a reward function. Being async or batched, it is called as it was declared."""

    def __init__(self, function: RewardFunction) -> None:
        """Judge by a function.

        Raises:
            ValueError: nobody asks questions about its subject.
        """
        if function.subject not in ARGUMENTS:
            raise ValueError(
                f"reward {function.name} judges {function.subject}s; a judge is asked about "
                f"a {', a '.join(ARGUMENTS)}: run it over stored experience with `guerdon reannotate`"
            )
        self.function = function

    @property
    def fingerprint(self) -> str:
        """The function's reward version."""
        return f"function-{self.function.version}"

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order."""
        if not questions:
            return []
        kind = self.function.subject
        if wrong := sorted({question.kind for question in questions} - {kind}):
            cause = f"reward {self.function.name} judges a {kind}; got a question on a {', '.join(wrong)}"
            return [Answer(Status.JUDGE_FAULT, cause=cause)] * len(questions)
        answers: dict[int, Answer] = {}
        for places in alike(questions):
            columns = columns_of([questions[place] for place in places])
            answers.update(zip(places, await self.function.answer(columns), strict=True))
        return [answers[place] for place in range(len(questions))]

    async def check(self) -> None:
        """Always reachable."""


class RewardModelJudge:
    """A `Judge` of captions that asks a trained reward model. What it cannot tell is NULL, unparseable."""

    def __init__(self, model: RewardModel) -> None:
        """Judge by a model as it is now."""
        self._model = model
        # The weights alone are the same under another threshold, or another length of n-grams.
        config = getattr(model, "config", None)
        text = config.model_dump_json() if isinstance(config, BaseModel) else ""
        self._fingerprint = "model-" + hashlib.sha256(model.snapshot() + text.encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of the model's weights and settings."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order."""
        texts = [question.texts[0] for question in questions]
        ids = [caption_id(text) for text in texts]
        self._model.observe(dict(zip(ids, texts, strict=True)))
        values, valid = self._model.score(np.array(ids, np.int64))
        unknown = Answer(Status.UNPARSEABLE, cause="the reward model cannot tell")
        told = [answer_of(float(v)) if known else unknown for v, known in zip(values, valid, strict=True)]
        return [
            answer if question.kind == "caption" else unanswerable(question, ["caption"])
            for question, answer in zip(questions, told, strict=True)
        ]

    async def check(self) -> None:
        """Always reachable."""


def columns_of(questions: Sequence[Question]) -> dict[str, list[Any]]:
    """What questions of one kind say, as the columns of a reward function: texts, and the context that all have."""
    kind = questions[0].kind
    found: dict[str, list[Any]] = {}
    if kind in ("trajectory", "group"):
        found[ARGUMENTS[kind][0]] = [list(question.texts) for question in questions]
    else:
        found = {name: [question.texts[i] for question in questions] for i, name in enumerate(ARGUMENTS[kind])}
    shared = set.intersection(*({name for name, _ in question.context} for question in questions))
    for name in sorted(shared - set(found)):
        found[name] = [question.fields[name] for question in questions]
    return found
