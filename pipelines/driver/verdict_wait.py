"""`await_verdicts`: a batch waits until its captions have been judged, and no longer than a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

LOOK_S = 0.01  # how often it is looked again


class Waited(NamedTuple):
    """How a wait ended.

    Attributes:
        seconds: that it took.
        missing: what was still missing when it ended.
    """

    seconds: float
    missing: int


def until_told(unsettled: Callable[[], int], verdicts: Callable[[], int], told: Callable[[], int]) -> Callable[[], int]:
    """What is missing until all is judged, and whoever trains on verdicts has been told of those that were there then.

    Args:
        unsettled: how much is not judged.
        verdicts: how many verdicts there are.
        told: of how many the trainer knows; others may come all the time, and are not waited for.
    """
    needed: int | None = None

    def missing() -> int:
        nonlocal needed
        if needed is None:
            if left := unsettled():
                return left
            needed = verdicts()
        return max(0, needed - told())

    return missing


async def await_verdicts(
    missing: Callable[[], int],
    within_s: float,
    meanwhile: Callable[[], Awaitable[object]] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Waited:
    """Wait until nothing is missing, or the bound is reached.

    Args:
        missing: how much is.
        within_s: the bound; 0: nothing is waited for.
        meanwhile: called before each look, where nobody else asks the judge.
        clock: in seconds.
        sleep: between two looks.
    """
    began = clock()
    while True:
        if meanwhile is not None:
            await meanwhile()
        waited = Waited(clock() - began, missing())
        if not waited.missing or waited.seconds >= within_s:
            return waited
        await sleep(min(LOOK_S, within_s - waited.seconds))
