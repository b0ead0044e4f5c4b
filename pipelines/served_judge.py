"""`ServedJudge`: what runs in a replica of the reward server: a judge, and the batches of calls that come together."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from cluster.batching import Batcher
from cluster.serving import Service
from pipelines.experiment import JudgeConfig
from pipelines.judges import build_judge
from rewards.judges.judge import Answer, Call, Judge, Question, Reply

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
        if not isinstance(asked, ForFallback):
            return self._judge.fingerprint, await self._batcher(asked), os.getpid()
        if self._fallback is None:
            raise ValueError("got questions for a fallback judge; this replica has none")
        return self._fallback.fingerprint, await self._fallback.judge(asked.questions), os.getpid()


def served_judge(
    config: JudgeConfig, goal: str, threads: int, batch_tokens: int, fallback: JudgeConfig | None = None
) -> ServedJudge:
    """Build the judge, and who takes over from it, inside a replica."""
    second = None if fallback is None else build_judge(fallback, goal, threads)
    return ServedJudge(build_judge(config, goal, threads), batch_tokens, second)


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
