"""`jury`: several judges, one verdict, and how far they are apart.

A member without a value is left out and counted; with fewer than `quorum` values there is no verdict. A mean over
different judges is harder to fool than one large judge (Verga et al. 2024, "Replacing Judges with Juries"); how far
they are apart says how much a verdict is worth.
"""

from __future__ import annotations

import asyncio
import math
import statistics
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from rewards.judges.judge import Answer, Judge, Question, QuestionKind
from rewards.judges.rubric import Member, Parts, Rubric
from rewards.verdicts import Status

How = Literal["mean", "median", "majority", "weighted"]


class Juror(Member):
    """A member of a jury."""

    reliability: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Declared weight, for `how: weighted`."""


class Jury(Rubric):
    """Members, and how their values become one."""

    kind: Literal["jury"]
    members: tuple[Juror, ...] = Field(min_length=2)
    how: How = "mean"
    quorum: int = Field(1, ge=1)
    """Fewest members whose values make a verdict."""

    answers: ClassVar[tuple[QuestionKind, ...]] = ("caption", "pair", "response", "trajectory", "group")

    @model_validator(mode="after")
    def _reachable(self) -> Jury:
        if self.quorum > len(self.members):
            raise ValueError(f"got a quorum of {self.quorum} of {len(self.members)} members; expected at most as many")
        return self

    def build(self, parts: Parts) -> Judge:
        """Every member judges every question."""
        members = [member.build(parts) for member in self.members]
        names = [member.rubric or str(member.judge) for member in self.members]
        reliabilities = [member.reliability for member in self.members]
        return JuryJudge(self, list(zip(names, members, reliabilities, strict=True)))


class JuryJudge:
    """A `Judge` that asks others."""

    def __init__(self, rubric: Jury, members: Sequence[tuple[str, Judge, float]]) -> None:
        """Ask `members`: name, judge, reliability."""
        self._rubric, self._members = rubric, tuple(members)
        self._fingerprint = rubric.compose(*(judge.fingerprint for _, judge, _ in members))

    @property
    def fingerprint(self) -> str:
        """Hash of the rubric and the members."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order. A member whose whole call failed has no value anywhere."""
        calls = (self._ask(judge, questions) for _, judge, _ in self._members)
        told = await asyncio.gather(*calls)
        return [self._verdict(answers) for answers in zip(*told, strict=True)]

    async def check(self) -> None:
        """Check every member.

        Raises:
            ConnectionError: one cannot be reached.
        """
        for _, judge, _ in self._members:
            await judge.check()

    async def _ask(self, judge: Judge, questions: Sequence[Question]) -> Sequence[Answer]:
        try:
            answers = await judge.judge(questions)
        except Exception as error:  # one broken member must not break the jury: its quorum decides
            return [Answer(Status.JUDGE_FAULT, cause=f"{type(error).__name__}: {error}"[:200])] * len(questions)
        if len(answers) != len(questions):
            cause = f"got {len(answers)} answers to {len(questions)} questions"
            return [Answer(Status.JUDGE_FAULT, cause=cause)] * len(questions)
        return answers

    def _verdict(self, answers: Sequence[Answer]) -> Answer:
        there = [
            (answer, weight)
            for answer, (_, _, weight) in zip(answers, self._members, strict=True)
            if answer.status is Status.OK and answer.value is not None and math.isfinite(answer.value)
        ]
        tokens, latency_s = sum(a.tokens for a in answers), max(a.latency_s for a in answers)
        names = [name for name, _, _ in self._members]
        details: dict[str, Any] = {
            "members": [
                {"name": name, "value": _finite(a.value), "status": a.status.value, "cause": a.cause}
                for name, a in zip(names, answers, strict=True)
            ],
            "nulls": len(answers) - len(there),
        }
        if len(there) < self._rubric.quorum:
            first = next(a for a in answers if a.status is not Status.OK or a.value is None)
            cause = (
                f"{len(there)} of {len(answers)} members have a value, fewer than {self._rubric.quorum}: {first.cause}"
            )
            status = first.status if first.status is not Status.OK else Status.JUDGE_FAULT
            return Answer(status, None, cause[:400], tokens, latency_s, (), details)
        values = [float(answer.value or 0) for answer, _ in there]
        weights = [weight for _, weight in there]
        details["disagreement"] = disagreement(values)
        return Answer(
            Status.OK,
            combine(values, weights, self._rubric.how),
            "",
            tokens,
            latency_s,
            _scores([answer for answer, _ in there], weights, self._rubric.how),
            details,
        )


def combine(values: Sequence[float], weights: Sequence[float], how: How) -> float:
    """One value out of several.

    Args:
        values: at least one.
        weights: reliabilities, for "weighted".
        how: "majority" counts 1 for each value above one half, 0 for each below, and is 0.5 where these are as many.
    """
    match how:
        case "mean":
            return math.fsum(values) / len(values)
        case "median":
            return float(statistics.median(values))
        case "majority":
            lead = sum((value > 0.5) - (value < 0.5) for value in values)
            return 0.5 + 0.5 * ((lead > 0) - (lead < 0))
        case "weighted":
            return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights)


def disagreement(values: Sequence[float]) -> dict[str, float]:
    """How far judges are apart: population standard deviation, range, and the share on the smaller side of one half."""
    above = sum(value > 0.5 for value in values)
    return {
        "deviation": statistics.pstdev(values),
        "range": max(values) - min(values),
        "minority": min(above, len(values) - above) / len(values),
    }


def _scores(answers: Sequence[Answer], weights: Sequence[float], how: How) -> tuple[float | None, ...]:
    """Scores of a group, member by member of the group; empty where a juror gave none or another number of them."""
    lengths = {len(answer.scores) for answer in answers}
    if len(lengths) != 1 or 0 in lengths:
        return ()
    scores: list[float | None] = []
    for column in zip(*(answer.scores for answer in answers), strict=True):
        known = [(score, weight) for score, weight in zip(column, weights, strict=True) if score is not None]
        scores.append(combine([s for s, _ in known], [w for _, w in known], how) if known else None)
    return tuple(scores)


def _finite(value: float | None) -> float | None:
    """What can stand in JSON."""
    return value if value is not None and math.isfinite(value) else None
