"""`rubric`: weighted criteria, hard rules that veto, and principles, each criterion asked by itself.

    value = Σ w_i s_i / Σ w_i, or 0 if a hard rule is broken

Criteria come after what is judged, so that engines read a long text once for all of them. Sources: hard rules and
principles, "OpenRubrics: Towards Scalable Synthetic Rubric Generation"; the weighted mean, "RGR-GRPO: Reward and
Guidance through Rubrics"; the share of rules that hold, "AutoRule".
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards.judges.deliberation import Desk, together
from rewards.judges.judge import Answer, Judge, Question
from rewards.judges.kinds.scale import choose_on_scale, grades
from rewards.judges.rubric import Parts, Rubric
from rewards.verdicts import Status

YES_OR_NO = {"yes": 1.0, "no": 0.0}


class Rule(BaseModel):
    """Something that must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    text: str = Field(min_length=1)


class Criterion(Rule):
    """Something that should hold."""

    weight: float = Field(1.0, gt=0, allow_inf_nan=False)
    levels: int | None = Field(None, ge=2, le=9)
    """Graded from 1 to this; None: yes or no."""


class Weighted(Rubric):
    """Criteria with weights, and rules that veto."""

    kind: Literal["rubric"]
    criteria: tuple[Criterion, ...] = Field(min_length=1)
    rules: tuple[Rule, ...] = ()
    soft: bool = True
    """Whether a criterion counts by the probability that it holds, or by 0 or 1."""
    veto_below: float = Field(0.5, ge=0, le=1)
    """A rule is broken where the probability that it holds is below this."""

    @model_validator(mode="after")
    def _ids(self) -> Weighted:
        ids = [item.id for item in (*self.criteria, *self.rules)]
        if twice := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"got the ids {twice} more than once; expected each criterion and rule under its own")
        return self

    def build(self, parts: Parts) -> Judge:
        """One forward pass a criterion and rule."""
        lines = [self.guide(), "Criteria:", *(f"- {c.id}: {c.text}" for c in self.criteria)]
        if self.rules:
            lines += ["Rules that must hold:", *(f"- {rule.id}: {rule.text}" for rule in self.rules)]
        return self.deliberation(parts, self._decide, "\n".join(lines))

    async def _decide(self, question: Question, desk: Desk) -> Answer:
        items = (*self.criteria, *self.rules)
        answers = await together(self._ask(item, question, desk) for item in items)
        scores = {item.id: float(answer.value or 0) for item, answer in zip(items, answers, strict=True)}
        broken = [rule.id for rule in self.rules if scores[rule.id] < self.veto_below]
        weight = math.fsum(c.weight for c in self.criteria)
        value = math.fsum(c.weight * scores[c.id] for c in self.criteria) / weight
        details = {"criteria": {c.id: scores[c.id] for c in self.criteria}, "broken_rules": broken, "unvetoed": value}
        return Answer(Status.OK, 0.0 if broken else min(value, 1.0), details=details)

    async def _ask(self, item: Rule, question: Question, desk: Desk) -> Answer:
        levels = item.levels if isinstance(item, Criterion) else None
        words = grades(levels) if levels else YES_OR_NO
        how = f"How well, from 1 to {levels}?" if levels else "Does it hold, yes or no?"
        chat = desk.chat(question, f"{item.id}: {item.text}\n{how} Answer with one word.")
        return await choose_on_scale(desk, chat, words, soft=self.soft or not isinstance(item, Criterion))
