"""`first_answer`: one call, and after a while the same once more; the first answer counts, the other is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def first_answer(
    call: Callable[[], Awaitable[T]],
    deadline_s: float,
    again: Callable[[], Awaitable[T] | None] = lambda: None,
    again_after_s: float | None = None,
) -> tuple[T, bool]:
    """Call, and call again where the answer is slow.

    A call that fails ends nothing while the other may still answer.

    Args:
        call: makes the first call.
        deadline_s: for both together.
        again: makes the second call, or says with None that it may not be made.
        again_after_s: when; None: never.

    Returns:
        The answer, and whether it is that of the second call.

    Raises:
        asyncio.TimeoutError: no answer by the deadline.
        Exception: what the last call raised, where every one failed.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    first = asyncio.ensure_future(call())
    running = {first}
    try:
        if again_after_s is not None and again_after_s < deadline_s:
            done, _ = await asyncio.wait(running, timeout=again_after_s)
            if not done and (second := again()) is not None:
                running.add(asyncio.ensure_future(second))
        while True:
            done, running = await asyncio.wait(
                running, timeout=max(0.0, deadline - loop.time()), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise asyncio.TimeoutError(f"no answer within {deadline_s:g} s")
            answered = [one for one in done if not one.cancelled() and one.exception() is None]
            if answered or not running:
                one = (answered or [*done])[0]
                return one.result(), one is not first
    finally:
        for one in running:
            one.cancel()
            one.add_done_callback(_heed)


def _heed(task: asyncio.Future[T]) -> None:
    """Look at how a task that was let go ended, so that nobody is told that nobody looked."""
    if not task.cancelled():
        task.exception()
