"""`Learning`: an update whenever there is a batch of judged groups, its weights to whoever writes, and checkpoints.

A learner that died begins where it was saved last, and is given all draws since then again, in their order.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

from cluster.events import RoleLost
from pipelines.driver.learner_group import LearnerGroup
from pipelines.driver.loops import Uninterrupted, persistently
from pipelines.driver.regrouping import Regrouping
from pipelines.language.ground import IDLE_S, NEWS_S, Ground
from pipelines.language.groups import GroupReport


class _Drawn(NamedTuple):
    """A batch for the learner.

    Attributes:
        reports: of its groups.
        rows: by reference.
    """

    reports: list[GroupReport]
    rows: Any


class Learning:
    """The learner of a run, and what it draws.

    Attributes:
        regrouping: has its processes begin again, where nodes or room come and go.
        moved_at: when the last update was made, by the monotonic clock.
    """

    def __init__(self, ground: Ground, learner: LearnerGroup, saved: dict[str, Any]) -> None:
        """Nothing is learnt yet.

        Args:
            ground: of the run.
            learner: its learners.
            saved: states of roles in the newest checkpoint; kept up to date here.
        """
        self._ground, self._books, self._learner, self._saved = ground, ground.books, learner, saved
        self._draws = ground.shares.draws
        self._epoch = 0  # of the learner, when it was looked at last
        self._ahead: _Drawn | None = None  # drawn while the learner learnt from another
        self._learnt: list[GroupReport] = []  # since the last checkpoint
        self._lock = asyncio.Lock()  # held while an update is made
        self._updating = Uninterrupted()
        self.regrouping = Regrouping(learner, self.save, self._lock, self._went_back)
        self.moved_at = time.monotonic()

    async def first_weights(self) -> int:
        """Wait for the learner, and publish what it begins with; gives the version."""
        version, weights = await persistently(self._learner, "first_weights", returns=2)
        self._publish(version, weights)
        return int(version)

    async def learn(self) -> None:
        """Update whenever there is a batch, and publish the weights."""
        while not self._books.done:
            began = time.monotonic()
            if not await self.update(ahead=True):
                await self._ground.news.heard(NEWS_S)
                self._ground.waits.add("learner", time.monotonic() - began)

    async def update(self, ahead: bool = False) -> bool:
        """One update, if there is a batch. A learner that died goes back to what was saved, and draws it all again.

        Args:
            ahead: whether the batch after it is drawn meanwhile.
        """
        async with self._lock:  # a checkpoint is made between two updates
            return await self._updating.run(self._update_now(ahead))

    async def _update_now(self, ahead: bool) -> bool:
        self._went_back()  # it may have died of sending weights
        batch, self._ahead = self._ahead or await self._draw(), None
        if batch is None:
            return False
        ahead = ahead and self._books.status.updates + 1 < self._ground.experiment.updates
        values = self._books.values_of(batch.reports)
        learning = asyncio.ensure_future(self._learner.call("learn", batch.rows, values, returns=2))
        try:
            while ahead and self._ahead is None and not learning.done():
                self._ahead = await self._draw()
                if self._ahead is None:
                    await self._ground.news.heard(NEWS_S, learning)
            update, weights = await learning
        except RoleLost:
            if not self._went_back():
                self._give_back(self._draws.ahead)
            await asyncio.sleep(IDLE_S)
            return True
        finally:
            learning.cancel()
        self._learnt += batch.reports
        if self._draws.learnt():
            self._books.learnt(update)
        version = int(update.metrics["version"])
        if version > self._ground.board.version:
            self._publish(version, weights)
            self._ground.admission.on_version(version)
        self.moved_at = time.monotonic()
        self._ground.news.ring()
        return True

    async def _draw(self) -> _Drawn | None:
        """A batch of judged groups; None where there is none, or where a share of the replay or the learner died."""
        shares = self._ground.shares
        index = shares.next(self._ground.experiment.prompts)
        if index is None:
            return None
        number, again = self._draws.number(index), self._draws.again
        version = self._ground.board.version + self._draws.ahead  # that the learner will have when it learns from this
        epoch = self._learner.epoch
        try:
            (reports, standing), rows = await shares.roles[index].call("draw", number, version, returns=2)
        except RoleLost:
            await shares.lost(index)
            return None
        shares.stands(index, standing)
        if self._learner.epoch != epoch or (not reports and not again):  # some were too old
            return None
        self._draws.drawn(index)
        return _Drawn(reports, rows)

    def _give_back(self, draws: int) -> None:
        """So many draws did not reach the learner, and are made again."""
        self._draws.given_up(draws)
        self._ahead = None

    def _publish(self, version: int, weights: Any) -> None:
        self._ground.board.publish(version, weights)
        self._ground.delivery.published(version)

    def _went_back(self) -> bool:
        """Whether the learner died since this was asked last, and so began again where it was saved."""
        if self._learner.epoch == self._epoch:
            return False
        self._epoch = self._learner.epoch
        self._draws.back_to_frontier()
        self._ground.delivery.went_back()
        self._learnt, self._ahead = [], None
        return True

    async def save(self) -> None:
        """Write a checkpoint between two updates."""
        shares = self._ground.shares
        async with self._lock:
            await self._updating.over()  # its loop may have been ended in the middle
            if self._ahead is not None:  # it is drawn again, and is the same then
                self._give_back(1)
            state = await persistently(self._learner, "state")
            self._went_back()  # where it died just now, that state is the one that was saved before
            self._books.shares = await shares.books()
            self._saved["learner"] = state
            self._books.save({"learner": state}, self._draws.save(), self._learnt)
            self._learnt = []
            await shares.release()
            self._books.shares = await shares.books()
            await shares.copy_to(self._books.mirror)
