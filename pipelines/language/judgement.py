"""`Judgement`: has each group judged by all rewards, keeps the verdicts, and lets the group be drawn.

A group waits for its own rewards and for no others. Verdicts are stored in the order of the groups, whatever order they
came in.
"""

from __future__ import annotations

import asyncio
import time

import pyarrow as pa

from cluster.events import RoleLost
from cluster.placement import Ask
from cluster.scaler import Bounds
from cluster.supervision import Supervised
from pipelines.driver.errands import Errands
from pipelines.driver.loops import Bell
from pipelines.language.annotation import annotate
from pipelines.language.ground import IDLE_S, NEWS_S, Ground
from pipelines.language.groups import GroupReport
from pipelines.language.processes import reward_role
from pipelines.language.reward_parts import Columns
from pipelines.language.reward_pool import RewardPool
from pipelines.scaling.asks import rooms
from pipelines.scaling.host import Elasticity
from pipelines.scaling.pressure import queue_pressure
from rewards.judges.judge import Answer
from rewards.verdicts import Verdict

SETTLE_S = 0.1  # how long verdicts that make no batch whole may wait for others
AIM = 4.0  # groups a reward worker that are as they should be: those it works on, and as many that wait
HIRED_ROOM = Ask("rewards", 1, {})


class Judgement:
    """The rewards of a run, and the groups that wait for them."""

    def __init__(self, ground: Ground, ask: Ask) -> None:
        """Nobody is asked yet.

        Args:
            ground: of the run.
            ask: what the processes of rewards ask a cluster for.
        """
        self._ground, self._books, experiment = ground, ground.books, ground.experiment
        parts = self._books.rewards.parts
        hosted = any(not part.waits for part in parts)
        batched = {part.name for part in parts if part.function is not None and part.function.batched}
        self._rooms = rooms(ask, experiment.scaling.rewards.around(experiment.rewards.workers)[1])
        self._pool = RewardPool(experiment.rewards.workers if hosted else 0, self._host, batched)
        self.elasticity = Elasticity(
            "reward-workers",
            self._pool,
            experiment.scaling.rewards if hosted else Bounds(),
            experiment.scaling.speed,
            lambda: queue_pressure(self._pool.asked, self._pool.wanted, AIM),
            self._books.event,
            lambda count: None,
        )
        self._verdicts_came = Bell()
        self._judging = Errands(self._verdicts_came)
        self._finished: list[tuple[int, GroupReport, list[list[Verdict]]]] = []

    def _host(self, number: int) -> Supervised:
        # Those that are hired while others hang must find room: nothing is set aside for them.
        room = self._rooms[number] if number < self._pool.wanted else rooms(HIRED_ROOM, 1)[0]
        return reward_role(self._books, number, room)

    def start(self) -> None:
        """Start the processes; needs a running loop."""
        self._pool.start()

    async def stop(self) -> None:
        """End the processes and whatever is being judged."""
        await self._judging.end()
        await self._pool.stop()

    def check(self) -> None:
        """Raise what ended a process of rewards, or the judging of a group, for good."""
        self._pool.check()
        self._judging.check()

    @property
    def judging(self) -> int:
        """Groups that are being judged."""
        return len(self._judging)

    @property
    def late(self) -> bool:
        """Whether more groups are being judged than the learner takes at a time."""
        return self.judging > self._ground.experiment.prompts

    def begin(self, index: int, report: GroupReport, rows: pa.RecordBatch) -> None:
        """Have one group judged, which a share of the replay keeps."""
        self._judging.begin(self._judge(index, report, rows))

    async def _judge(self, index: int, report: GroupReport, rows: pa.RecordBatch) -> None:
        verdicts = await annotate(self._books.rewards.parts, self._ask, rows, self._ground.experiment.rewards)
        self._finished.append((index, report, verdicts))

    async def _ask(self, name: str, columns: Columns) -> list[Answer]:
        """A reward that only waits is asked here, any other in a process that can be killed."""
        if self._books.rewards[name].waits:
            return await self._books.rewards.answer(name, columns)
        return await self._pool.ask(name, columns)

    async def conclude(self) -> None:
        """Store verdicts as they come, and let their groups be drawn: at once where they make a batch whole.

        Others may wait for company: storing costs about the same for one group as for many.
        """
        settled, prompts = time.monotonic(), self._ground.experiment.prompts
        while not self._books.done:
            there, left = self._ground.shares.waiting, settled + SETTLE_S - time.monotonic()
            if self._finished and (left <= 0 or there < prompts <= there + len(self._finished)):
                await self.settle()
                settled = time.monotonic()
            else:
                await self._verdicts_came.heard(left if self._finished else NEWS_S)

    async def settle(self) -> None:
        """Store the verdicts that have come, in the order of the groups."""
        if not self._finished:
            return
        finished, self._finished = sorted(self._finished, key=lambda one: one[1].group), []
        verdicts = [
            [v for group in of_part for v in group] for of_part in zip(*(one[2] for one in finished), strict=True)
        ]
        self._books.judged([report for _, report, _ in finished], verdicts)
        shares = self._ground.shares
        for index in sorted({index for index, _, _ in finished}):
            own = [report for at, report, _ in finished if at == index]
            shares.stands(index, await shares.call(index, "judged", own))
        self._ground.news.ring()

    async def all_settled(self) -> None:
        """Wait until nothing is being judged, and store what came of it."""
        while self._judging:
            await self._verdicts_came.heard(1.0)
            self.check()
        await self.settle()

    async def told_again(self, index: int) -> None:
        """A share of the replay began again, and knows no verdicts: tell it what is judged."""
        shares = self._ground.shares
        while True:
            try:
                known, _ = self._books.recall(await shares.roles[index].call("reports"))
                shares.stands(index, await shares.roles[index].call("judged", known))
                return
            except RoleLost:
                await asyncio.sleep(IDLE_S)
