"""`Shares`: the shares of a run's replay as its driver sees them, each a role that keeps its own on its disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.events import RoleLost
from cluster.placement import Ask
from cluster.reservations import Reservation
from cluster.supervision import Supervised
from learners.replay.ledger import ReplayLedger
from pipelines.driver.draws import Draws
from pipelines.driver.loops import AGAIN_S
from pipelines.mirror.mirror import Mirror, NoMirror
from pipelines.replay_shard import Standing
from pipelines.scaling.asks import rooms
from pipelines.scaling.attendance import Group

if TYPE_CHECKING:
    from pipelines.driver.books import Books

INSERTS = 5  # tries to store rows before they count as lost


def share_roles(run: Books, ask: Ask, factory: Callable[[Path, int], Any]) -> list[Supervised]:
    """The processes of the shares; none is started here.

    Args:
        run: the books.
        ask: what they ask a cluster for.
        factory: from the directory of a share and an epoch, what makes it; whatever the epoch, it goes on where the
            last one was.
    """
    experiment = run.experiment
    return [
        Supervised(
            f"replay-{index}",
            partial(factory, run.directory.shard(index)),
            deadline_s=experiment.role_deadline_s,
            room=room,
            on_event=run.event,
        )
        for index, room in enumerate(rooms(ask, experiment.replay.shards))
    ]


class Shares:
    """How each stands, and what the learner draws from which."""

    def __init__(
        self,
        roles: Sequence[Supervised],
        frontier: Sequence[int] | None,
        dropped: Callable[[int], None],
        began_again: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """Nothing is known of them yet.

        Args:
            roles: one a share.
            frontier: of each share, the number of the first draw that is in no checkpoint; None: nothing was drawn.
            dropped: told how many units they have dropped since: there is room for as many more.
            began_again: told of a share whose process died or moved, before it is called again.
        """
        self.roles = list(roles)
        self.draws = Draws([0] * len(roles) if frontier is None else frontier)
        self._standing = [Standing(0, 0, 0, -1)] * len(roles)
        self._tell, self._began_again = dropped, began_again

    @property
    def waiting(self) -> int:
        """Units that can be drawn anew."""
        return sum(standing.waiting for standing in self._standing)

    @property
    def dropped(self) -> int:
        """Units that were dropped so far."""
        return sum(standing.dropped for standing in self._standing)

    @property
    def next_epoch(self) -> int:
        """The first epoch at which nobody has written yet."""
        return max(standing.epoch for standing in self._standing) + 1

    def next(self, size: int) -> int | None:
        """The share to draw a batch of so many units from; None where none has enough."""
        return self.draws.next_share([standing.waiting // size for standing in self._standing])

    def stands(self, index: int, standing: Standing, opening: bool = False) -> None:
        """Note how a share stands.

        Args:
            index: of the share.
            standing: as it said.
            opening: whether what it has dropped was before this process began, and makes no room.
        """
        before, self._standing[index] = self._standing[index], standing
        if not opening:
            self._tell(max(0, standing.dropped - before.dropped))

    async def insert(self, actor: int, what: Any, rows: Any) -> tuple[int, Any, Standing] | None:
        """Have rows stored by the share of their actor.

        Args:
            actor: who wrote them.
            what: is said of them.
            rows: by reference.

        Returns:
            The share, what it acknowledged, and how it stands; None where the rows are gone, with their node: the
            share lives, or its supervision would have ended the run.
        """
        index = actor % len(self.roles)
        for _ in range(INSERTS):
            try:
                ack, standing = await self.roles[index].call("insert", what, rows)
            except RoleLost:
                await self.lost(index)
                continue
            return index, ack, standing
        return None

    async def lost(self, index: int) -> None:
        """A share's process died, and begins again."""
        await asyncio.sleep(AGAIN_S)
        if self._began_again is not None:
            await self._began_again(index)

    def groups(self) -> list[Group]:
        """Who leaves a node together: each share for itself."""
        return [Group(role.name, [role], partial(self._move, index)) for index, role in enumerate(self.roles)]

    async def _move(self, index: int, to: Reservation) -> None:
        """What it has acknowledged is on the disk that it will find again."""
        self.roles[index].move("its node will go", to)
        if self._began_again is not None:
            await self._began_again(index)

    async def call(self, index: int, method: str, *args: Any) -> Any:
        """Call a share, and call it again where it died.

        Raises:
            RoleFailing: it dies again and again.
        """
        while True:
            try:
                return await self.roles[index].call(method, *args)
            except RoleLost:
                await self.lost(index)

    async def every(self, method: str, *args: Any) -> list[Any]:
        """Call each in turn, and again where it died; gives what they answered.

        Raises:
            RoleFailing: one dies again and again.
        """
        return [await self.call(index, method, *args) for index in range(len(self.roles))]

    async def rewind(self) -> int:
        """The run goes on from a checkpoint: what was drawn after it is drawn again.

        Returns:
            How many draws are passed over: they were released, and learnt from in a newer checkpoint alone.
        """
        frontier = self.draws.frontier
        found = [await self.call(index, "rewind", number) for index, number in enumerate(frontier)]
        self.draws.frontier = [begin for begin, _ in found]
        self.draws.expect_again([again for _, again in found])
        return sum(self.draws.frontier) - sum(frontier)

    async def books(self) -> tuple[ReplayLedger, ...]:
        """The books of each.

        Raises:
            LedgerBroken: they do not agree with what is there.
        """
        return tuple(await self.every("ledger"))

    async def release(self) -> None:
        """A checkpoint was made at the frontier: what was drawn before it is not asked for again."""
        for index, number in enumerate(self.draws.frontier):
            await self.call(index, "release", number)

    async def copy_to(self, mirror: Mirror | NoMirror) -> None:
        """Copy them as they are now, where a snapshot is due."""
        with mirror.snapshot() as folder:
            if folder is not None:
                for index in range(len(self.roles)):
                    await self.call(index, "copy_to", folder / "replay" / str(index))

    async def close(self) -> None:
        """Let each close its files: what was stored is stored, so one that dies of it is left alone."""
        for role in self.roles:
            with suppress(RoleLost):
                await role.call("close")
