"""`Elasticity`: measures how hard a role is pressed and lets its crew grow and shrink, while a run goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from cluster.events import Event
from cluster.scaler import Bounds, Scaler
from cluster.scaler import Config as SpeedConfig

TICK_S = 1.0


class Sized(Protocol):
    """Processes of one role.

    Attributes:
        wanted: how many there are to be.
    """

    wanted: int

    @property
    def answering(self) -> int:
        """How many have begun to answer."""
        ...


class Elasticity:
    """One elastic role: its crew, who decides, and how that is told."""

    def __init__(
        self,
        role: str,
        crew: Sized,
        bounds: Bounds,
        speed: SpeedConfig,
        pressure: Callable[[], float],
        on_event: Callable[[Event], None],
        resized: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is measured yet.

        Args:
            role: its name, for events.
            crew: its processes.
            bounds: of their number.
            speed: how fast it may change.
            pressure: how hard they are pressed since it was asked last.
            on_event: told of each change.
            resized: told how many are wanted.
            clock: in seconds.
        """
        least, most = bounds.around(crew.wanted) if crew.wanted else (1, 1)
        self._role, self._crew, self._pressure = role, crew, pressure
        self._on_event, self._resized = on_event, resized
        self._scaler = Scaler(speed, least, most, max(1, crew.wanted), clock)

    @property
    def elastic(self) -> bool:
        """Whether the bounds leave a choice."""
        return self._scaler.least < self._scaler.most

    async def attend(self) -> None:
        """Until cancelled, measure and decide."""
        while self.elastic:
            await asyncio.sleep(TICK_S)
            self.look()

    def look(self) -> None:
        """One look. While some that are wanted have not come, the others say nothing about how many are enough."""
        pressure = self._pressure()
        before = self._crew.wanted
        if self._crew.answering < before:
            self._scaler.forget()
            return
        wanted = self._scaler.observe(pressure)
        if wanted != before:
            self._crew.wanted = wanted
            self._resized(wanted)
            cause = f"{before} to {wanted}: they are pressed by {pressure:.2f}"
            self._on_event(Event(time.time(), self._role, "scaled", cause))
