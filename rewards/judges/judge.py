"""`Judge`: one protocol for everything that can answer a question about experience.

A judge never raises for one bad question and never returns a number it did not get: what could not be judged is
an `Answer` with a status and a cause. It raises only where the whole call failed (the server is gone); the caller
owns retries, deadlines and the ledger of what is pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rewards.verdicts import Status

QuestionKind = Literal["caption", "pair"]


@dataclass(frozen=True)
class Question:
    """Something to be judged.

    Attributes:
        subject: content hash of kind and texts (see `envs.captions.caption_id` for captions).
        kind: "caption": is this helpful for the goal? "pair": which of the two is better?
        texts: one caption, or the two of a pair.
    """

    subject: str
    kind: QuestionKind
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the judge said.

    Attributes:
        status: ok, or why there is no value.
        value: caption: probability in [0, 1] that it is helpful, or a hard 0/1 (see the judge's config). Pair:
            probability that the first is better; 0.5 for a tie.
        cause: for people, when not ok.
        tokens: tokens read and written for this question.
        latency_s: seconds this question took inside the judge.
    """

    status: Status
    value: float | None = None
    cause: str = ""
    tokens: int = 0
    latency_s: float = 0.0


class Judge(Protocol):
    """Answers questions."""

    @property
    def fingerprint(self) -> str:
        """Hash of all that can change an answer: model and revision, template, goal, sampling, parser."""
        ...

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order."""
        ...

    async def check(self) -> None:
        """Ask one question whose answer does not matter.

        Raises:
            ConnectionError: the judge cannot be reached; the message names the remedy.
        """
        ...
