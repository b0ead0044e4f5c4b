"""`Learning`: an update whenever there is a batch, its weights to whoever acts, and checkpoints between updates.

A learner that died begins where it was saved last, is told all there is to know, and is given all draws since then
again, in their order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from cluster.events import RoleLost
from envs.trajectory import Fragment
from pipelines.driver.learner_group import LearnerGroup
from pipelines.driver.loops import Uninterrupted, persistently
from pipelines.driver.regrouping import Regrouping
from pipelines.driver.verdict_wait import await_verdicts, until_told
from pipelines.environment.ground import IDLE_S, Ground
from pipelines.environment.reward_training import RewardTraining
from pipelines.stages import SECONDS


class _Prepared(NamedTuple):
    """A batch that the learner was given.

    Attributes:
        number: of the batch.
        fragments: that it is made of.
        sampling_s: how long it took to draw.
    """

    number: int
    fragments: list[Fragment]
    sampling_s: float


class Learning:
    """The learner of a run, and what it draws.

    Attributes:
        regrouping: has its processes begin again, where nodes or room come and go.
        moved_at: when the last update was made, by the monotonic clock.
    """

    def __init__(
        self, ground: Ground, learner: LearnerGroup, trainer: RewardTraining | None, saved: dict[str, Any]
    ) -> None:
        """Nothing is learnt yet.

        Args:
            ground: of the run.
            learner: its learners.
            trainer: of the reward model, whose state is in checkpoints, too; None: the reward is not learnt.
            saved: states of roles in the newest checkpoint; kept up to date here.
        """
        self._ground, self._books, self._learner = ground, ground.books, learner
        self._trainer, self._saved = trainer, saved
        self._draws = ground.shares.draws
        self._epoch = 0  # of the learner, when it was looked at last
        self._ahead: _Prepared | None = None  # given to the learner while it learnt from another
        self._batches = 0  # that it was given
        self._lock = asyncio.Lock()  # held while an update is made
        self._updating = Uninterrupted()
        self.regrouping = Regrouping(learner, self.save, self._lock, self._went_back)
        self.moved_at = time.monotonic()

    async def first_weights(self) -> int:
        """Wait for the learner, and publish what it begins with; gives the version."""
        version, weights = await persistently(self._learner, "first_weights", returns=2)
        self._ground.board.publish(version, weights)
        return int(version)

    async def learn(self) -> None:
        """Update whenever there is a batch, and publish the weights."""
        while not self._books.done:
            began = time.monotonic()
            # A batch that waits for verdicts is not given ahead: the weights before it would wait to be published.
            if not await self.update(ahead=not self._ground.experiment.verdict_wait_s):
                await asyncio.sleep(IDLE_S / 4)
                self._ground.waits.add("learner", time.monotonic() - began)

    async def update(self, ahead: bool = False) -> bool:
        """One update, if there is a batch; gives whether there was.

        Args:
            ahead: whether the next batch is given to the learner while it learns from this one.
        """
        async with self._lock:  # a checkpoint is made between two updates
            return await self._updating.run(self._update_now(ahead))

    async def _update_now(self, ahead: bool) -> bool:
        batch, self._ahead = self._ahead or await self._prepare(), None
        if batch is None:
            return False
        learning = asyncio.create_task(self._learner.call("learn", batch.number, returns=2))
        try:
            if ahead:
                self._ahead = await self._prepare()
            metrics, weights = await learning
        except RoleLost:
            self._went_back()
            self._draws.given_up(self._draws.ahead)  # where it lives, it is given the same batches again
            self._ahead = None
            await asyncio.sleep(IDLE_S)
            return True
        finally:
            learning.cancel()
        if self._draws.learnt():
            self._books.learnt({**metrics, SECONDS + "sample": batch.sampling_s}, batch.fragments)
        board = self._ground.board
        if int(metrics["version"]) > board.version:
            board.publish(int(metrics["version"]), weights)
            self._ground.admission.on_version(board.version)
        self.moved_at = time.monotonic()
        return True

    async def _prepare(self) -> _Prepared | None:
        """Draw a batch and give it to the learner, with all that it has not been told; None where there is none."""
        shares, draws = self._ground.shares, self._draws
        index = shares.next(self._ground.experiment.batch_fragments)
        if index is None:
            return None
        number, again, began = draws.number(index), draws.again, time.perf_counter()
        drawn = False
        try:
            version = self._ground.board.version + draws.ahead  # that it will have when it learns from this
            (fragments, standing), rows = await shares.roles[index].call("draw", number, version, returns=2)
            sampling_s = time.perf_counter() - began
            shares.stands(index, standing)
            if not fragments and not again:
                return None  # some were too old
            await self._await_verdicts(fragments)
            if self._went_back():
                return None  # the learner for whom this was drawn has died meanwhile
            draws.drawn(index)
            drawn = True
            self._batches += 1
            batch = _Prepared(self._batches, fragments, sampling_s)
            captions, _, snapshot = self._ground.news_for("learner", self._learner.epoch)
            await self._learner.call("prepare", batch.number, captions, snapshot, rows)
        except RoleLost:
            if not self._went_back() and drawn:  # the learner lives, and does not have the batch: it is told all again
                draws.given_up()
                self._ground.news.forget("learner")
            await asyncio.sleep(IDLE_S)
            return None
        return batch

    async def _await_verdicts(self, fragments: Sequence[Fragment]) -> None:
        """Wait, within the bound, until the captions of a batch are judged and the reward model knows of it."""
        experiment, books, trainer = self._ground.experiment, self._books, self._trainer
        within_s = experiment.verdict_wait_s
        if trainer is None or not within_s or experiment.max_staleness == 0:  # taking turns, it was waited for before
            return
        missing = until_told(
            lambda: 0 if books.done else books.verdicts.unsettled(fragments),
            lambda: 0 if books.done else len(books.verdicts.counted),
            lambda: trainer.told,
        )
        books.waited(await await_verdicts(missing, within_s))

    def _went_back(self) -> bool:
        """Whether the learner died since this was asked last, and so began again where it was saved."""
        if self._epoch == self._learner.epoch:
            return False
        self._epoch = self._learner.epoch
        self._ground.news.forget("learner")
        self._ahead = None
        self._draws.back_to_frontier()
        return True

    async def save(self) -> None:
        """Write a checkpoint between two updates."""
        shares, books = self._ground.shares, self._books
        # The trainer's pause is waited for before anything stands still.
        async with self._trainer.awake if self._trainer is not None else nullcontext(), self._lock:
            await self._updating.over()  # its loop may have been ended in the middle
            while self._ahead is not None:  # what the learner has been given is in the checkpoint
                await self._updating.run(self._update_now(ahead=False))
            states: dict[str, Any] = {"learner": await persistently(self._learner, "state"), "trainer": None}
            self._went_back()  # where it died just now, that state is the one that was saved before
            if self._trainer is not None:
                states["trainer"] = await persistently(self._trainer.role, "state")
            books.shares = await shares.books()
            self._saved.update(states)
            books.save(states, self._draws.save())
            await shares.release()
            books.shares = await shares.books()
            await shares.copy_to(books.mirror)
