"""`ConstancyDetector`: notices a judge whose answers are always the same.

Such a judge costs as much as any other and teaches nothing: a model that says "yes" to everything, a server that
ignores the prompt, a rubric that nothing can fail. The detector is fed by answers; it says once what is wrong, and
takes it back by itself when other answers come.
"""

from __future__ import annotations

from collections import deque

from pydantic import BaseModel, ConfigDict, Field

from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status


class Config(BaseModel):
    """When answers count as always the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: int = Field(200, ge=2)
    """So many in a row, of one kind of question and about different subjects, must be equal. 200 come once in 400 times
    where an honest judge says "no" 97 times out of 100."""
    tolerance: float = Field(1e-6, ge=0)
    """Values this close are the same."""


class ConstancyDetector:
    """Watches one judge; one window for each kind of question."""

    def __init__(self, config: Config | None = None) -> None:
        """Nothing seen."""
        self.config = config or Config()
        self._windows: dict[str, deque[tuple[str, float]]] = {}
        self._flags: dict[str, str] = {}

    @property
    def flags(self) -> dict[str, str]:
        """What is suspicious now, by kind of question."""
        return dict(self._flags)

    def observe(self, question: Question, answer: Answer) -> str | None:
        """Take one answer.

        Args:
            question: passed over where its subject is still in the window: the same should be answered alike.
            answer: passed over where it has no value.

        Returns:
            A message when a kind of question has just become suspicious, else None.
        """
        if answer.status is not Status.OK or answer.value is None:
            return None
        window = self._windows.setdefault(question.kind, deque(maxlen=self.config.answers))
        if any(subject == question.subject for subject, _ in window):
            return None
        window.append((question.subject, answer.value))
        values = [value for _, value in window]
        same = len(window) == self.config.answers and max(values) - min(values) <= self.config.tolerance
        if not same:
            self._flags.pop(question.kind, None)
            return None
        if question.kind in self._flags:
            return None
        self._flags[question.kind] = (
            f"the judge gave the value {values[-1]:.6g} to each of the last {len(values)} different {question.kind} "
            "questions; expected answers that differ: look at the rubric and the model, or ask about something that "
            "can go both ways"
        )
        return self._flags[question.kind]
