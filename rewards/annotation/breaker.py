"""`Breaker`: after some failures in a row, nobody is sent to the judge until one question has found it well again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """A circuit breaker: closed, open for a while, then half open for one probe."""

    def __init__(self, failures: int, cooldown_s: float, clock: Callable[[], float]) -> None:
        """A closed breaker.

        Args:
            failures: consecutive failed batches that open it.
            cooldown_s: how long it stays open.
            clock: seconds, never running backwards.
        """
        self._failures, self._cooldown_s, self._clock = failures, cooldown_s, clock
        self._failed_in_a_row = 0
        self._opened_at: float | None = None
        self.probe_id = -1  # the batch that probes

    @property
    def state(self) -> State:
        """Whether questions may go ("closed"), may not ("open"), or one at a time may probe ("half_open")."""
        at = self.probe_at
        if at is None:
            return "closed"
        return "half_open" if self._clock() >= at else "open"

    @property
    def probe_at(self) -> float | None:
        """From when on one question may probe; None while it is closed."""
        return None if self._opened_at is None else self._opened_at + self._cooldown_s

    def record(self, *, failed: bool) -> None:
        """See how a batch ended."""
        if not failed:
            self._failed_in_a_row, self._opened_at = 0, None
            return
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self._failures:
            self._opened_at = self._clock()
