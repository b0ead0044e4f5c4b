"""`Attendance`: sees nodes join, drain and go while a run goes on, and lets what stands on them leave in time.

What can be done anywhere (env actors, engines) moves by itself between two pieces of work (cluster/crew.py). What has
state (learner, reward trainer) is saved, gets room elsewhere first, and moves then; where there is no room before
the node goes, it works until the end and is begun again from what was saved. Where the driver's own node goes, the
run is saved and stopped, to be gone on with elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from cluster.events import Event
from cluster.nodes import Change, Node, NodeWatch, nodes_now, seconds_left
from cluster.placement import amounts
from cluster.reservations import Reservation
from cluster.supervision import Supervised
from pipelines.driver.lifecycle import DRAIN

LOOK_S = 1.0
MARGIN_S = 5.0  # before a node goes, what could not move is left where it is: it was saved
SILENT_S = 15.0  # Ray's control store does not answer: save, because Ray ends this process soon (60 s by default)


class Attendance:
    """Polls in a thread of its own, because Ray's calls block while its head is away."""

    def __init__(
        self,
        driver: str,
        on_event: Callable[[Event], None],
        leaving: Callable[[Mapping[str, float]], None],
        save: Callable[[], Awaitable[None]],
        stop: Callable[[str], None],
        look: Callable[[], Sequence[Node]] = nodes_now,
    ) -> None:
        """Nothing is looked at yet.

        Args:
            driver: id of the node where the driver is.
            on_event: told of what happens to nodes.
            leaving: told which nodes drain, and when each will go, whenever that has changed.
            save: saves the run.
            stop: asks the run to save and stop; told why.
            look: gives the nodes that live.
        """
        self._driver, self._on_event, self._leaving, self._save, self._stop = driver, on_event, leaving, save, stop
        self._look, self._watch = look, NodeWatch()
        self._seen: Sequence[Node] | None = None
        self._seen_at = time.monotonic()
        self._over = threading.Event()
        self._moving: dict[str, asyncio.Task[None]] = {}

    @property
    def draining(self) -> dict[str, float]:
        """When each node that drains will go, by id."""
        return self._watch.draining

    async def attend(self, stateful: Sequence[Group]) -> None:
        """Until cancelled, look and act.

        Args:
            stateful: the roles with state; each group is asked to leave once for each drain.
        """
        threading.Thread(target=self._poll, name="nodes", daemon=True).start()
        silent = False
        try:
            while True:
                if self._seen is not None:
                    nodes, self._seen = self._seen, None
                    self._heed(self._watch.look(nodes))
                for group in stateful:
                    self._move_if_due(group)
                for task in list(self._moving.values()):
                    if task.done():
                        task.result()
                lost = time.monotonic() - self._seen_at > SILENT_S
                if lost and not silent:
                    self._tell("head", "died", f"Ray's control store has not answered for {SILENT_S:.0f} s")
                    await self._save()
                elif silent and not lost:
                    self._tell("head", "recovered", "Ray's control store answers")
                silent = lost
                await asyncio.sleep(LOOK_S / 2)
        finally:
            self._over.set()
            for task in self._moving.values():
                task.cancel()

    def _poll(self) -> None:
        while not self._over.wait(LOOK_S):
            try:
                self._seen = self._look()
                self._seen_at = time.monotonic()
            except ConnectionError:
                continue  # told by its silence

    def _heed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            name = f"node {change.node.ident[:8]}"
            if change.what == "drains":
                left = seconds_left(change.node.leaves_at_s or 0.0)
                self._tell(name, "drains", f"it will go in about {left:.0f} s")
                if change.node.ident == self._driver:
                    self._stop(DRAIN)
            else:
                self._tell(name, change.what, amounts(change.node.resources))
        if changes:
            self._leaving(self._watch.draining)

    def _move_if_due(self, group: Group) -> None:
        due = [self.draining[role.node] for role in group.roles if role.node in self.draining]
        pinned = any(role.room is None or role.room.reservation.ask.node for role in group.roles)
        task = self._moving.get(group.name)
        if due and not pinned and (task is None or task.done()) and min(due) != group.tried:
            group.tried = min(due)
            self._moving[group.name] = asyncio.create_task(self._move(group, min(due)))

    async def _move(self, group: Group, leaves_at_s: float) -> None:
        """Save; find room elsewhere while there is time; save again and move."""
        await self._save()
        room = group.roles[0].room
        assert room is not None
        elsewhere = Reservation(room.reservation.ask)
        until = time.monotonic() + seconds_left(leaves_at_s) - MARGIN_S
        try:
            while not elsewhere.placed:
                if time.monotonic() > until:
                    self._tell(group.name, "stays", "no room elsewhere before its node goes; it is saved")
                    elsewhere.renew()
                    return
                await asyncio.sleep(LOOK_S / 2)
            await group.move(elsewhere)
        except BaseException:
            elsewhere.renew()
            raise

    def _tell(self, who: str, what: str, cause: str) -> None:
        self._on_event(Event(time.time(), who, what, cause))


class Group:
    """Roles with state that move together."""

    def __init__(self, name: str, roles: Sequence[Supervised], move: Callable[[Reservation], Awaitable[None]]) -> None:
        """A group.

        Args:
            name: for events.
            roles: its processes.
            move: saves them and begins them again in other room.
        """
        self.name, self.roles, self.move = name, roles, move
        self.tried: float | None = None  # for which drain it was tried to move
