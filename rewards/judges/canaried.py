"""`CanariedJudge`: a judge that is asked about canaries on the way, unmarked, and is silent once it is quarantined.

It belongs right around the judge: under the cache, which would answer a canary from memory, and under the ledger, which
never hears of one. Canaries stand at random places among the questions of a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from rewards.canaries import Canary, CanaryWatch
from rewards.judges.judge import Answer, Judge, Question, QuestionKind, question
from rewards.questions import caption_question, pair_question
from rewards.verdicts import Status


class CanariedJudge:
    """A `Judge` watched by canaries; its fingerprint is the version that is believed or not."""

    def __init__(self, judge: Judge, watch: CanaryWatch) -> None:
        """Watch `judge`; the state of `watch` is checkpointed by whoever owns it."""
        self._judge = judge
        self.watch = watch

    @property
    def fingerprint(self) -> str:
        """That of the judge: canaries change no answer."""
        return self._judge.fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order; NULL, judge_fault, once the judge is quarantined."""
        if not questions:
            return []
        mixed: list[Question] = []
        canaries: dict[int, Canary] = {}
        for one in questions:
            if (canary := self.watch.due()) is not None:
                canaries[len(mixed)] = canary
                mixed.append(as_question(canary))
            mixed.append(one)
        answers = await self._judge.judge(mixed)
        for place, canary in canaries.items():
            self.watch.record(self.fingerprint, canary, answers[place].value)
        own = [answer for place, answer in enumerate(answers) if place not in canaries]
        # Looked up after the canaries of this very call: its answers are as doubtful as those to come.
        quarantine = self.watch.quarantine_of(self.fingerprint)
        return own if quarantine is None else [_withheld(answer, str(quarantine)) for answer in own]

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


def _withheld(answer: Answer, cause: str) -> Answer:
    if answer.status is not Status.OK:
        return answer
    return Answer(Status.JUDGE_FAULT, cause=cause, tokens=answer.tokens, latency_s=answer.latency_s)
