"""Room is asked for in the order in which it is hard to find; what is taken for now is waited for, and not for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from cluster.placement import demand
from cluster.supervision import Supervised
from pipelines.errors import UserError

LOOK_S = 0.5


def ask_for_room(roles: Iterable[Supervised]) -> None:
    """Ask for the room of roles without waiting, the most demanding first, as `check_room` reckoned that they fit.

    What stands where Ray likes, as the judge does, must come after: it would take a place that only they can use.
    """
    held = {id(role.room.reservation): role.room.reservation for role in roles if role.room is not None}
    for reservation in sorted(held.values(), key=lambda one: demand(one.ask), reverse=True):
        reservation.begin()


async def await_room(
    roles: Iterable[Supervised],
    wait_s: float,
    say: Callable[[str], None],
    stopping: Callable[[], str | None] = lambda: None,
) -> None:
    """Wait until there is room for roles without which a run cannot begin.

    Args:
        roles: that are not started yet.
        wait_s: how long.
        say: told once what is waited for.
        stopping: why the run is to stop; None: it is not.

    Raises:
        UserError: there was none in time, or the run is to stop.
    """
    held = {id(role.room.reservation): role.room.reservation for role in roles if role.room is not None}
    deadline, told = time.monotonic() + wait_s, False
    while missing := [reservation for reservation in held.values() if not reservation.placed]:
        text = "; ".join(map(str, missing))
        if not told:
            say(f"waits for room: {text}")
            told = True
        if (why := stopping()) is not None:
            raise UserError(f"stopped by {why} while it waited for room: {text}; nothing was begun")
        if time.monotonic() > deadline:
            raise UserError(
                f"no room within {wait_s:.0f} s (placement.wait_s) for {text}: others have it, or no node has come; "
                "free some, ask for less, or wait longer"
            )
        await asyncio.sleep(LOOK_S)
