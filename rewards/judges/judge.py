"""`Judge`: one protocol for everything that can answer a question about experience.

A judge never raises for one bad question and never returns a number it did not get: what could not be judged is
an `Answer` with a status and a cause. It raises only where the whole call failed (the server is gone); the caller
owns retries, deadlines and the ledger of what is pending.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from rewards.verdicts import Status

QuestionKind = Literal["caption", "pair", "response", "trajectory", "group"]


@dataclass(frozen=True)
class Question:
    """Something to be judged.

    Attributes:
        subject: content hash of kind, texts and context (see `subject_of`; `envs.captions.caption_id` for captions).
        kind: "caption": is this helpful for the goal? "pair": which of the two is better? "response": how good is
            this answer? "trajectory": how good was this course of action? "group": how good is each of these answers?
        texts: one caption or response, the two of a pair, the steps of a trajectory in their order, or the members of
            a group.
        context: named texts that the judgement needs, such as ("prompt", …) and ("reference", …).
    """

    subject: str
    kind: QuestionKind
    texts: tuple[str, ...]
    context: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> dict[str, str]:
        """The context by name."""
        return dict(self.context)


def question(kind: QuestionKind, texts: Sequence[str], **context: str) -> Question:
    """A question whose subject is the hash of its content.

    Args:
        kind: what is asked, see `Question`.
        texts: what is judged.
        context: named texts beside it, such as `prompt="…"`.
    """
    named = tuple(sorted(context.items()))
    return Question(subject_of(kind, texts, named), kind, tuple(texts), named)


def subject_of(kind: str, texts: Sequence[str], context: Sequence[tuple[str, str]] = ()) -> str:
    """Content hash of a question, 32 hex digits."""
    content = json.dumps([kind, list(texts), [list(named) for named in context]])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What the judge said.

    Attributes:
        status: ok, or why there is no value.
        value: caption: probability in [0, 1] that it is helpful, or a hard 0/1 (see the judge's config). Pair:
            probability that the first is better; 0.5 for a tie. Response and trajectory: how good, in [0, 1].
            Group: the mean of the scores that are there.
        cause: for people, when not ok.
        tokens: tokens read and written for this question.
        latency_s: seconds this question took inside the judge.
        scores: group: one score for each member, in [0, 1]; trajectory: what each step added. None where there is
            none; empty where the judge does not say.
        details: JSON-able: scores of criteria, critique, evidence, position bias, disagreement. For audits; nothing
            is computed from it.
    """

    status: Status
    value: float | None = None
    cause: str = ""
    tokens: int = 0
    latency_s: float = 0.0
    scores: tuple[float | None, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def alike(questions: Sequence[Question]) -> list[list[int]]:
    """Places of questions that have the same names of context, together: one must not lose its own to a neighbour."""
    found: dict[frozenset[str], list[int]] = {}
    for place, one in enumerate(questions):
        found.setdefault(frozenset(one.fields), []).append(place)
    return list(found.values())


def unanswerable(question: Question, answered: Iterable[str]) -> Answer:
    """What a judge says to a question of a kind that it does not answer."""
    cause = f"got a question of kind {question.kind!r}; this judge answers {sorted(answered)}: use a rubric for others"
    return Answer(Status.JUDGE_FAULT, cause=cause)


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


Reply = tuple[str, Sequence[Answer]]
"""Fingerprint of the judge, and its answers to the questions of one call, in their order."""

Call = Callable[[tuple[Question, ...]], Awaitable[Reply]]
"""Asks a judge, wherever it is."""


def in_process(judge: Judge) -> Call:
    """How a judge of this process is called."""

    async def call(questions: tuple[Question, ...]) -> Reply:
        return judge.fingerprint, await judge.judge(questions)

    return call
