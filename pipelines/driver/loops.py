"""Loops of a run: they end together, and the calls that they make outlive the death of a role."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from cluster.events import RoleLost

Result = TypeVar("Result")

AGAIN_S = 0.02  # after a role died, until it is called again
INSIST_S = 0.5  # after a task was cancelled, until it is cancelled again


class Role(Protocol):
    """Whoever is called: one process, or several that answer as one."""

    async def call(self, method: str, *args: Any, returns: int = 1) -> Any:
        """See `Supervised.call`."""


class Bell:
    """Rings when there is news, so that a loop that has nothing to do need not look again and again."""

    def __init__(self) -> None:
        """Nobody listens."""
        self._listening: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake all who listen."""
        for one in self._listening:
            one.set_result(None)
        self._listening = set()

    async def heard(self, within_s: float, *others: asyncio.Future[Any]) -> None:
        """Wait until it rings, or for so long; whoever looks and listens without a pause between misses nothing.

        Args:
            within_s: how long at most.
            others: one of them being done ends the wait, too.
        """
        listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening.add(listening)
        try:
            await asyncio.wait([listening, *others], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._listening.discard(listening)


class Uninterrupted:
    """Work that goes on where whoever waits for it is cancelled: another process does it, and is not stopped there."""

    def __init__(self) -> None:
        """Nothing was begun."""
        self._task: asyncio.Task[Any] | None = None

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do a piece of work; the one before must be over."""
        self._task = task = asyncio.create_task(work)
        return await asyncio.shield(task)

    async def over(self) -> None:
        """Wait until the last piece is over, however it ended."""
        if self._task is not None:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.exception()  # it is seen


async def persistently(role: Role, method: str, *args: Any, returns: int = 1) -> Any:
    """Call a role, and call it again where it died: it goes on from its last saved state.

    Raises:
        RoleFailing: it dies again and again.
    """
    while True:
        try:
            return await role.call(method, *args, returns=returns)
        except RoleLost:
            await asyncio.sleep(AGAIN_S)


async def together(
    loops: Sequence[Coroutine[Any, Any, None]],
    endless: Sequence[Coroutine[Any, Any, None]],
    save: Callable[[], Awaitable[None]],
    save_s: float,
) -> None:
    """Run loops until the run is done; one that fails takes the others with it.

    Args:
        loops: that end by themselves.
        endless: that are ended with them, whatever they are at.
        save: keeps what was learnt, if it can be kept, where a loop failed.
        save_s: how long that may take.

    Raises:
        Exception: what the first loop that failed has raised.
    """
    ending = [asyncio.create_task(loop) for loop in loops]
    tasks = [*ending, *(asyncio.create_task(loop) for loop in endless)]
    try:
        while not all(task.done() for task in ending):
            waiting = [task for task in tasks if not task.done()]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    except Exception:
        await end(tasks)
        with suppress(Exception):  # the first error is the one told
            await asyncio.wait_for(save(), save_s)
        raise
    finally:
        await end(tasks)


async def end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they are gone.

    To cancel once is not enough: before Python 3.12 `asyncio.wait_for` keeps a cancellation to itself where the answer
    that it waits for has come just then, and a loop goes on.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=INSIST_S)
    await asyncio.gather(*tasks, return_exceptions=True)  # how they ended is seen
