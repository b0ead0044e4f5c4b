"""`critique`: write what is wrong first, then grade under that critique.

Two turns of one conversation: the grade is read off the next token after the model's own critique. Sources:
"Self-critiquing models for assisting human evaluators" (Saunders et al. 2022); "Critique-out-Loud Reward Models"
(Ankner et al. 2024).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rewards.judges.deliberation import Desk
from rewards.judges.judge import Answer, Judge, Question
from rewards.judges.kinds.scale import choose_on_scale, grades
from rewards.judges.rubric import Parts, Rubric


class Critique(Rubric):
    """A critique in words, then a grade from 1 to `levels`."""

    kind: Literal["critique"]
    levels: int = Field(5, ge=2, le=9)
    critique_tokens: int = Field(200, ge=1)
    soft: bool = True

    def build(self, parts: Parts) -> Judge:
        """One written reply and one forward pass a question."""
        return self.deliberation(parts, self._decide, self.guide())

    async def _decide(self, question: Question, desk: Desk) -> Answer:
        chat = desk.chat(
            question, "Say in a few sentences what is wrong with it and what is right. Do not grade it yet."
        )
        critique = await desk.write(chat, self.critique_tokens)
        ask = f"Now grade it, from 1 (worst) to {self.levels} (best). Answer with the number, and nothing else."
        chat += [{"role": "assistant", "content": critique}, {"role": "user", "content": ask}]
        answer = await choose_on_scale(desk, chat, grades(self.levels), self.soft)
        return Answer(answer.status, answer.value, details={**answer.details, "critique": critique})
