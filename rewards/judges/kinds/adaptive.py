"""`adaptive`: the model finds the criteria on which two responses differ, and judges the pair by them.

Each criterion has a type, a winner and a strength. They are added up here, not by the model ("OpenRS: Open Rubric
System"):

    any critical flaw: the sum of the critical flaws' signed strengths (a veto)
    otherwise:         Σ w ± strength / Σ w, with core 5, important 2, highlight 1

The signed score is asked in both orders and averaged, so that swapping the pair negates it; no criteria give 0, a
tie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from rewards.judges.deliberation import Desk, together
from rewards.judges.judge import Answer, Judge, Question, QuestionKind
from rewards.judges.rubric import Parts, Rubric
from rewards.verdicts import Status

WEIGHTS = {"core": 5.0, "important": 2.0, "highlight": 1.0}
MAX_STRENGTH = 3
TOKENS_A_CRITERION = 160


class Found(BaseModel):
    """One criterion on which the responses differ."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    criterion: str = Field(max_length=120)
    type: Literal["critical_flaw", "core", "important", "highlight"]
    winner: Literal["A", "B", "tie"]
    strength: int = Field(ge=0, le=MAX_STRENGTH)

    @property
    def signed(self) -> int:
        """Strength for the response shown first, negative for the other."""
        return {"A": 1, "B": -1, "tie": 0}[self.winner] * self.strength


def signed_score(found: Sequence[Found]) -> float:
    """How much the response shown first is better, from -MAX_STRENGTH to MAX_STRENGTH."""
    critical = [one.signed for one in found if one.type == "critical_flaw" and one.signed]
    if critical:
        return float(min(MAX_STRENGTH, max(-MAX_STRENGTH, sum(critical))))
    others = [(WEIGHTS[one.type], one.signed) for one in found if one.type in WEIGHTS]
    total = math.fsum(weight for weight, _ in others)
    return math.fsum(weight * signed for weight, signed in others) / total if total else 0.0


class Adaptive(Rubric):
    """A constitution in `instruction` and `principles`; criteria by the model."""

    kind: Literal["adaptive"]
    max_criteria: int = Field(5, ge=1, le=12)

    answers: ClassVar[tuple[QuestionKind, ...]] = ("pair",)

    def build(self, parts: Parts) -> Judge:
        """Two written replies a pair."""
        guide = (
            f"{self.guide()}\nName the criteria on which the two responses differ, at most {self.max_criteria}. A "
            "critical_flaw makes a response unacceptable; core, important and highlight matter in this order. The "
            f"winner is the response that is better by the criterion, by a strength from 0 to {MAX_STRENGTH}."
        )
        return self.deliberation(parts, self._decide, guide)

    def form(self) -> type[BaseModel]:
        """The form that the model fills."""

        class Differences(BaseModel):
            model_config = ConfigDict(extra="forbid")
            differences: list[Found] = Field(max_length=self.max_criteria)

        return Differences

    async def _decide(self, question: Question, desk: Desk) -> Answer:
        turned = replace(question, texts=question.texts[::-1])
        found, found_turned = await together(self._differences(pair, desk) for pair in (question, turned))
        score, turned_score = signed_score(found), signed_score(found_turned)
        unbiased = (score - turned_score) / 2
        details: dict[str, Any] = {
            "signed_score": unbiased,
            "orders": [[one.model_dump() for one in order] for order in (found, found_turned)],
            "orders_agree": (score > 0) - (score < 0) == (turned_score < 0) - (turned_score > 0),
            "position_bias": (score + turned_score) / (4 * MAX_STRENGTH),
        }
        return Answer(Status.OK, 0.5 + unbiased / (2 * MAX_STRENGTH), details=details)

    async def _differences(self, question: Question, desk: Desk) -> Sequence[Found]:
        ask = (
            "Reply with JSON: "
            '{"differences": [{"criterion": …, "type": …, "winner": "A", "B" or "tie", "strength": …}]}.'
        )
        filled = await desk.fill(desk.chat(question, ask), self.form(), 20 + self.max_criteria * TOKENS_A_CRITERION)
        differences: Sequence[Found] = filled.differences  # type: ignore[attr-defined]
        return differences
