"""`Batcher`: calls that come while another is worked on are worked on together, up to a number of tokens.

A model works on many questions at hardly the price of one. Nothing waits for company: the first call goes at once, and
those that come meanwhile make up the next batch. So one asker has the shortest wait, and many fill the model. Calls
keep their order; a question that is larger than a batch goes alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Item(Generic[T, R]):
    """One question of a call, and where its answer goes."""

    asked: T
    answer: asyncio.Future[R] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batcher(Generic[T, R]):
    """Puts the calls of one event loop together."""

    def __init__(
        self, answer: Callable[[Sequence[T]], Awaitable[Sequence[R]]], size: Callable[[T], int], max_size: int
    ) -> None:
        """Batch for an object.

        Args:
            answer: answers many, one answer each, in their order; called once at a time.
            size: of one question, e.g. in tokens.
            max_size: of a batch, the sum over its questions.

        Raises:
            ValueError: a batch could hold nothing.
        """
        if max_size < 1:
            raise ValueError(f"got batches of at most {max_size}; expected at least 1")
        self._answer, self._size, self._max_size = answer, size, max_size
        self._queue: deque[_Item[T, R]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self.batches = 0
        self.answered = 0

    @property
    def queued(self) -> int:
        """Questions that wait for a batch."""
        return len(self._queue)

    async def __call__(self, questions: Sequence[T]) -> list[R]:
        """Answer one call; if it is cancelled, its questions that were not begun are dropped.

        Raises:
            Exception: what answering raised, if one of its questions was in that batch.
        """
        items: list[_Item[T, R]] = [_Item(question) for question in questions]
        self._queue.extend(items)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return list(await asyncio.gather(*(item.answer for item in items)))

    async def _work(self) -> None:
        await asyncio.sleep(0)  # calls that come in the same moment go together
        while self._queue:
            batch = self._next()
            if not batch:
                continue
            self.batches += 1
            try:
                answers = await self._answer([item.asked for item in batch])
                if len(answers) != len(batch):
                    raise ValueError(f"got {len(answers)} answers to {len(batch)} questions")
            except Exception as error:
                for item in batch:
                    if not item.answer.done():
                        item.answer.set_exception(error)
                continue
            self.answered += len(batch)
            for item, answer in zip(batch, answers, strict=True):
                if not item.answer.done():
                    item.answer.set_result(answer)

    def _next(self) -> list[_Item[T, R]]:
        """The oldest questions that fit together, at least one; those whose caller has gone are left out."""
        batch: list[_Item[T, R]] = []
        total = 0
        while self._queue:
            if self._queue[0].answer.done():
                self._queue.popleft()
                continue
            total += self._size(self._queue[0].asked)
            if batch and total > self._max_size:
                break
            batch.append(self._queue.popleft())
        return batch
