"""`RewardPool`: rewards in processes of their own, a few at a time; what hangs is killed with its process.

Groups that wait for the same reward are asked about together, up to a limit: a call costs about the same whatever it
carries. If such a call fails, each group of it is asked about alone, so that one bad answer costs one group.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from cluster.supervision import RoleLost, Supervised
from pipelines.language.rewards import Columns
from rewards.judges.judge import Answer

TOGETHER = 16  # groups in one call


class _Asked(NamedTuple):
    name: str
    columns: Columns
    future: asyncio.Future[list[Answer]]
    alone: bool

    @property
    def answers(self) -> int:
        return len(next(iter(self.columns.values())))


class RewardPool:
    """Sends what is asked to whichever worker is free."""

    def __init__(self, workers: Sequence[Supervised]) -> None:
        """Use hosted `RewardHost`s, which their owner starts and stops."""
        self._workers, self._waiting = list(workers), deque[_Asked]()
        self._news = asyncio.Event()

    async def ask(self, name: str, columns: Columns) -> list[Answer]:
        """What a reward says of N answers.

        Raises:
            TimeoutError: the process that computed it died, or was killed because it hung.
        """
        asked = _Asked(name, columns, asyncio.get_running_loop().create_future(), False)
        self._waiting.append(asked)
        self._news.set()
        return await asked.future

    async def run(self) -> None:
        """Work until cancelled."""
        await asyncio.gather(*(self._work(worker) for worker in self._workers))

    async def _work(self, worker: Supervised) -> None:
        while True:
            if not (batch := self._next()):
                self._news.clear()
                await self._news.wait()
                continue
            columns = {
                key: [v for one in batch for v in one.columns.get(key, [None] * one.answers)] for key in _keys(batch)
            }
            try:
                answers = await worker.call("answer", batch[0].name, columns)
            except RoleLost as error:
                self._lost(batch, error)
                continue
            except Exception as error:  # what the reward raised
                _settle(batch, error)
                continue
            for one in batch:
                own, answers = answers[: one.answers], answers[one.answers :]
                if not one.future.done():
                    one.future.set_result(own)

    def _next(self) -> list[_Asked]:
        """Groups that can be asked about in one call."""
        if not self._waiting:
            return []
        batch = [self._waiting.popleft()]
        while self._waiting and not batch[0].alone and len(batch) < TOGETHER:
            if self._waiting[0].alone or self._waiting[0].name != batch[0].name:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _lost(self, batch: list[_Asked], error: Exception) -> None:
        if len(batch) == 1:
            _settle(batch, TimeoutError(str(error)))
        else:
            self._waiting.extend(one._replace(alone=True) for one in batch)


def _keys(batch: Sequence[_Asked]) -> dict[str, None]:
    return dict.fromkeys(key for one in batch for key in one.columns)


def _settle(batch: Sequence[_Asked], error: Exception) -> None:
    for one in batch:
        if not one.future.done():
            one.future.set_exception(error)
