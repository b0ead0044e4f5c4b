"""`World`: the steps of tools, sandboxes and games, in threads beside the engine, each with a deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")

PATIENCE_S = 0.002
"""Threads take turns in Python: quick calls are made soonest by one, and so long it has to keep up with them."""


class World(Generic[Result]):
    """Calls that may be slow, fail or hang.

    One thread makes them; others join it while calls wait that nobody has begun. A thread cannot be stopped: one that
    passes its deadline is left alone and another takes its place. All are daemons, so that none keeps a process from
    ending.
    """

    def __init__(self, threads: int, deadline_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with no thread; there are never more than `threads` that are in time."""
        self._threads, self._deadline_s, self._clock = threads, deadline_s, clock
        self._asked: queue.SimpleQueue[tuple[int, Callable[[], Result]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Result | Exception]] = queue.SimpleQueue()
        self._started: dict[int, float] = {}
        self._pending: set[int] = set()
        self._running = 0

    @property
    def pending(self) -> int:
        """Calls that have not come back."""
        return len(self._pending)

    def submit(self, key: int, call: Callable[[], Result]) -> None:
        """Make a call under a key of its own."""
        self._pending.add(key)
        self._asked.put((key, call))
        if not self._running:
            self._start_thread()

    def collect(self, wait_s: float) -> list[tuple[int, Result | Exception]]:
        """What has come back, by key; an exception where the call raised one, or passed its deadline.

        Args:
            wait_s: at most so long for the first one, where any is pending.
        """
        found: list[tuple[int, Result | Exception]] = []
        until = self._clock() + wait_s
        while self._pending:
            try:
                left = min(until, self._next_deadline()) - self._clock()
                if self._short_of_threads:
                    left = min(left, PATIENCE_S)
                key, result = self._done.get(timeout=left) if not found and left > 0 else self._done.get_nowait()
            except queue.Empty:
                while not found and self._short_of_threads:
                    self._start_thread()
                found += self._overdue()
                if found or self._clock() >= until:
                    break
                continue
            self._started.pop(key, None)
            if key in self._pending:  # else it was given up before
                self._pending.remove(key)
                found.append((key, result))
        return found

    def close(self) -> None:
        """Let the threads go when they have finished what they do."""
        self._pending.clear()
        for _ in range(self._running):
            self._asked.put(None)

    @property
    def _short_of_threads(self) -> bool:
        """Whether calls wait that no thread has begun, and another thread might."""
        return self._running < min(self._threads, len(self._pending)) and not self._asked.empty()

    def _next_deadline(self) -> float:
        started = [at for key, at in list(self._started.items()) if key in self._pending]
        # A call that no thread has begun yet begins when one is free: look again soon.
        return min(started, default=self._clock()) + self._deadline_s

    def _overdue(self) -> list[tuple[int, Result | Exception]]:
        now = self._clock()
        late = [k for k, at in list(self._started.items()) if k in self._pending and now - at >= self._deadline_s]
        for key in late:
            self._pending.remove(key)
            self._running -= 1
            if self._short_of_threads:
                self._start_thread()
        return [(key, TimeoutError(f"no answer within {self._deadline_s:g} s")) for key in late]

    def _start_thread(self) -> None:
        self._running += 1
        threading.Thread(target=self._work, name="world", daemon=True).start()

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            key, call = asked
            self._started[key] = self._clock()
            try:
                result: Result | Exception = call()
            except Exception as error:  # whatever a task raises is its own fault, and is told to whoever asked
                result = error
            given_up = key not in self._pending
            self._done.put((key, result))
            if given_up:  # another thread has its place
                return
