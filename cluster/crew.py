"""`Crew`: which processes of an elastic role work: as many as are wanted, on nodes that stay, as far as there is room.

Whoever drives a process asks `ready(index)` between two pieces of its work. That is when one that is not wanted any
more ends, one whose node drains moves, and one that is wanted begins, once there is room for it: nobody is stopped in
the middle, and nobody waits for a node that has not come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from cluster.events import Event
from cluster.supervision import Supervised

LOOK_S = 0.5  # how often it is asked whether there is room


class Crew:
    """Roles by index, of which the first `wanted` are to work."""

    def __init__(
        self,
        roles: Sequence[Supervised],
        wanted: int,
        on_start: Callable[[int], None],
        on_event: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """None of them is started.

        Args:
            roles: as many as there may ever be.
            wanted: how many are to work.
            on_start: told the index of each process that begins, and so knows nothing, or that has ended.
            on_event: told of those that join and leave.
            clock: in seconds.
        """
        self.roles, self.wanted = roles, wanted
        self.leaving: Collection[str] = ()  # ids of nodes that will go
        self._on_start, self._on_event, self._clock = on_start, on_event, clock
        self._looks_at = [0.0] * len(roles)

    @property
    def working(self) -> int:
        """How many have a process."""
        return sum(role.running for role in self.roles)

    @property
    def answering(self) -> int:
        """How many have a process that has answered."""
        return sum(role.running and not role.fresh for role in self.roles)

    def ready(self, index: int) -> bool:
        """Whether a process may be given work now; begins, moves or ends it where that is due."""
        role = self.roles[index]
        if index >= self.wanted:
            if role.running:
                role.stop()
                role.epoch += 1  # what it sent last is told from what another one of its number will send
                self._on_start(index)
                self._tell(role, "left", f"{self.wanted} are enough")
            return False
        if role.running and role.node is not None and role.node in self.leaving:
            role.move("its node will go")
            self._on_start(index)
        if role.running and not role.fresh:
            return True
        if not self._room(index):
            return False
        if not role.running:
            role.start()
            self._on_start(index)
        return True

    def _room(self, index: int) -> bool:
        room = self.roles[index].room
        if room is None:
            return True
        if self._clock() < self._looks_at[index]:
            return False
        if room.reservation.placed:
            return True
        self._looks_at[index] = self._clock() + LOOK_S
        if self.roles[index].running:  # its room has gone with its node
            self.roles[index].end()
            self.roles[index].epoch += 1
        return False

    def _tell(self, role: Supervised, what: str, cause: str) -> None:
        self._on_event(Event(time.time(), role.name, what, cause))
