"""`Batcher`: calls that come while another is worked on are worked on together, up to a number of tokens.

A model works on many questions at hardly the price of one. Nothing waits for company: the first call goes at once, and
those that come meanwhile make up the next batch. So one asker has the shortest wait, and many fill the model. Calls
keep their order; a question that is larger than a batch goes alone. Where two batches are worked on at a time,
one is made ready (tokenised) while the other is in the model.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Call(Generic[R]):
    """The answers to the questions of one call, as they come."""

    answers: list[R | None]
    left: int
    done: asyncio.Future[None]

    def fill(self, place: int, answer: R) -> None:
        """Take one in."""
        self.answers[place] = answer
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


class Batcher(Generic[T, R]):
    """Puts the calls of one event loop together."""

    def __init__(
        self,
        answer: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        size: Callable[[T], int],
        max_size: int,
        at_once: int = 1,
    ) -> None:
        """Batch for an object.

        Args:
            answer: answers many, one answer each, in their order.
            size: of one question, e.g. in tokens.
            max_size: of a batch, the sum over its questions.
            at_once: batches that are worked on at a time.

        Raises:
            ValueError: a batch could hold nothing.
        """
        if max_size < 1:
            raise ValueError(f"got batches of at most {max_size}; expected at least 1")
        self._answer, self._size, self._max_size, self._at_once = answer, size, max_size, at_once
        self._queue: deque[tuple[T, _Call[R], int]] = deque()  # questions, and where their answers go
        self._workers: list[asyncio.Task[None]] = []
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
        if not questions:
            return []
        call: _Call[R] = _Call([None] * len(questions), len(questions), asyncio.get_running_loop().create_future())
        self._queue.extend((question, call, place) for place, question in enumerate(questions))
        self._workers = [worker for worker in self._workers if not worker.done()]
        if len(self._workers) < self._at_once:
            self._workers.append(asyncio.create_task(self._work()))
        await call.done
        return cast(list[R], call.answers)

    async def _work(self) -> None:
        await asyncio.sleep(0)  # calls that come in the same moment go together
        while self._queue:
            batch = self._next()
            if not batch:
                continue
            self.batches += 1
            try:
                answers = await self._answer([question for question, _, _ in batch])
                if len(answers) != len(batch):
                    raise ValueError(f"got {len(answers)} answers to {len(batch)} questions")
            except Exception as error:
                for _, call, _ in batch:
                    if not call.done.done():
                        call.done.set_exception(error)
                continue
            self.answered += len(batch)
            for (_, call, place), answer in zip(batch, answers, strict=True):
                call.fill(place, answer)

    def _next(self) -> list[tuple[T, _Call[R], int]]:
        """The oldest questions that fit together, at least one; those whose caller has gone are left out."""
        batch: list[tuple[T, _Call[R], int]] = []
        total = 0
        while self._queue:
            question, call, _ = self._queue[0]
            if call.done.done():
                self._queue.popleft()
                continue
            total += self._size(question)
            if batch and total > self._max_size:
                break
            batch.append(self._queue.popleft())
        return batch
