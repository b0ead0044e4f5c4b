"""The distributed runner of language experiments: the same as local.py, each role in a process of its own.

```
            weights (by version), also while answers are under way
      ┌──────────────────────────────────────────────┐
      ↓                                              │
   engines ──rows (by reference)──→ replay (disk) ──groups──→ learner
      │                               ↑  of which all verdicts are there
      └──GroupReport──→ books ──rows──→ rewards ──verdicts──┘
```

| loop | consumes | produces | waits for | unblocked by |
|---|---|---|---|---|
| `Writing.write`, one an engine | weights | groups | admission (staleness) | `learn`, or a lost rollout |
| `Judgement`, one a group | rows | verdicts | the pool of rewards, or whom a reward asks | deadlines |
| `Judgement.conclude` | verdicts | groups that can be drawn | verdicts | those of a group |
| `Learning.learn` | judged groups | weights | enough of them | `conclude` |
| `Writing.keep_up`, one an engine | weights | engines that have them | a newer version | `learn` |
| `_watch` | the books | display, checkpoints | the clock | the clock |
| `_attend_nodes` | nodes that drain | roles that have moved | the clock | the clock |
| `regrouping` | room | more learners | the clock | the clock |
| elasticity | how long engines, learner and groups waited | more or fewer engines, rewards | the clock | the clock |

A group waits for its own rewards and for no others. Nothing waits for ever: calls have deadlines, a reward that is late
is NULL, an engine that does not take its weights in time is replaced, and `_watch` ends a run that does not move. With
`max_staleness=0` the loops take turns, in the order of the local runner, and the result is the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from cluster.nodes import node_here
from cluster.placement import Ask
from cluster.session import ray_session
from cluster.supervision import Supervised
from cluster.weights import WeightsBoard
from learners.admission import Admission
from learners.admission import Config as AdmissionConfig
from pipelines.driver.learner_group import LearnerGroup
from pipelines.driver.lifecycle import Restored
from pipelines.driver.loops import Bell, together
from pipelines.driver.shares import Shares
from pipelines.errors import UserError
from pipelines.language.delivery import Delivery, DirectDelivery
from pipelines.language.ground import Ground
from pipelines.language.groups import GroupReport
from pipelines.language.judgement import Judgement
from pipelines.language.learning import Learning
from pipelines.language.processes import engine_roles, learner_roles, replay_roles
from pipelines.language.run import LanguageRun
from pipelines.language.writing import WRITING, Writing
from pipelines.observing.exporter import RayMetrics
from pipelines.observing.logs import tell_dashboard
from pipelines.replay_shard import passed_over
from pipelines.scaling.asks import expect_room, language_asks, needed_cpus
from pipelines.scaling.attendance import Attendance
from pipelines.scaling.pressure import Waits
from pipelines.scaling.waiting import await_room


def run_distributed(run: LanguageRun, restored: Restored | None) -> None:
    """Run to the end on Ray.

    Args:
        run: the books, restored already where the run is resumed.
        restored: what it goes on from.

    Raises:
        UserError: Ray or a role could not be started, or the run stalled.
    """
    with ray_session(run.experiment.ray, needed_cpus(run.experiment)):
        asks = language_asks(run.experiment, node_here())
        expect_room(asks)
        run.on_report.append(RayMetrics(run.directory.root.name))
        tell_dashboard(run)
        asyncio.run(Loops(run, restored, asks).run())


class Loops:
    """The loops of one run, over one set of books."""

    def __init__(self, run: LanguageRun, restored: Restored | None, asks: Mapping[str, Ask]) -> None:
        """Name every role; nothing is started."""
        self.books, self.experiment = run, run.experiment
        experiment = run.experiment
        saved: dict[str, Any] = {} if restored is None else dict(restored.roles)
        shares = replay_roles(run, asks["replay"])
        engines = engine_roles(run, asks["engines"])
        self.learner = learner_roles(run, asks["learner"], saved, len(engines))
        self.admission = Admission(
            AdmissionConfig(
                batch=experiment.prompts,
                max_staleness=experiment.max_staleness,
                concurrency=WRITING * experiment.prompts,
            )
        )
        self.shares = Shares(
            shares,
            restored.frontier if restored else None,
            self.admission.dropped,
            lambda index: self.judgement.told_again(index),
        )
        board = WeightsBoard()
        delivery = (
            Delivery(run, board, engines)
            if experiment.engines.sync == "object_store"
            else DirectDelivery(run, board, engines, self.learner)
        )
        ground = Ground(run, self.shares, self.admission, board, delivery, Bell(), Waits(time.monotonic))
        self.judgement = Judgement(ground, asks["rewards"])
        self.writing = Writing(ground, engines, self.judgement)
        self.learning = Learning(ground, self.learner, saved)

    async def run(self) -> None:
        """Start every role, run every loop until the run is done, save, and stop every role."""
        writing, learning, regrouping = self.writing, self.learning, self.learning.regrouping
        roles: list[Supervised | LearnerGroup] = [*self.shares.roles, self.learner, *writing.engines]
        try:
            fewest = self.experiment.scaling.learners.around(self.experiment.learners)[0]
            needed = [*self.shares.roles, *self.learner.roles[:fewest]]
            books = self.books
            wait_s = self.experiment.placement.wait_s
            await await_room(needed, wait_s, books.display.say, lambda: books.stopping)
            for share in self.shares.roles:
                share.start()
            await self.learner.begin(self.experiment.learners)
            self.judgement.start()
            owed = await self._open_replay()
            for index in range(writing.crew.wanted):
                writing.crew.ready(index)  # they begin while the learner does
            version = await learning.first_weights()
            waiting = self.shares.waiting + self.shares.draws.pending * self.experiment.prompts
            self.admission.load_state_dict({"version": version, "waiting": waiting + len(owed)})
            await self._go_on_judging(owed)
            if self.experiment.max_staleness == 0:
                loops, endless = [self._take_turns(), self._watch()], [self._attend_nodes()]
            else:
                engines = range(len(writing.engines))
                elastic = [writing.elasticity.attend(), self.judgement.elasticity.attend(), regrouping.attend()]
                syncs = [writing.keep_up(index) for index in engines if self.experiment.engines.in_flight]
                loops = [learning.learn(), self.judgement.conclude(), self._watch()]
                # An answer may take long, and nobody needs it at the end: who writes is not waited for.
                endless = [*(writing.write(index) for index in engines), *syncs, *elastic, self._attend_nodes()]
            await together(loops, endless, learning.save, self.experiment.role_deadline_s)
            await writing.all_stored()
            self.judgement.check()
            await self.judgement.settle()
            await learning.save()
            await self.shares.close()
        finally:
            await writing.stop()
            await self.judgement.stop()
            for role in roles:
                role.stop()

    async def _open_replay(self) -> list[tuple[int, GroupReport, pa.RecordBatch]]:
        """Go on with what the replay holds: count what came after the checkpoint; gives what has to be judged."""
        if passed := await self.shares.rewind():
            self.books.note("passed over", passed_over(passed))
        reports, owed = await self.shares.every("reports"), []
        self.books.catch_up(sorted((report for stored in reports for report in stored), key=lambda one: one.group))
        for index, stored in enumerate(reports):
            known, unknown = self.books.recall(stored)
            rows = await self.shares.call(index, "rows", [report.key for report in unknown])
            owed += [(index, report, batch) for report, batch in zip(unknown, rows, strict=True)]
            self.shares.stands(index, await self.shares.call(index, "judged", known), opening=True)
        for engine in self.writing.engines:
            engine.epoch = self.shares.next_epoch
        return owed

    async def _go_on_judging(self, owed: Sequence[tuple[int, GroupReport, pa.RecordBatch]]) -> None:
        self.books.owe([report for _, report, _ in owed])
        for index, report, rows in owed:
            self.judgement.begin(index, report, rows)
        if self.experiment.max_staleness == 0:
            await self.judgement.all_settled()

    async def _attend_nodes(self) -> None:
        """See which nodes come and go; what stands on those that will go leaves in time."""

        def leaving(nodes: Mapping[str, float]) -> None:
            self.writing.crew.leaving = nodes

        def stop(why: str) -> None:
            self.books.stopping = self.books.stopping or why

        groups = self.learning.regrouping.groups()
        if self.experiment.placement.replay_anywhere:
            groups += self.shares.groups()
        await Attendance(node_here(), self.books.event, leaving, self.learning.save, stop).attend(groups)

    async def _take_turns(self) -> None:
        """In lockstep: everyone writes, everything is judged, the learner learns."""
        while not self.books.done:
            await self.writing.turn()
            await self.judgement.all_settled()
            while await self.learning.update():
                pass
            if self.books.evaluation_due:
                await self.writing.look()

    async def _watch(self) -> None:
        """Display and save by the clock; end a run that does not move."""
        while not self.books.done:
            self.books.report()
            self.writing.check()
            self.judgement.check()
            if self.books.checkpoint_due:
                await self.learning.save()
            if time.monotonic() - self.learning.moved_at > self.experiment.stall_timeout_s:
                raise UserError(
                    f"no update for {self.experiment.stall_timeout_s:.0f} s: {self.shares.waiting} judged groups wait "
                    f"of {self.experiment.prompts} needed, {self.judgement.judging} are being judged, "
                    f"{self.admission.running} are being written; the run is saved, go on with resume= once the cause "
                    "is mended"
                )
            await asyncio.sleep(0.1)
        self.books.report(force=True)
