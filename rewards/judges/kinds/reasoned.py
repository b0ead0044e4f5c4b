"""`reasoned`: work first, then compare: what has to be worked out depends on the kind of task.

Turn 1: the model says of which kind the task is, and writes what that kind asks for: a rubric of its own, a solution of
its own, principles. Turn 2: it compares the pair by what it has written. A judge that compares at once takes the answer
that looks better; one that has solved the task itself knows which is right.

With one kind of work there is nothing to be told apart, and the model only writes. What such judges are trained by is
`rewards.sources.judge_training.verdict_reward`.

Sources: RM-R1, "Reward Modeling as Reasoning" (Chen et al. 2025): rubrics for chat, a solution for reasoning; there
both turns are one reply, and there is no tie. WebArbiter, "A Principle-Guided Reasoning Process Reward Model for Web
Agents" (Zhang et al. 2026): principles from task and page, applied to two actions (better-action-reasoned.yaml).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from rewards.judges.deliberation import Desk, one_of
from rewards.judges.judge import Answer, Judge, Question, QuestionKind
from rewards.judges.kinds.pairwise import Preference, in_both_orders, prefer
from rewards.judges.rubric import Parts, Rubric

WORKS: dict[str, str] = {
    "chat": "what a good response must do: a few criteria with weights that sum to 100 and a reason for each, and then "
    "how far each response meets each of them",
    "reasoning": "the solution of the task, step by step and without regard to the responses, and its result",
}
FORM_TOKENS = 40


class Reasoned(Rubric):
    """What is written first, by the kind of task."""

    kind: Literal["reasoned"]
    works: dict[str, str] = Field(default_factory=lambda: dict(WORKS), min_length=1)
    """By kind of task, what the model writes before it compares."""
    work_chars: int = Field(1200, ge=1)
    soft: bool = True
    on_disagreement: Literal["tie", "mean"] = "tie"

    answers: ClassVar[tuple[QuestionKind, ...]] = ("pair",)

    @field_validator("works")
    @classmethod
    def _named(cls, works: dict[str, str]) -> dict[str, str]:
        if not all(name.strip() and work.strip() for name, work in works.items()):
            raise ValueError(f"got {works}; expected a name of each kind of task, and what is written for it")
        return works

    def build(self, parts: Parts) -> Judge:
        """Two written replies and two forward passes a pair."""
        listed = [f"- {name}: {work}" for name, work in self.works.items()]
        guide = "\n".join([self.guide(), "Before you compare, you write, by the kind of task:", *listed])
        return self.deliberation(parts, self._decide, guide)

    def form(self) -> type[BaseModel]:
        """The form of the first turn."""
        task: Any = one_of(list(self.works))
        fields: dict[str, Any] = {"task": (task, ...), "work": (str, Field(min_length=1, max_length=self.work_chars))}
        return create_model("Work", __config__=ConfigDict(extra="forbid"), **fields)

    async def _decide(self, question: Question, desk: Desk) -> Answer:
        works: list[dict[str, Any]] = []
        first = 'Of which kind is the task, and what is to be written for it? Reply with JSON: {"task": …, "work": …}.'

        async def ask(pair: Question) -> Preference:
            found = (await desk.fill(desk.chat(pair, first), self.form(), self._room())).model_dump()
            works.append({"shown_first": pair.texts is question.texts, **found})
            second = [
                f"You took it for a task of the kind {found['task']} and wrote:",
                desk.shown(found["work"]),
                "Which response is better by this? Answer A, B or tie, and nothing else.",
            ]
            return await prefer(desk, pair, "\n".join(second))

        answer = await in_both_orders(question, ask, self.soft, self.on_disagreement)
        works.sort(key=lambda work: not work["shown_first"])
        return Answer(answer.status, answer.value, details={**answer.details, "works": works})

    def _room(self) -> int:
        """Tokens enough for the longest form, where each character is a token."""
        return FORM_TOKENS + max(map(len, self.works)) + self.work_chars
