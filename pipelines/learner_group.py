"""`LearnerGroup`: several learner processes that share each batch, and live and die together.

Every learner is told the same, takes its share of the rows, and the gradients are added up between them
(torch.distributed): together they take the step that one would take with the whole batch. Where one dies the others
wait for it in vain, so all of them begin again where the run was saved last.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import ray
import torch
import torch.distributed
from torch._C._distributed_c10d import PrefixStore, TCPStore

from cluster.reservations import Reservation, Room
from cluster.supervision import RoleLost, Supervised
from learners.language.world import ALONE, World

GRACE_S = 10.0  # from an error of one learner until it is known that another's death was behind it


class Seat(NamedTuple):
    """One learner's place among those that share a batch.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        host: where the learners of a run find each other.
        port: of that host.
        group: a name for each beginning, so that the dead and the living do not meet.
    """

    rank: int = 0
    size: int = 1
    host: str = ""
    port: int = 0
    group: str = ""


ONLY = Seat()  # of a learner that shares batches with nobody


def join(seat: Seat, device: torch.device, timeout_s: float) -> World:
    """Meet the other learners.

    Args:
        seat: this learner's.
        device: where it learns; decides how gradients travel.
        timeout_s: how long one waits for the others, here and in each step.

    Raises:
        torch.distributed.DistError: they did not all come.
    """
    if seat.size == 1:
        return ALONE
    if seat.host == "127.0.0.1":  # as the meeting place, so the gradients: on loopback alone
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    timeout = timedelta(seconds=timeout_s)
    store = TCPStore(seat.host, seat.port, is_master=False, timeout=timeout)
    torch.distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore(seat.group, store),
        rank=seat.rank,
        world_size=seat.size,
        timeout=timeout,
    )
    return World.joined()


class LearnerGroup:
    """Learners behind the calls of one: `Supervised`, several times."""

    def __init__(
        self, make: Callable[[int, Callable[[int], Seat], Room], Supervised], size: int, rooms: Sequence[Room]
    ) -> None:
        """Make the roles; nothing is started yet.

        Args:
            make: a role, from its rank, from what gives its seat in each epoch, and from where it stands.
            size: how many learners.
            rooms: of each rank.
        """
        host, port = "", 0
        if size > 1:
            host = ray.util.get_node_ip_address()
            self._store = _meeting_place(host)  # it belongs to the process that outlives them
            port = self._store.port

        def seats(rank: int) -> Callable[[int], Seat]:
            return lambda epoch: Seat(rank, size, host, port, str(epoch))

        self.roles: Sequence[Supervised] = [make(rank, seats(rank), rooms[rank]) for rank in range(size)]

    @property
    def epoch(self) -> int:
        """How often they have begun again."""
        return self.roles[0].epoch

    def start(self) -> None:
        """Start them all."""
        for role in self.roles:
            role.start()

    def stop(self) -> None:
        """Stop them all."""
        for role in self.roles:
            role.stop()

    def move(self, cause: str, to: Reservation) -> None:
        """Begin all of them again in other room, where the run was saved last."""
        for role in self.roles:
            role.move(cause, to)

    async def call(self, method: str, *args: Any, returns: int = 1) -> Any:
        """Call all learners; gives the answer of the first. See `Supervised.call`.

        Raises:
            RoleLost: one of them died or hung; all have been started again.
        """
        if len(self.roles) == 1:
            return await self.roles[0].call(method, *args, returns=returns)
        calls = [asyncio.create_task(role.call(method, *args, returns=returns)) for role in self.roles]
        try:
            await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
            if not (errors := _errors(calls)):
                return calls[0].result()
            if not any(isinstance(error, RoleLost) for error in errors):
                await asyncio.wait(calls, timeout=GRACE_S)
                errors = _errors(calls)
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        lost = next((error for error in errors if isinstance(error, RoleLost)), None)
        if lost is None:
            raise errors[0]
        newest = max(role.epoch for role in self.roles)
        for role in self.roles:
            if role.epoch < newest:
                role.renew(newest, f"begins again with the others: {lost}")
        raise lost


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
