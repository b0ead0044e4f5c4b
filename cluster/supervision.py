"""`Supervised`: a hosted role that is started again when its process dies or stops answering.

Every wait has a deadline. A death is an event with a name, a time and a cause, kept for the report; what the role
was doing is lost and said so, and the owner decides what to redo.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError

from cluster.events import Event, RoleFailing, RoleLost
from cluster.hosts import start_host
from cluster.reservations import Reservation, Room

LOOK_S = 0.5  # how often it is asked whether the room is still there in which a process is to begin


class _RoomLost(Exception):
    """A process does not begin: its room has gone."""


@dataclass
class Supervised:
    """One role, its host, and its history of deaths.

    Attributes:
        name: of the role, such as "env-actor-0".
        factory: called with the epoch (0, 1, …; one more after each death), gives the factory of the hosted object.
        deadline_s: a call that takes longer counts as a hang: the host is killed and started again.
        room: where it stands, and what is reserved for it there; None: anywhere, one CPU.
        concurrency: calls at the same time, each in a thread of its own.
        node: the node that its process said it stands on; None: not known yet.
        max_deaths_in_a_row: without a single finished call in between.
        by_itself: whether it is started again as soon as it dies; False: whoever owns it decides when (`renew`).
    """

    name: str
    factory: Callable[[int], Callable[[], Any]]
    deadline_s: float
    start_deadline_s: float = 120.0
    room: Room | None = None
    threads: int = 1
    concurrency: int = 1
    max_deaths_in_a_row: int = 5
    epoch: int = 0
    on_event: Callable[[Event], None] = lambda event: None
    by_itself: bool = True
    node: str | None = None
    _host: Any = field(default=None, repr=False)
    _deaths_in_a_row: int = 0
    _died_at: float | None = None
    _died_of: str = ""
    _fresh: bool = True
    _renewed: int = 0  # how often its room had been asked for anew when it was started

    def start(self) -> None:
        """Start the host at the current epoch."""
        options = {"num_cpus": 1.0} if self.room is None else self.room.take()
        self._renewed = 0 if self.room is None else self.room.reservation.renewed
        self._host = start_host(self.factory(self.epoch), self.name, options, self.threads, self.concurrency)
        self._fresh, self.node = True, None

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped."""
        return self._host is not None

    @property
    def fresh(self) -> bool:
        """Whether its process has not answered yet."""
        return self._fresh

    @property
    def host(self) -> Any:
        """The host's handle, for other actors to call; another one after each death."""
        return self._host

    async def call(self, method: str, *args: Any, returns: int = 1, deadline_s: float | None = None) -> Any:
        """Call the hosted object and wait for the answer.

        Args:
            method: name of its method.
            args: plain values, or object references (which arrive as their values).
            returns: with 2, the first part of a returned pair is fetched and the second stays behind a reference.
            deadline_s: of this call, instead of the role's.

        Raises:
            RoleLost: the role died or hung; where it is started again `by_itself`, it has been, at the next epoch.
            RoleFailing: it does so again and again.
            Exception: whatever the method itself raised.
        """
        host = self._host
        if host is None:
            raise RoleLost(f"{self.name}: {self._died_of or 'it has no process'}")
        deadline_s = (deadline_s or self.deadline_s) + (self.start_deadline_s if self._fresh else 0.0)
        answer: Any = None
        try:
            answer = host.call.options(num_returns=returns).remote(method, *args)
            first = answer if returns == 1 else answer[0]
            value = await asyncio.wait_for(self._begun(first) if self._fresh else first, deadline_s)
        except RayTaskError as error:
            if isinstance(error.cause, RayError):  # an argument was lost before the call began
                raise RoleLost(f"{self.name}: {_cause(error.cause)}") from error
            # The error itself, and not Ray's, whose text is the traceback of another process.
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except asyncio.TimeoutError:
            self._restart(host, f"no answer to {method}() within {deadline_s:.0f} s", kill=True)
            raise RoleLost(f"{self.name}: {self._died_of}") from None
        except RayActorError as error:
            # One that cannot be reached may live on behind a broken network; there must not be two of it.
            self._restart(host, _cause(error), kill=isinstance(error, ActorUnavailableError))
            raise RoleLost(f"{self.name}: {self._died_of}") from error
        except RayError as error:
            # A lost argument or a full object store: the host lives, the call does not.
            raise RoleLost(f"{self.name}: {_cause(error)}") from error
        except _RoomLost:
            self._restart(host, "its node had gone before it began", kill=True)
            raise RoleLost(f"{self.name}: {self._died_of}") from None
        if self._fresh:
            self._fresh = False
            await self._introduce(host)
        self._deaths_in_a_row = 0
        if self._died_at is not None:
            self.on_event(Event(time.time(), self.name, "recovered", self._died_of, time.monotonic() - self._died_at))
            self._died_at = None
        return value if returns == 1 else (value, answer[1])

    async def _begun(self, answer: Any) -> Any:
        """Wait for a process that may not have begun: Ray does not tell where its room has gone, with its node."""
        task = asyncio.ensure_future(answer)
        try:
            while not (await asyncio.wait([task], timeout=LOOK_S))[0]:
                room = None if self.room is None else self.room.reservation
                if room is not None and (room.renewed != self._renewed or room.lost):
                    raise _RoomLost
            return task.result()
        finally:
            task.cancel()

    async def _introduce(self, host: Any) -> None:
        """Tell where a host is that has just begun to answer."""
        try:
            pid, node = await asyncio.wait_for(host.whereabouts.remote(), self.deadline_s)
        except (RayError, asyncio.TimeoutError):
            return  # the next call will find out what is wrong
        if host is self._host:
            self.node = node
        self.on_event(Event(time.time(), self.name, "started", f"process {pid}"))

    def _restart(self, host: Any, cause: str, kill: bool) -> None:
        if host is None or host is not self._host:
            return  # a concurrent call saw the same death first
        if kill:
            ray.kill(host, no_restart=True)
        self._deaths_in_a_row += 1
        self._died_at = self._died_at or time.monotonic()
        self._died_of = cause
        self.on_event(Event(time.time(), self.name, "died", cause))
        if self._deaths_in_a_row > self.max_deaths_in_a_row:
            raise RoleFailing(
                f"{self.name} died {self._deaths_in_a_row} times in a row, last of: {cause}. "
                "Ray's logs of its process say more; lower the number of environments if memory ran out"
            )
        if not self.by_itself:
            self._host = self.node = None
            return
        self.epoch += 1
        self.start()

    def renew(self, epoch: int, cause: str) -> None:
        """Start it at `epoch`; where it lives, kill it first."""
        if self._host is not None:
            ray.kill(self._host, no_restart=True)
            self.on_event(Event(time.time(), self.name, "renewed", cause))
        self.epoch = epoch
        self.start()

    def end(self) -> None:
        """Kill the host and keep its room, for another."""
        if self._host is not None:
            ray.kill(self._host, no_restart=True)
        self._host = self.node = None

    def move(self, cause: str, to: Reservation | None = None) -> None:
        """Kill the host and start it in other room, at the next epoch: where it stands it cannot stay.

        Args:
            cause: why.
            to: where; None: wherever there is room.
        """
        if self.room is not None:
            ray.kill(self._host, no_restart=True)
            self.room.reservation.renew()
            self.room.reservation = to or self.room.reservation
        self.renew(self.epoch + 1, cause)

    def replace(self, cause: str) -> None:
        """Kill the host and start another, at the next epoch: it lives, and is of no use.

        Raises:
            RoleFailing: it was of no use again and again.
        """
        self._restart(self._host, cause, kill=True)

    def stop(self) -> None:
        """Kill the host, and give its room back, or what was asked for in vain."""
        if self._host is not None and ray.is_initialized():
            ray.kill(self._host, no_restart=True)
        if self.room is not None:
            self.room.give_back()
        self._host = self.node = None


def _cause(error: BaseException) -> str:
    """What Ray says in its first line; where the object could not be made, why, which stands in the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1 if "creation task" in lines[0] else 0][:300]
