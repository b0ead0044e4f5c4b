"""`RewardTraining`: the reward model is trained on verdicts, and each new one is sent to the learner."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from cluster.events import RoleLost
from cluster.reservations import Reservation
from cluster.supervision import Supervised
from pipelines.driver.loops import persistently
from pipelines.environment.ground import IDLE_S, Ground

# Between two calls of the reward trainer. A call takes some milliseconds of each of trainer, learner and this process,
# whatever it carries. Where batches wait for verdicts each pause is felt; elsewhere a reward is some seconds late.
PAUSE_S, AWAITED_PAUSE_S = 2.0, 0.25
VERSIONS_A_CALL = 8  # of the policy, for which the reward model is trained in one call at most


class RewardTraining:
    """The reward trainer of a run.

    Attributes:
        role: its process.
        told: verdicts that count, when it was last told of them.
        awake: whoever holds it need not wait for the process to end a pause.
    """

    def __init__(self, ground: Ground, role: Supervised, saved: dict[str, Any]) -> None:
        """Nothing is trained yet.

        Args:
            ground: of the run.
            role: its process.
            saved: states of roles in the newest checkpoint.
        """
        self._ground, self._books, self._saved, self.role = ground, ground.books, saved, role
        self._lock = asyncio.Lock()  # held while it is called
        self.awake = asyncio.Lock()
        self._trained_version = -1  # of the policy
        self.told = 0

    async def train_for_ever(self) -> None:
        """Train once for each version of the policy; take new verdicts in between, without training on them again.

        The pause bounds how often a new reward model is sent to the learner: each makes it score all captions anew.
        """
        experiment = self._ground.experiment
        pause_s = AWAITED_PAUSE_S if experiment.verdict_wait_s else PAUSE_S
        while not self._books.done:
            versions = min(self._ground.board.version - self._trained_version, VERSIONS_A_CALL)
            if versions or len(self._books.verdicts.counted) != self.told:
                await self.train(versions * experiment.reward.train_steps)
                await (asyncio.sleep(pause_s) if experiment.verdict_wait_s else self._rest(pause_s))
            else:
                await asyncio.sleep(IDLE_S)

    async def _rest(self, seconds: float) -> None:
        """A pause, made by the process: one that waits for a call takes more of the machine than one that is in one.

        Ray looks a hundred times a second whether the main thread of an idle process has been told to stop, which took
        half of all that the trainer does at ONI's share of questions.
        """
        async with self.awake:
            with suppress(RoleLost):  # the next call tells it everything again
                await self.role.call("rest", seconds, deadline_s=self.role.deadline_s + seconds)

    async def train(self, steps: int | None = None) -> None:
        """One call of the trainer; if it died, it is told everything again and the call is made anew.

        Args:
            steps: of training; None: as many as one version of the policy has; 0: it is told what is new, no more.
        """
        name, version = self.role.name, self._ground.board.version
        steps = self._ground.experiment.reward.train_steps if steps is None else steps
        while True:
            try:
                async with self._lock:
                    known = len(self._books.verdicts.counted)
                    captions, verdicts, _ = self._ground.news_for(name, self.role.epoch)
                    report, snapshot = await self.role.call("step", captions, verdicts, steps, returns=2)
                break
            except RoleLost:
                self._ground.news.forget(name)
                await asyncio.sleep(IDLE_S)
        self._trained_version = version
        self._books.reward_trained(*report)
        if report.sha256:
            self._ground.news.publish(snapshot)
        self.told = known

    async def begin_anew(self) -> None:
        """What it has learnt is of a reward that is not believed any more."""
        async with self._lock:
            await persistently(self.role, "begin_anew")
            self._ground.news.forget(self.role.name)
            self._saved["trainer"] = None  # what was saved of it is of the reward before

    async def move(self, to: Reservation) -> None:
        """Its node will go: it begins elsewhere, from the checkpoint that was just made."""
        async with self._lock:
            self.role.move("its node will go", to)
            self._ground.news.forget(self.role.name)
