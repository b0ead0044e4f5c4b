"""`mixture`: one judge says how good something is, others say whether it is allowed at all.

    value = R(x, y) if every constraint holds, else 0 R     = the quality judge's value, or σ((r(x, y) - r(x, y_ref))
    / scale) where a baseline answer is given as context

A constraint without a value neither holds nor fails: there is no verdict, unless another one has certainly failed.
Source: "CGPO: The Perfect Blend, Redefining RLHF with Mixture of Judges" (calibrated and constrained rewards).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from rewards.judges.deliberation import together
from rewards.judges.judge import Answer, Judge, Question, QuestionKind, question
from rewards.judges.rubric import Member, Parts, Rubric
from rewards.verdicts import Status


class Constraint(Member):
    """A judge that must be content."""

    at_least: float = Field(0.5, ge=0, le=1)
    """The constraint holds where its value is not below this."""


class Mixture(Rubric):
    """A quality judge and constraints."""

    kind: Literal["mixture"]
    quality: Member
    constraints: tuple[Constraint, ...] = ()
    baseline: str | None = None
    """Name of the context that holds a baseline answer; None: the quality judge's value is taken as it is."""
    scale: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Of the difference to the baseline, before the logistic function."""

    answers: ClassVar[tuple[QuestionKind, ...]] = ("response", "trajectory", "caption")

    def build(self, parts: Parts) -> Judge:
        """The quality judge is asked once or twice, each constraint once."""
        constraints = [(member.build(parts), member.at_least) for member in self.constraints]
        names = [member.rubric or str(member.judge) for member in self.constraints]
        return MixtureJudge(self, self.quality.build(parts), names, constraints)


class MixtureJudge:
    """A `Judge` that lets others veto."""

    def __init__(
        self, rubric: Mixture, quality: Judge, names: Sequence[str], constraints: Sequence[tuple[Judge, float]]
    ) -> None:
        """Ask `quality`, and `constraints` (judge and least value) by `names`."""
        self._rubric, self._quality = rubric, quality
        self._names, self._constraints = tuple(names), tuple(constraints)
        self._fingerprint = rubric.compose(quality.fingerprint, *(judge.fingerprint for judge, _ in constraints))

    @property
    def fingerprint(self) -> str:
        """Hash of the rubric and all judges."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order."""
        judges = [self._quality, *(judge for judge, _ in self._constraints)]
        asked = [judge.judge(questions) for judge in judges]
        if self._rubric.baseline is not None:
            asked.append(self._quality.judge([self._baseline(one) for one in questions]))
        quality, *others = await together(asked)
        baseline = others.pop() if self._rubric.baseline is not None else [None] * len(questions)
        return [
            self._verdict(one, told, base, [answers[place] for answers in others])
            for place, (one, told, base) in enumerate(zip(questions, quality, baseline, strict=True))
        ]

    async def check(self) -> None:
        """Check every judge.

        Raises:
            ConnectionError: one cannot be reached.
        """
        for judge in (self._quality, *(judge for judge, _ in self._constraints)):
            await judge.check()

    def _baseline(self, one: Question) -> Question:
        """The same question about the baseline answer."""
        return question(one.kind, [one.fields.get(str(self._rubric.baseline), "")], **one.fields)

    def _verdict(self, one: Question, told: Answer, base: Answer | None, others: Sequence[Answer]) -> Answer:
        everyone = [told, *others, *([base] if base else [])]
        spent: dict[str, Any] = {
            "tokens": sum(a.tokens for a in everyone),
            "latency_s": max(a.latency_s for a in everyone),
        }
        values = {name: answer.value for name, answer in zip(self._names, others, strict=True)}
        details: dict[str, Any] = {"constraints": values, "quality": told.value}
        least = [at_least for _, at_least in self._constraints]
        failed = [
            name
            for name, answer, low in zip(self._names, others, least, strict=True)
            if answer.value is not None and answer.value < low
        ]
        if failed:
            return Answer(Status.OK, 0.0, details={**details, "failed": failed}, **spent)
        if base is not None and str(self._rubric.baseline) not in one.fields:
            cause = f"the question has no context {self._rubric.baseline!r} with a baseline answer"
            return Answer(Status.JUDGE_FAULT, cause=cause, **spent)
        for answer in everyone:
            if answer.value is None:
                return replace(answer, scores=(), details=details, **spent)
        value = float(told.value or 0)
        if base is not None:
            details["baseline"] = base.value
            value = 0.5 + 0.5 * math.tanh((value - float(base.value or 0)) / (2 * self._rubric.scale))  # σ
        return Answer(Status.OK, value, details=details, **spent)
