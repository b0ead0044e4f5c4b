"""How engines get the newest weights: by reference out of the object store, or straight from the learner's memory.

Both ways have one interface, one deadline, and one answer to failure: it is named with its version, tried once more,
and then the engine is replaced. The second way (`engines.sync=nccl`, or `gloo`) has a channel for each engine
(cluster/weight_channel.py), made anew whenever it broke.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from cluster.events import Event, RoleLost
from cluster.supervision import Supervised
from cluster.weight_channel import Address
from cluster.weights import WeightsBoard
from pipelines.driver.learner_group import LearnerGroup
from pipelines.language.run import LanguageRun

SYNCS = 2  # tries to give an engine its weights before it is replaced
GRACE_S = 2.0  # both ends of a channel give up by themselves; who does not even do that so much later is dead


class Delivery:
    """Gives engines their weights by the object store."""

    def __init__(self, books: LanguageRun, board: WeightsBoard, engines: Sequence[Supervised]) -> None:
        """No engine has any yet.

        Args:
            books: told of every delivery and every failure.
            board: the newest weights.
            engines: who gets them.
        """
        self._books, self._board, self._engines = books, board, engines
        self._deadline_s = books.experiment.engines.sync_deadline_s
        self._failures = [0] * len(engines)
        self.has = [-1] * len(engines)  # version of each engine's weights

    def lost(self, index: int) -> None:
        """An engine began again: it has the weights of its directory."""
        self.has[index] = -1

    def went_back(self) -> None:
        """The learner began again where it was saved last; the newest weights are still on the board."""

    def published(self, version: int) -> None:
        """There are weights of this version."""

    def behind(self, index: int) -> bool:
        """Whether there are weights that an engine has not."""
        return self._board.version > self.has[index]

    async def with_call(self, index: int) -> Any:
        """What goes with the next call of an engine, so that it has the newest weights then; None: it has them.

        Raises:
            RoleLost: the engine died of it, or could not be given them; it has been started again.
        """
        return self._board.newer_than(self.has[index])

    def arrived(self, index: int, version: int) -> None:
        """An engine has weights of this version."""
        self.has[index] = max(self.has[index], version)

    async def keep_up(self, index: int) -> bool:
        """Give an engine the newest weights while it writes; gives whether it has got any.

        A new engine gets its first weights with its first call.
        """
        if self.has[index] < 0 or not self.behind(index):
            return False
        return await self._given(index) is not None

    async def _given(self, index: int) -> int | None:
        """Give an engine the newest weights; their version, or None where it failed, which is told and seen to."""
        version = self._board.version
        try:
            version = await self._give(index)
        except RoleLost as error:
            self.lost(index)
            self._unsynced(index, "interrupted", version, error)
            return None
        except Exception as error:  # a transfer that broke off: tried again, and then the engine is replaced
            self._failures[index] += 1
            self._unsynced(index, "failed", version, error)
            if self._failures[index] >= SYNCS:
                self._engines[index].replace(f"weights of version {version} could not be given to it: {error}")
                self.lost(index)
                self._failures[index] = 0
            return None
        self._failures[index] = 0
        self.arrived(index, version)
        self._books.status.syncs += 1
        return version

    async def _give(self, index: int) -> int:
        version = self._board.version
        weights = self._board.newer_than(self.has[index])
        await self._engines[index].call("receive", weights, deadline_s=self._deadline_s)
        return version

    def _unsynced(self, index: int, what: str, version: int, error: Exception) -> None:
        self._books.event(Event(time.time(), f"weights of engine-{index}", what, f"version {version}: {error}"))


class DirectDelivery(Delivery):
    """Gives engines their weights by a channel from the learner, which keeps a copy of its newest ones."""

    def __init__(
        self, books: LanguageRun, board: WeightsBoard, engines: Sequence[Supervised], learner: LearnerGroup
    ) -> None:
        """No channel is open yet.

        Args:
            books: told of every delivery and every failure.
            board: knows the newest version; the weights on it are empty.
            engines: who gets them.
            learner: who has them.
        """
        super().__init__(books, board, engines)
        self._learner = learner
        self._channels: dict[int, tuple[Address, int, int]] = {}  # address, and the epochs of both ends
        self._locks = [asyncio.Lock() for _ in engines]
        self._held = -1  # version that the learner is known to hold; behind the board's where it went back

    def went_back(self) -> None:
        """The learner holds older weights than the board says, and knows of no channel."""
        self._held = -1

    def behind(self, index: int) -> bool:
        """Whether the learner holds weights that an engine has not."""
        return min(self._held, self._board.version) > self.has[index]

    def published(self, version: int) -> None:
        """The learner holds weights of this version."""
        self._held = version

    async def with_call(self, index: int) -> Any:
        """None, always: the engine has been given its weights when this ends.

        Raises:
            RoleLost: it could not be given them.
        """
        tries = 0
        while self.has[index] < 0 or self.behind(index):
            epoch = self._engines[index].epoch
            if await self._given(index) is not None:
                break
            tries += 1
            if self._engines[index].epoch != epoch or tries >= SYNCS:
                raise RoleLost(f"engine-{index} was not given its weights")
        return None

    async def _give(self, index: int) -> int:
        async with self._locks[index]:  # its loop and its next call may both want it
            engine, learner, deadline_s = self._engines[index], self._learner, self._deadline_s
            if engine.fresh:  # a process that only begins is waited for as such: the sender's clock is for transfers
                await engine.call("version", deadline_s=deadline_s)
            here, within_s = self._channels.pop(index, None), deadline_s + GRACE_S
            if here is None or here[1:] != (engine.epoch, learner.epoch):
                address = await learner.call("offer", index, deadline_s=deadline_s)
                here = (Address(*address), engine.epoch, learner.epoch)
                within_s += deadline_s  # they have to meet first
            both: Any = await asyncio.gather(
                learner.call("send", index, deadline_s, deadline_s=within_s),
                engine.call("take", here[0], deadline_s, deadline_s=within_s),
                return_exceptions=True,
            )
            for failure in reversed(both):  # of two ends that lost each other, the engine's tells more
                if isinstance(failure, BaseException):
                    raise failure
            self._channels[index] = here
            return int(both[1])
