"""Canaries on the way to a judge: unmarked, at random places among the questions of a call.

They belong right around the judge: under the cache, which would answer a canary from memory, and under the ledger,
which never hears of one. What a canary took is booked on the question that it went along with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from rewards.annotation.contract import checked
from rewards.canaries import Canary, CanaryWatch, Quarantine
from rewards.judges.judge import Answer, Call, Judge, Question, QuestionKind, Reply, in_process, question
from rewards.questions import caption_question, pair_question
from rewards.verdicts import Status


def watched(
    call: Call, watch: CanaryWatch, on_quarantine: Callable[[Quarantine], None] = lambda quarantine: None
) -> Call:
    """A call of a judge that canaries go along with; NULL, judge_fault, where the judge is quarantined.

    Args:
        call: asks the judge; gives its fingerprint and its answers.
        watch: which canaries are due, and who is believed.
        on_quarantine: called when a canary of this call was one wrong verdict too many.
    """

    async def ask(questions: tuple[Question, ...]) -> Reply:
        mixed: list[Question] = []
        canaries: dict[int, Canary] = {}
        for one in questions:
            if (canary := watch.due()) is not None:
                canaries[len(mixed)] = canary
                mixed.append(as_question(canary))
            mixed.append(one)
        fingerprint, answers = await call(tuple(mixed))
        answers = _all(answers, len(mixed))
        _record(watch, fingerprint, canaries, answers, on_quarantine)
        own = []
        for place, answer in enumerate(answers):
            if place not in canaries:
                own.append(_charged(answer, answers[place - 1]) if place - 1 in canaries else answer)
        # Looked up after the canaries of this very call: its answers are as doubtful as those to come.
        quarantine = watch.quarantine_of(fingerprint)
        return fingerprint, own if quarantine is None else [_withheld(answer, str(quarantine)) for answer in own]

    return ask


async def examine(call: Call, watch: CanaryWatch, batch_size: int) -> Quarantine | None:
    """Ask about every canary once, before anything depends on the judge; gives the quarantine, if one came of it."""
    found: list[Quarantine] = []
    canaries = watch.exam()
    for start in range(0, len(canaries), batch_size):
        part = canaries[start : start + batch_size]
        fingerprint, answers = await call(tuple(map(as_question, part)))
        _record(watch, fingerprint, dict(enumerate(part)), _all(answers, len(part)), found.append)
    return found[0] if found else None


class CanariedJudge:
    """A `Judge` watched by canaries; its fingerprint is what is believed or not."""

    def __init__(
        self,
        judge: Judge,
        watch: CanaryWatch,
        on_quarantine: Callable[[Quarantine], None] = lambda quarantine: None,
    ) -> None:
        """Watch `judge`; the state of `watch` is checkpointed by whoever owns it."""
        self._judge = judge
        self.watch = watch
        self._ask = watched(in_process(judge), watch, on_quarantine)

    @property
    def fingerprint(self) -> str:
        """That of the judge: canaries change no answer."""
        return self._judge.fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order; NULL, judge_fault, once the judge is quarantined."""
        return list((await self._ask(tuple(questions)))[1]) if questions else []

    async def check(self) -> None:
        """Ask one question whose answer does not matter.

        Raises:
            ConnectionError: the judge cannot be reached, or is quarantined.
        """
        if (quarantine := self.watch.quarantine_of(self.fingerprint)) is not None:
            raise ConnectionError(str(quarantine))
        await self._judge.check()


def as_question(canary: Canary) -> Question:
    """A canary as the question that anybody might have asked."""
    if not canary.context and canary.kind == "caption":
        return caption_question(*canary.texts)
    if not canary.context and canary.kind == "pair":
        return pair_question(*canary.texts)
    return question(cast(QuestionKind, canary.kind), canary.texts, **dict(canary.context))


def _all(answers: Sequence[Answer], expected: int) -> Sequence[Answer]:
    if len(answers) != expected:  # with canaries among them nobody could tell which answer belongs to which question
        raise ValueError(f"got {len(answers)} answers to {expected} questions, canaries among them")
    return answers


def _record(
    watch: CanaryWatch,
    fingerprint: str,
    canaries: dict[int, Canary],
    answers: Sequence[Answer],
    on_quarantine: Callable[[Quarantine], None],
) -> None:
    for place, canary in canaries.items():
        quarantine = watch.record(fingerprint, canary, checked(answers[place]).value)
        if quarantine is not None:
            on_quarantine(quarantine)


def _charged(answer: Answer, canary: Answer) -> Answer:
    """The answer with what the canary before it took; what is no answer is left for the ledger to refuse."""
    both = isinstance(answer, Answer) and isinstance(canary, Answer)
    return replace(answer, tokens=answer.tokens + canary.tokens) if both else answer


def _withheld(answer: Answer, cause: str) -> Answer:
    if not isinstance(answer, Answer) or answer.status is not Status.OK:
        return answer
    return Answer(Status.JUDGE_FAULT, cause=cause, tokens=answer.tokens, latency_s=answer.latency_s)
