"""`ConstancyDetector`: notices a judge whose answers are always the same.

Such a judge costs as much as any other and teaches nothing: a model that says "yes" to everything, a server that
ignores the prompt, a rubric that nothing can fail. The detector is fed by answers; it says once what is wrong, and
takes it back by itself when other answers come.
"""

from __future__ import annotations

from collections import OrderedDict

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
        self._windows: dict[str, _Window] = {}
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
        window = self._windows.setdefault(question.kind, _Window(self.config))
        if question.subject in window.values:
            return None
        same = window.take(question.subject, answer.value)
        if not same:
            self._flags.pop(question.kind, None)
            return None
        if question.kind in self._flags:
            return None
        self._flags[question.kind] = (
            f"the judge gave the value {answer.value:.6g} to each of the last {self.config.answers} different "
            f"{question.kind} questions; expected answers that differ: look at the rubric and the model, or ask about "
            "something that can go both ways"
        )
        return self._flags[question.kind]


class _Window:
    """The latest answers of one kind, the oldest first."""

    def __init__(self, config: Config) -> None:
        self.values: OrderedDict[str, float] = OrderedDict()  # a plain one is slow to say which came first
        self._config = config
        self._latest = float("nan")
        self._alike = 0  # answers in a row, each as close to the one before it

    def take(self, subject: str, value: float) -> bool:
        """Take one in; gives whether so many are there as are asked for, all the same.

        All are looked at only where no neighbours differ: any two that do say already that not all are the same.
        """
        if len(self.values) == self._config.answers:
            self.values.popitem(last=False)
        self.values[subject] = value
        self._alike = self._alike + 1 if abs(value - self._latest) <= self._config.tolerance else 1
        self._latest = value
        if self._alike < self._config.answers:
            return False
        return max(self.values.values()) - min(self.values.values()) <= self._config.tolerance
