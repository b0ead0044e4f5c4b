"""`LearnerGroup`: the learner processes that share each batch, and begin and end together.

Every learner is told the same, takes its share of the rows, and the gradients are added up between them
(torch.distributed): together they take the step that one would take with the whole batch. Where one dies the others
wait for it in vain, so the group forms anew where the run was saved last: with those that have room then, within its
bounds, and with more when room has come.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import ray
from torch._C._distributed_c10d import TCPStore

from cluster.events import Event, RoleFailing, RoleLost
from cluster.reservations import Reservation, Room
from cluster.supervision import Supervised
from pipelines.driver.seats import Seat
from pipelines.scaling.membership import Membership

GRACE_S = 60.0  # from an error of one learner until Ray says that another's node, and so its death, was behind it
LOOK_S = 0.5  # how often it is asked whether there is room
BEGIN_S = 5.0  # how long a group that may be smaller waits for the room of all before it begins


class LearnerGroup:
    """Learners behind the calls of one: `Supervised`, several times."""

    def __init__(
        self,
        make: Callable[[int, Callable[[int], Seat], Room], Supervised],
        membership: Membership,
        rooms: Sequence[Room],
        wait_s: float,
        on_event: Callable[[Event], None],
    ) -> None:
        """Make the roles; nothing is started yet.

        Args:
            make: a role, from its place, from what gives its seat in each epoch, and from where it stands. The group
                starts it, again and again, so it must not start `by_itself`.
            membership: how many may take part, and when.
            rooms: of each place, as many as there may ever be learners.
            wait_s: how long is waited for room for the fewest that may be.
            on_event: told who leaves and joins.
        """
        self._host, self._port = "", 0
        if max(membership.sizes) > 1:
            self._host = ray.util.get_node_ip_address()
            self._store = _meeting_place(self._host)  # it belongs to the process that outlives them
            self._port = self._store.port
        self._membership, self._wait_s, self._on_event = membership, wait_s, on_event
        self.roles: Sequence[Supervised] = [make(place, self._seats(place), room) for place, room in enumerate(rooms)]

    def _seats(self, place: int) -> Callable[[int], Seat]:
        def seat(epoch: int) -> Seat:
            members = self._membership.members
            return Seat(members.index(place), len(members), self._host, self._port, str(epoch))

        return seat

    @property
    def epoch(self) -> int:
        """How often they have begun again."""
        return self._membership.epoch

    @property
    def elastic(self) -> bool:
        """Whether there may be more or fewer."""
        return len(self._membership.sizes) > 1

    @property
    def size(self) -> int:
        """How many share a batch now; 0: they wait for room."""
        return len(self._membership.members)

    async def begin(self, count: int) -> None:
        """Start them: as many as this where there is room for them soon, or else fewer, within the bounds.

        Raises:
            RoleFailing: there is no room for the fewest.
        """
        until = time.monotonic() + BEGIN_S
        while self.elastic and sum(self._room()[:count]) < count and time.monotonic() < until:
            await asyncio.sleep(LOOK_S)
        await self._assembled(count)

    def stop(self) -> None:
        """Stop them all."""
        for role in self.roles:
            role.stop()

    def move(self, cause: str, to: Reservation, only: Supervised | None = None) -> None:
        """Begin all of them again, where the run was saved last: all, or this one, in other room."""
        for role in self.roles if only is None else [only]:
            if role.room is not None:
                role.room.reservation.renew()
                role.room.reservation = to
        self._form(cause)

    def may_grow(self) -> bool:
        """Whether room for more has come; asks for it where there may be more."""
        return self.elastic and self._membership.may_grow(self._room())

    def grow(self) -> None:
        """Begin all of them again, where the run was saved last, with those for which there is room now."""
        self._form("room for more has come")

    async def call(self, method: str, *args: Any, returns: int = 1, deadline_s: float | None = None) -> Any:
        """Call all learners; gives the answer of the first. See `Supervised.call`.

        Raises:
            RoleLost: one of them died or hung; the group has formed anew, or does as soon as there is room.
            RoleFailing: it dies again and again, or there was no room for the fewest in time.
        """
        await self._assembled(len(self.roles))
        epoch, roles = self.epoch, [self.roles[place] for place in self._membership.members]
        calls = [
            asyncio.create_task(role.call(method, *args, returns=returns, deadline_s=deadline_s)) for role in roles
        ]
        try:
            while not (errors := _errors(calls)) and not all(call.done() for call in calls):
                await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
            if not errors:
                return calls[0].result()
            until = time.monotonic() + GRACE_S
            while not any(isinstance(error, RoleLost) for error in errors) and time.monotonic() < until:
                if not (waiting := [call for call in calls if not call.done()]):
                    break
                await asyncio.wait(waiting, timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
                errors = _errors(calls)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        failing = next((error for error in errors if isinstance(error, RoleFailing)), None)
        lost = failing or next((error for error in errors if isinstance(error, RoleLost)), None)
        if lost is None or failing is not None:
            raise failing or errors[0]
        if epoch == self.epoch and not all(role.running for role in roles):
            self._form(f"begins again with the others: {lost}")
        raise lost

    async def _assembled(self, count: int) -> None:
        """Wait until a group has formed; of the first so many places, where none has yet.

        Raises:
            RoleFailing: there was no room in time.
        """
        until = time.monotonic() + self._wait_s
        while not self._membership.members:
            if self._membership.possible(self._room()[:count]):
                self._form("there is room", count)
            elif time.monotonic() > until:
                raise RoleFailing(
                    f"no room within {self._wait_s:.0f} s (stall_timeout_s) for {self._membership.sizes[0]} learners, "
                    "the fewest that may share a batch: free some, lower scaling.learners.least, or wait longer"
                )
            else:
                await asyncio.sleep(LOOK_S)

    def _form(self, cause: str, count: int | None = None) -> None:
        """Form anew at the next epoch, and say who has left and joined."""
        first = self.epoch < 0
        left, joined = self._membership.form(self._room()[:count])
        now = f"{self.size} of at most {len(self.roles)} share a batch"
        for place, role in enumerate(self.roles):
            if place in self._membership.members:
                role.renew(self.epoch, cause)
            else:
                role.end()
            if self.elastic and not first and (place in left or place in joined):
                self._on_event(Event(time.time(), role.name, "left" if place in left else "joined", f"{now}: {cause}"))

    def _room(self) -> list[bool]:
        """Of each place, whether there is room; asks for it where nobody has yet."""
        return [role.room is None or role.room.reservation.placed for role in self.roles]


def _meeting_place(host: str) -> TCPStore:
    """A store that listens on this address alone, and not on all that the machine has."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen()
        port = listener.getsockname()[1]
        return TCPStore(
            host, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach(), use_libuv=False
        )


def _errors(calls: Sequence[asyncio.Task[Any]]) -> list[BaseException]:
    """Of the calls that are over, what they raised."""
    found = [call.exception() for call in calls if call.done() and not call.cancelled()]
    return [error for error in found if error is not None]
