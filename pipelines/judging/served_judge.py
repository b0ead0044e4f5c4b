"""`ServedJudge`: what runs in a replica of the reward server: a judge, and the batches of calls that come together."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.batching import Batcher
from cluster.logs import about
from cluster.serving import Service
from pipelines.judging.judges import build_judge
from pipelines.judging.settings import JudgeConfig
from rewards.judges.judge import Answer, Call, Judge, Question, Reply

LOG = logging.getLogger(__name__)
CHARACTERS_A_TOKEN = 3  # of English, on the careful side
AT_ONCE = 2  # batches with the judge: one is made ready while the other is in the model
FRAME_TOKENS = 32  # a question's share of what is asked around it


@dataclass(frozen=True)
class ForFallback:
    """Questions for the fallback judge."""

    questions: tuple[Question, ...]


class ServedJudge:
    """A judge that works on many calls at once; it says with every answer who it is."""

    def __init__(self, judge: Judge, batch_tokens: int, fallback: Judge | None = None) -> None:
        """Serve `judge`, in batches of at most so many tokens; `fallback` answers what is for it, beside the judge."""
        self._judge, self._fallback = judge, fallback
        self._batcher: Batcher[Question, Answer] = Batcher(judge.judge, tokens_of, batch_tokens, AT_ONCE)

    async def ask(self, asked: tuple[Question, ...] | ForFallback) -> tuple[str, list[Answer], int]:
        """Answer a batch of questions; gives the judge's fingerprint, the answers, and the process that answered.

        Raises:
            ValueError: there is no fallback judge.
        """
        questions = asked.questions if isinstance(asked, ForFallback) else asked
        began = time.monotonic()
        with about(request=request_of(questions)):
            if not isinstance(asked, ForFallback):
                who, answers = self._judge.fingerprint, await self._batcher(asked)
            elif self._fallback is None:
                raise ValueError("got questions for a fallback judge; this replica has none")
            else:
                who, answers = self._fallback.fingerprint, await self._fallback.judge(questions)
            statuses = dict(Counter(answer.status.value for answer in answers))
            told = {"judge": who, "seconds": round(time.monotonic() - began, 4), "statuses": statuses}
            LOG.info("answered", extra=told)
        return who, answers, os.getpid()


def served_judge(
    config: JudgeConfig, goal: str, threads: int, batch_tokens: int, fallback: JudgeConfig | None = None
) -> ServedJudge:
    """Build the judge, and who takes over from it, inside a replica."""
    second = None if fallback is None else build_judge(fallback, goal, threads)
    return ServedJudge(build_judge(config, goal, threads), batch_tokens, second)


def request_of(questions: Sequence[Question]) -> str:
    """The id of a call in the logs of who asks and of who answers: a hash of what is asked."""
    subjects = "\n".join(question.subject for question in questions)
    return hashlib.blake2b(subjects.encode(), digest_size=6).hexdigest()


def tokens_of(question: Question) -> int:
    """About how many tokens a question takes beyond what all questions share; counting them is the engine's work."""
    texts = sum(map(len, question.texts)) + sum(len(text) for _, text in question.context)
    return FRAME_TOKENS + texts // CHARACTERS_A_TOKEN


def caller(service: Service, on_answer: Callable[[int], None] = lambda process: None) -> Call:
    """How an `Annotator` asks a served judge.

    Args:
        service: of `ServedJudge.ask`.
        on_answer: called with the process that answered.
    """

    async def call(questions: tuple[Question, ...]) -> Reply:
        fingerprint, answers, process = await service.ask(questions)
        on_answer(process)
        return fingerprint, answers

    return call
