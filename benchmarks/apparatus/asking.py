"""Many askers, each of whom asks the next question when the last one is answered; and what they saw."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rewards.judges.judge import Question
from rewards.questions import caption_question

Ask = Callable[[Sequence[Question]], Awaitable[object]]

THINGS = (
    "gold pieces",
    "daggers",
    "arrows",
    "darts",
    "candles",
    "apples",
    "food rations",
    "scrolls",
    "spears",
    "rocks",
)
_count = itertools.count()


@dataclass(frozen=True)
class Load:
    """What askers saw in a window of time."""

    per_s: float
    p50_s: float
    p99_s: float
    answered: int


class Questions:
    """Questions that were never asked before in this process, and a share of them once more."""

    def __init__(self, repeated: float, seed: int) -> None:
        """Repeat so large a share of them."""
        self._repeated, self._random = repeated, random.Random(seed)
        self._asked: list[Question] = []

    def __call__(self, count: int) -> list[Question]:
        """The next questions."""
        return [self._next() for _ in range(count)]

    def _next(self) -> Question:
        if self._asked and self._random.random() < self._repeated:
            return self._random.choice(self._asked)
        number = next(_count)
        self._asked.append(caption_question(f"You see here {number} {THINGS[number % len(THINGS)]}."))
        return self._asked[-1]


async def load(ask: Ask, questions: Questions, askers: int, seconds: float, warm_up_s: float, each: int = 1) -> Load:
    """Let so many ask for so long.

    Args:
        ask: asks about some questions, and returns when all are answered.
        questions: to ask.
        askers: who each wait for one answer at a time.
        seconds: that count.
        warm_up_s: before these.
        each: questions that one asks at once.
    """
    opens = time.perf_counter() + warm_up_s
    closes = opens + seconds
    lags: list[float] = []

    async def one() -> None:
        while (began := time.perf_counter()) < closes:
            await ask(questions(each))
            if opens <= (ended := time.perf_counter()) < closes:
                lags.append(ended - began)

    await asyncio.gather(*(one() for _ in range(askers)))
    lags.sort()
    if not lags:
        raise ValueError(f"got no answer within {seconds:g} s from {askers} askers; measure for longer")
    p50, p99 = (lags[min(len(lags) - 1, int(share * len(lags)))] for share in (0.5, 0.99))
    return Load(len(lags) * each / seconds, p50, p99, len(lags) * each)
