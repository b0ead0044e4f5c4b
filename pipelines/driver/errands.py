"""`Errands`: work that is done beside the loops of a run; its failure ends the run, its end rings."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from pipelines.driver.loops import Bell, end


class Errands:
    """Some work of one kind."""

    def __init__(self, bell: Bell) -> None:
        """Nothing is under way.

        Args:
            bell: rung at the end of each.
        """
        self._bell = bell
        self._under_way: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside the loops."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
        self._bell.ring()

    def check(self) -> None:
        """Raise what ended one of them for good, if anything did."""
        if self._failure is not None:
            raise self._failure

    async def all_done(self) -> None:
        """Wait until nothing is under way; each has deadlines of its own.

        Raises:
            BaseException: what ended one of them.
        """
        while self._under_way:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_EXCEPTION)
            self.check()

    async def end(self) -> None:
        """Cancel what is under way, and wait until it is gone."""
        await end([*self._under_way])
