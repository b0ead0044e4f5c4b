"""`Writing`: engines write groups whenever admission allows it; these are stored, counted, and sent to be judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from ray.exceptions import RayError

from cluster.crew import Crew
from cluster.events import RoleLost
from cluster.supervision import Supervised
from pipelines.driver.errands import Errands
from pipelines.language.ground import IDLE_S, NEWS_S, Ground
from pipelines.language.groups import GroupReport, of_groups
from pipelines.language.judgement import Judgement
from pipelines.scaling.host import Elasticity
from pipelines.scaling.pressure import makers_pressure

BUNDLE = 16  # groups whose judging begins before other loops have their turn
WRITING = 2  # calls of an engine under way: one writes while the groups of the other are stored


class Writing:
    """The engines of a run.

    Attributes:
        engines: their roles, as many as there may ever be.
        crew: those that are wanted now.
        elasticity: changes how many are.
    """

    def __init__(self, ground: Ground, engines: Sequence[Supervised], judgement: Judgement) -> None:
        """Nobody writes yet.

        Args:
            ground: of the run.
            engines: their roles.
            judgement: what is written goes there.
        """
        self._ground, self._books, self._judgement = ground, ground.books, judgement
        experiment = ground.experiment
        self.engines = engines
        self.crew = Crew(engines, experiment.engines.count, self._knows_nothing, self._books.event)
        self.elasticity = Elasticity(
            "engines",
            self.crew,
            experiment.scaling.engines,
            experiment.scaling.speed,
            self._pressure,
            self._books.event,
            self._resized,
        )
        self._storing = Errands(ground.news)
        self._too_old = 0  # groups, when the pressure on the engines was read last

    def _knows_nothing(self, index: int) -> None:
        """An engine's process begins: it has no weights yet."""
        self._ground.delivery.lost(index)

    def _resized(self, engines: int) -> None:
        """There are to be so many engines, which write a chunk of groups each."""
        self._ground.admission.resize(WRITING * engines * self._ground.experiment.chunk)

    def _pressure(self) -> float:
        """How hard the engines are pressed; while rewards hold the learner up, more answers would not help it."""
        shares = self._ground.waits.read(engines=self.crew.answering, learner=1)
        before, self._too_old = self._too_old, self._ground.shares.dropped
        late = self._too_old > before or self._judgement.late
        return makers_pressure(shares["engines"], shares["learner"], late)

    def check(self) -> None:
        """Raise what ended the storing of a group for good."""
        self._storing.check()

    async def all_stored(self) -> None:
        """Wait until what was written is stored: each call of a share has a deadline."""
        await self._storing.all_done()

    async def stop(self) -> None:
        """Leave what is being stored."""
        await self._storing.end()

    async def write(self, index: int) -> None:
        """Let one engine play groups whenever admission allows it; what it has written is stored meanwhile."""
        storing: asyncio.Task[None] | None = None
        chunk, admission = self._ground.experiment.chunk, self._ground.admission
        while not self._books.done:
            if not self.crew.ready(index):
                await asyncio.sleep(10 * IDLE_S)
                continue
            if index == 0 and self._books.evaluation_due:
                await self.look()
            if admission.capacity < chunk:
                began = time.monotonic()
                await self._ground.news.heard(NEWS_S)
                self._ground.waits.add("engines", time.monotonic() - began)
            elif (gathered := await self._rollout(index, chunk)) is not None:
                if storing is not None:
                    await asyncio.wait([storing])
                storing = self._storing.begin(self._arrived(*gathered))

    async def keep_up(self, index: int) -> None:
        """Give an engine the newest weights as they come; one that does not take them in time is replaced."""
        while not self._books.done:
            if not self.engines[index].running or not await self._ground.delivery.keep_up(index):
                await self._ground.news.heard(NEWS_S)

    async def turn(self) -> None:
        """All engines write once, as much as admission allows, and it is stored."""
        chunk, room = self._ground.experiment.chunk, self._ground.admission.capacity
        while not all([self.crew.ready(index) for index in range(self.crew.wanted)]):
            await asyncio.sleep(IDLE_S)
        begun = [
            self._rollout(index, min(chunk, room - index * chunk))
            for index in range(self.crew.wanted)
            if room > index * chunk
        ]
        # Stored in the order of the engines and not of their arrival: sums of floats depend on the order.
        for gathered in await asyncio.gather(*begun):
            if gathered is not None:
                await self._arrived(*gathered)

    async def look(self) -> None:
        """See how well the policy does on the test split."""
        try:
            self._books.looked(await self.engines[0].call("succeed", await self._ground.delivery.with_call(0)))
        except RoleLost:  # it is looked at again
            self._ground.delivery.lost(0)

    async def _rollout(self, index: int, count: int) -> tuple[list[GroupReport], Any] | None:
        """One call of one engine; None, and counted as lost, where it died. Its groups are played again."""
        admission, delivery = self._ground.admission, self._ground.delivery
        groups = self._books.begin_groups(count)
        for _ in groups:
            admission.started()
        version = self._ground.board.version
        try:
            weights = await delivery.with_call(index)
            reports, rows = await self.engines[index].call("rollout", groups, weights, returns=2)
        except RoleLost:
            for _ in groups:
                admission.lost()
            self._books.lost(groups)
            delivery.lost(index)
            return None
        if weights is not None:
            delivery.arrived(index, version)
        return reports, rows

    async def _arrived(self, reports: list[GroupReport], reference: Any) -> None:
        """Put groups into the replay and the books, and have them judged."""
        admission, shares = self._ground.admission, self._ground.shares
        stored = await shares.insert(reports[0].key[0], reports, reference)
        if stored is None:
            for report in reports:
                self._books.give_up(report.group)
                admission.lost()
            return
        index, _, standing = stored
        # One that was stored before its share of the replay died, and not yet counted, is as good as new.
        new = {report.group for report in reports if self._books.awaits(report)}
        for report in reports:
            if report.group in new:
                admission.finished()
                self._books.gathered(report)
            else:
                admission.lost()
        shares.stands(index, standing)
        fresh = [report for report in reports if report.group in new]
        within_s, stored_rows = self._ground.experiment.role_deadline_s, partial(shares.call, index, "rows")
        rows = await rows_of(reference, reports, fresh, within_s, stored_rows)
        for number, report in enumerate(fresh):
            self._judgement.begin(index, report, rows[report.group])
            if number % BUNDLE == BUNDLE - 1:
                await asyncio.sleep(0)  # hundreds at a time would make the learner wait


async def rows_of(
    reference: Awaitable[pa.RecordBatch],
    reports: Sequence[GroupReport],
    wanted: Sequence[GroupReport],
    within_s: float,
    stored: Callable[[list[tuple[int, int, int]]], Awaitable[list[pa.RecordBatch]]],
) -> dict[int, pa.RecordBatch]:
    """The rows of groups by number: as they came, or, where they are gone with their engine's node, as they are stored.

    Args:
        reference: the rows of all `reports`, one group behind the other.
        reports: of the groups in it.
        wanted: those of which rows are needed; each is stored.
        within_s: how long the rows may take to come.
        stored: gives rows by the keys of their groups.
    """
    try:
        batch = await asyncio.wait_for(reference, within_s)
    except (RayError, asyncio.TimeoutError):
        batches = await stored([report.key for report in wanted])
        return {report.group: rows for report, rows in zip(wanted, batches, strict=True)}
    return {report.group: rows for report, rows in zip(reports, of_groups(batch, reports), strict=True)}
