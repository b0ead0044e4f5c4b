"""`ServedJudge`: what runs in a replica of the reward server: a judge, and the batches of calls that come together."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence

from cluster.batching import Batcher
from cluster.serving import Service
from pipelines.experiment import JudgeConfig
from pipelines.judges import build_judge
from rewards.judges.judge import Answer, Judge, Question

CHARACTERS_A_TOKEN = 3  # of English, on the careful side
FRAME_TOKENS = 32  # a question's share of what is asked around it


class ServedJudge:
    """A judge that works on many calls at once; it says with every answer who it is."""

    def __init__(self, judge: Judge, batch_tokens: int) -> None:
        """Serve `judge`, in batches of at most so many tokens."""
        self._judge = judge
        self._batcher: Batcher[Question, Answer] = Batcher(judge.judge, tokens_of, batch_tokens)

    async def ask(self, questions: tuple[Question, ...]) -> tuple[str, list[Answer], int]:
        """Answer a batch of questions; gives the judge's fingerprint, the answers, and the process that answered."""
        return self._judge.fingerprint, await self._batcher(questions), os.getpid()


def served_judge(config: JudgeConfig, goal: str, threads: int, batch_tokens: int) -> ServedJudge:
    """Build the judge inside its replica."""
    return ServedJudge(build_judge(config, goal, threads), batch_tokens)


def tokens_of(question: Question) -> int:
    """About how many tokens a question takes beyond what all questions share; counting them is the engine's work."""
    texts = sum(map(len, question.texts)) + sum(len(text) for _, text in question.context)
    return FRAME_TOKENS + texts // CHARACTERS_A_TOKEN


def caller(
    service: Service, on_answer: Callable[[int], None] = lambda process: None
) -> Callable[[tuple[Question, ...]], Awaitable[tuple[str, Sequence[Answer]]]]:
    """How an `Annotator` asks a served judge.

    Args:
        service: of `ServedJudge.ask`.
        on_answer: called with the process that answered.
    """

    async def call(questions: tuple[Question, ...]) -> tuple[str, Sequence[Answer]]:
        fingerprint, answers, process = await service.ask(questions)
        on_answer(process)
        return fingerprint, answers

    return call
