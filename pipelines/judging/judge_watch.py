"""`JudgeWatch`: who answers for the judge, and since when nobody does.

Ray Serve replaces a dead replica in silence. A run says so aloud: from the processes that answered, from calls that
failed, and, where neither came for a while, from a sign of life that is asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from cluster.events import Event

ROLE = "judge"
ATTEND_S = 2.0  # a judge that was not heard of for so long is asked for a sign of life


class JudgeWatch:
    """Turns answers and failures into the events `started`, `died` and `recovered`.

    Attributes:
        processes: those that have answered, since one of them was missed last.
    """

    def __init__(
        self, replicas: int, on_event: Callable[[Event], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nobody has answered yet.

        Args:
            replicas: the most processes that there are at a time.
            on_event: is told what happened.
            clock: seconds.
        """
        self.processes: set[int] = set()
        self._replicas, self._on_event, self._clock = replicas, on_event, clock
        self._failed_at: float | None = None
        self._heard_at: float | None = None

    def answered(self, process: int, since: float | None = None) -> None:
        """Note which process answered, when it was asked at `since`; one more than there are replicas replaces one."""
        self._heard_at = self._clock()
        if process not in self.processes:
            if len(self.processes) == self._replicas:
                self.failed("its process is gone", since)
                self.processes.clear()
            self.processes.add(process)
            self._on_event(Event(time.time(), ROLE, "started", f"process {process}"))
        if self._failed_at is not None:
            seconds = self._clock() - self._failed_at
            self._failed_at = None
            self._on_event(Event(time.time(), ROLE, "recovered", f"process {process} answers", seconds))

    def failed(self, cause: str, since: float | None = None) -> None:
        """Note that a call made at `since` failed; what fails after it, before any answer, is the same death."""
        if self._failed_at is None:
            self._failed_at = self._clock() if since is None else since
            self._on_event(Event(time.time(), ROLE, "died", cause))

    async def attend(self, sign_of_life: Callable[[], Awaitable[int]]) -> None:
        """Ask who is there whenever no answer has said so, again and again, until cancelled.

        Args:
            sign_of_life: gives the process that answers; it has a deadline of its own.
        """
        silent = False
        while True:
            since = self._clock()
            if self._failed_at is None and (left_s := self._unheard_in(since)) > 0:
                await asyncio.sleep(left_s)
                continue
            try:
                process = await sign_of_life()
            except Exception as error:
                silent = True
                self.failed(f"no sign of life: {error}", since)
            else:
                # A judge whose answers failed has recovered when it answers, and not because its process is there.
                if silent or process not in self.processes:
                    self.answered(process, since)
                silent = False
            await asyncio.sleep(ATTEND_S)

    def _unheard_in(self, now: float) -> float:
        """Seconds until it was not heard of for too long."""
        return 0.0 if self._heard_at is None else self._heard_at + ATTEND_S - now
