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
| `_write`, one an engine | weights | groups | admission (staleness) | `_learn`, or a lost rollout |
| `_judge`, one a group | rows | verdicts | the pool of rewards, or whom a reward asks | deadlines |
| `_conclude` | verdicts | groups that can be drawn | verdicts | `_judge` |
| `_learn` | judged groups | weights | enough of them | `_conclude` |
| `_sync`, one an engine | weights | engines that have them | a newer version | `_learn` |
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
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from cluster.crew import Crew
from cluster.events import RoleLost
from cluster.nodes import node_here
from cluster.placement import Ask
from cluster.reservations import Room
from cluster.scaler import Bounds
from cluster.session import ray_session
from cluster.supervision import Supervised
from cluster.weights import WeightsBoard
from learners.admission import Admission
from learners.admission import Config as AdmissionConfig
from pipelines.driver.learner_group import LearnerGroup
from pipelines.driver.lifecycle import Restored
from pipelines.driver.loops import Bell, end, persistently, together
from pipelines.driver.regrouping import Regrouping, learners_of
from pipelines.driver.seats import Seat
from pipelines.driver.shares import Shares
from pipelines.errors import UserError
from pipelines.language.delivery import Delivery, DirectDelivery
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.groups import GroupReport, of_groups
from pipelines.language.reward_pool import RewardPool
from pipelines.language.rewards import Columns, RewardHost, annotate
from pipelines.language.roles import EngineRole, LearnerRole
from pipelines.language.run import LanguageRun
from pipelines.language.shard import LanguageShard
from pipelines.observing.exporter import RayMetrics
from pipelines.observing.logs import tell_dashboard
from pipelines.scaling.asks import expect_room, language_asks, needed_cpus, rooms
from pipelines.scaling.attendance import Attendance
from pipelines.scaling.host import Elasticity
from pipelines.scaling.pressure import Waits, makers_pressure, queue_pressure
from pipelines.scaling.waiting import await_room
from rewards.judges.judge import Answer
from rewards.verdicts import Verdict

IDLE_S = 0.01  # how often a loop that waits for a process looks again
NEWS_S = 0.1  # how long a loop that waits for another one listens before it looks by itself
SETTLE_S = 0.1  # how long verdicts that make no batch whole may wait for others
BUNDLE = 16  # groups whose judging begins before other loops have their turn
WRITING = 2  # calls of an engine under way: one writes while the groups of the other are stored
AIM = 4.0  # groups a reward worker that are as they should be: those it works on, and as many that wait
HIRED_ROOM = Ask("rewards", 1, {})
GRACE_S = 1.0  # a worker ends a reward that waits too long by itself; one that computes is killed so much later


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


def _shard(experiment: LanguageExperiment, directory: Path, epoch: int) -> partial[LanguageShard]:
    """The factory of a share of the replay: whatever its epoch, it goes on where the last one was."""
    return partial(LanguageShard, experiment, directory.resolve())


class _Drawn(NamedTuple):
    """A batch for the learner.

    Attributes:
        reports: of its groups.
        rows: by reference.
    """

    reports: list[GroupReport]
    rows: Any


class Loops:
    """The loops of one run, over one set of books."""

    def __init__(self, run: LanguageRun, restored: Restored | None, asks: Mapping[str, Ask]) -> None:
        """Name every role; nothing is started."""
        self.books, self.experiment = run, run.experiment
        experiment, model = run.experiment, run.model
        engines = experiment.engines
        self.states: dict[str, Any] = {} if restored is None else dict(restored.roles)
        shards = [
            Supervised(
                f"replay-{index}",
                partial(_shard, experiment, run.directory.shard(index)),
                deadline_s=experiment.role_deadline_s,
                room=room,
                on_event=run.event,
            )
            for index, room in enumerate(rooms(asks["replay"], experiment.replay.shards))
        ]
        self.engines = [
            Supervised(
                f"engine-{index}",
                partial(partial, EngineRole, experiment, model, index),
                deadline_s=engines.deadline_s,
                threads=engines.threads,
                room=room,
                concurrency=2,  # weights arrive while answers are written
                on_event=run.event,
            )
            for index, room in enumerate(rooms(asks["engines"], experiment.scaling.engines.around(engines.count)[1]))
        ]
        self.learner = learners_of(experiment, asks["learner"], experiment.prompts, self._learner, run.event)
        self.learner_epoch = 0
        hosted = any(not part.waits for part in run.rewards.parts)
        self.reward_rooms = rooms(asks["rewards"], experiment.scaling.rewards.around(experiment.rewards.workers)[1])
        self.pool = RewardPool(experiment.rewards.workers if hosted else 0, self._reward_host)
        self.board = WeightsBoard()
        self.admission = Admission(
            AdmissionConfig(
                batch=experiment.prompts,
                max_staleness=experiment.max_staleness,
                concurrency=WRITING * experiment.prompts,
            )
        )
        frontier = restored.frontier if restored else None
        self.shares = Shares(shards, frontier, self.admission.dropped, self._judge_again)
        self.draws = self.shares.draws
        self.delivery = (
            Delivery(run, self.board, self.engines)
            if engines.sync == "object_store"
            else DirectDelivery(run, self.board, self.engines, self.learner)
        )
        self.waits = Waits(time.monotonic)
        self.too_old = 0  # groups, when the pressure on the engines was read last
        self.crew = Crew(self.engines, engines.count, self._knows_nothing, run.event)
        speed = experiment.scaling.speed
        self.elasticity = Elasticity(
            "engines", self.crew, experiment.scaling.engines, speed, self._pressure, run.event, self._resized
        )
        self.reward_elasticity = Elasticity(
            "reward-workers",
            self.pool,
            experiment.scaling.rewards if hosted else Bounds(),
            speed,
            self._reward_pressure,
            run.event,
            lambda count: None,
        )
        self.judging: set[asyncio.Task[None]] = set()
        self.storing: set[asyncio.Task[None]] = set()
        self.failure: BaseException | None = None  # of what judges or stores
        self.news, self.verdicts_came = Bell(), Bell()
        self.ahead: _Drawn | None = None  # drawn while the learner learnt from another
        self.learnt: list[GroupReport] = []  # since the last checkpoint
        self.finished: list[tuple[int, GroupReport, list[list[Verdict]]]] = []
        self.learning = asyncio.Lock()
        self.regrouping = Regrouping(self.learner, self._save, self.learning, self._went_back)
        self.moved_at = time.monotonic()

    def _learner(self, place: int, seat: Callable[[int], Seat], room: Room) -> Supervised:
        experiment, direct = self.experiment, self.experiment.engines.sync != "object_store"
        return Supervised(
            "learner" if place == 0 else f"learner-{place}",
            lambda epoch: partial(LearnerRole, experiment, self.books.model, self.states.get("learner"), seat(epoch)),
            deadline_s=experiment.role_deadline_s,
            threads=experiment.learner_threads,
            room=room,
            concurrency=1 + len(self.engines) if direct else 1,  # it learns, and sends to each
            on_event=self.books.event,
            by_itself=False,
        )

    def _reward_host(self, number: int) -> Supervised:
        experiment = self.experiment
        return Supervised(
            f"rewards-{number}",
            lambda _: partial(RewardHost, experiment, self.books.rewards.judge),
            deadline_s=experiment.rewards.deadline_s + GRACE_S,
            # Those that are hired while others hang must find room: nothing is set aside for them.
            room=self.reward_rooms[number] if number < self.pool.wanted else rooms(HIRED_ROOM, 1)[0],
            # What it computes is somebody else's code: each death is a NULL with its cause.
            max_deaths_in_a_row=10**9,
            on_event=self.books.event,
        )

    async def run(self) -> None:
        """Start every role, run every loop until the run is done, save, and stop every role."""
        roles: list[Supervised | LearnerGroup] = [*self.shares.roles, self.learner, *self.engines]
        try:
            fewest = self.experiment.scaling.learners.around(self.experiment.learners)[0]
            needed = [*self.shares.roles, *self.learner.roles[:fewest]]
            await await_room(needed, self.experiment.placement.wait_s, self.books.display.say)
            for share in self.shares.roles:
                share.start()
            await self.learner.begin(self.experiment.learners)
            self.pool.start()
            owed = await self._open_replay()
            for index in range(self.crew.wanted):
                self.crew.ready(index)  # they begin while the learner does
            version, weights = await persistently(self.learner, "first_weights", returns=2)
            self._publish(version, weights)
            waiting = self.shares.waiting + self.draws.pending * self.experiment.prompts
            self.admission.load_state_dict({"version": version, "waiting": waiting + len(owed)})
            await self._go_on_judging(owed)
            if self.experiment.max_staleness == 0:
                loops, endless = [self._take_turns(), self._watch()], [self._attend_nodes()]
            else:
                engines = range(len(self.engines))
                elastic = [self.elasticity.attend(), self.reward_elasticity.attend(), self.regrouping.attend()]
                syncs = [self._sync(index) for index in engines if self.experiment.engines.in_flight]
                loops = [self._learn(), self._conclude(), self._watch()]
                # An answer may take long, and nobody needs it at the end: who writes is not waited for.
                endless = [*(self._write(index) for index in engines), *syncs, *elastic, self._attend_nodes()]
            await together(loops, endless, self._save, self.experiment.role_deadline_s)
            if self.storing:
                await asyncio.wait(self.storing)  # each call of a share has a deadline
            self._check_judging()
            await self._settle()
            await self._save()
            await self.shares.close()
        finally:
            await end([*self.judging, *self.storing])
            await self.pool.stop()
            for role in roles:
                role.stop()

    async def _open_replay(self) -> list[tuple[int, GroupReport, pa.RecordBatch]]:
        """Go on with what the replay holds: count what came after the checkpoint; gives what has to be judged."""
        await self.shares.rewind()
        reports, owed = await self.shares.every("reports"), []
        self.books.catch_up(sorted((report for stored in reports for report in stored), key=lambda one: one.group))
        for index, stored in enumerate(reports):
            known, unknown = self.books.recall(stored)
            rows = await self.shares.call(index, "rows", [report.key for report in unknown])
            owed += [(index, report, batch) for report, batch in zip(unknown, rows, strict=True)]
            self.shares.stands(index, await self.shares.call(index, "judged", known), opening=True)
        for engine in self.engines:
            engine.epoch = self.shares.next_epoch
        return owed

    async def _go_on_judging(self, owed: Sequence[tuple[int, GroupReport, pa.RecordBatch]]) -> None:
        self.books.owe([report for _, report, _ in owed])
        for index, report, rows in owed:
            self._begin_judging(index, report, rows)
        if self.experiment.max_staleness == 0:
            await self._judged_all()

    def _knows_nothing(self, index: int) -> None:
        """An engine's process begins: it has no weights yet."""
        self.delivery.lost(index)

    def _resized(self, engines: int) -> None:
        """There are to be so many engines, which write a chunk of groups each."""
        self.admission.resize(WRITING * engines * self.experiment.chunk)

    def _pressure(self) -> float:
        """How hard the engines are pressed; while rewards hold the learner up, more answers would not help it."""
        shares = self.waits.read(engines=self.crew.answering, learner=1)
        before, self.too_old = self.too_old, self.shares.dropped
        judged_late = len(self.judging) > self.experiment.prompts
        return makers_pressure(shares["engines"], shares["learner"], self.too_old > before or judged_late)

    def _reward_pressure(self) -> float:
        return queue_pressure(self.pool.asked, self.pool.wanted, AIM)

    async def _attend_nodes(self) -> None:
        """See which nodes come and go; what stands on those that will go leaves in time."""

        def leaving(nodes: Mapping[str, float]) -> None:
            self.crew.leaving = nodes

        def stop(why: str) -> None:
            self.books.stopping = self.books.stopping or why

        await Attendance(node_here(), self.books.event, leaving, self._save, stop).attend(self.regrouping.groups)

    # The loops ------------------------------------------------------------------------------------------------------

    async def _write(self, index: int) -> None:
        """Let one engine play groups whenever admission allows it; what it has written is stored meanwhile."""
        storing: asyncio.Task[None] | None = None
        while not self.books.done:
            if not self.crew.ready(index):
                await asyncio.sleep(10 * IDLE_S)
                continue
            if index == 0 and self.books.evaluation_due:
                await self._look()
            if self.admission.capacity < self.experiment.chunk:
                began = time.monotonic()
                await self.news.heard(NEWS_S)
                self.waits.add("engines", time.monotonic() - began)
            elif (gathered := await self._rollout(index, self.experiment.chunk)) is not None:
                if storing is not None:
                    await asyncio.wait([storing])
                storing = self._begin(self._arrived(*gathered), self.storing, self.news)

    async def _look(self) -> None:
        """See how well the policy does on the test split."""
        with suppress(RoleLost):  # it is looked at again after the next update
            self.books.looked(await self.engines[0].call("succeed", await self.delivery.with_call(0)))

    async def _rollout(self, index: int, count: int) -> tuple[list[GroupReport], Any] | None:
        """One call of one engine; None, and counted as lost, where it died. Its groups are played again."""
        groups = self.books.begin_groups(count)
        for _ in groups:
            self.admission.started()
        version = self.board.version
        try:
            weights = await self.delivery.with_call(index)
            reports, rows = await self.engines[index].call("rollout", groups, weights, returns=2)
        except RoleLost:
            for _ in groups:
                self.admission.lost()
            self.books.lost(groups)
            self.delivery.lost(index)
            return None
        if weights is not None:
            self.delivery.arrived(index, version)
        return reports, rows

    async def _arrived(self, reports: list[GroupReport], reference: Any) -> None:
        """Put groups into the replay and the books, and have them judged."""
        stored = await self.shares.insert(reports[0].key[0], reports, reference)
        if stored is None:
            for report in reports:
                self.books.give_up(report.group)
                self.admission.lost()
            return
        index, _, standing = stored
        # One that was stored before its share of the replay died, and not yet counted, is as good as new.
        new = {report.group for report in reports if self.books.awaits(report)}
        for report in reports:
            if report.group in new:
                self.admission.finished()
                self.books.gathered(report)
            else:
                self.admission.lost()
        self.shares.stands(index, standing)
        for number, (report, rows) in enumerate(zip(reports, of_groups(await reference, reports), strict=True)):
            if report.group in new:
                self._begin_judging(index, report, rows)
            if number % BUNDLE == BUNDLE - 1:
                await asyncio.sleep(0)  # hundreds at a time would make the learner wait

    def _check_judging(self) -> None:
        """Raise what ended a process of rewards, or the judging or storing of a group, for good."""
        self.pool.check()
        if self.failure is not None:
            raise self.failure

    def _begin_judging(self, index: int, report: GroupReport, rows: pa.RecordBatch) -> None:
        self._begin(self._judge(index, report, rows), self.judging, self.verdicts_came)

    def _begin(
        self, work: Coroutine[Any, Any, None], under_way: set[asyncio.Task[None]], bell: Bell
    ) -> asyncio.Task[None]:
        """Do something beside the loops; its failure ends the run, its end rings."""

        def ended(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self.failure = task.exception()
            bell.ring()

        task = asyncio.create_task(work)
        under_way.add(task)
        task.add_done_callback(ended)
        return task

    async def _judge(self, index: int, report: GroupReport, rows: pa.RecordBatch) -> None:
        """Have one group judged by all rewards."""
        verdicts = await annotate(self.books.rewards.parts, self._ask, rows, self.experiment.rewards)
        self.finished.append((index, report, verdicts))

    async def _ask(self, name: str, columns: Columns) -> list[Answer]:
        """A reward that only waits is asked here, any other in a process that can be killed."""
        if self.books.rewards[name].waits:
            return await self.books.rewards.answer(name, columns)
        return await self.pool.ask(name, columns)

    async def _conclude(self) -> None:
        """Store verdicts as they come, and let their groups be drawn: at once where they make a batch whole.

        Others may wait for company: storing costs about the same for one group as for many.
        """
        settled = time.monotonic()
        while not self.books.done:
            there, left = self.shares.waiting, settled + SETTLE_S - time.monotonic()
            if self.finished and (left <= 0 or there < self.experiment.prompts <= there + len(self.finished)):
                await self._settle()
                settled = time.monotonic()
            else:
                await self.verdicts_came.heard(left if self.finished else NEWS_S)

    async def _settle(self) -> bool:
        """Store the verdicts that have come, in the order of the groups; gives whether there were any."""
        if not self.finished:
            return False
        finished, self.finished = sorted(self.finished, key=lambda one: one[1].group), []
        verdicts = [
            [v for group in of_part for v in group] for of_part in zip(*(one[2] for one in finished), strict=True)
        ]
        self.books.judged([report for _, report, _ in finished], verdicts)
        for index in sorted({index for index, _, _ in finished}):
            own = [report for at, report, _ in finished if at == index]
            self.shares.stands(index, await self.shares.call(index, "judged", own))
        self.news.ring()
        return True

    async def _judge_again(self, index: int) -> None:
        """A share of the replay began again, and knows no verdicts: tell it what is judged."""
        share = self.shares.roles[index]
        while True:
            try:
                known, _ = self.books.recall(await share.call("reports"))
                self.shares.stands(index, await share.call("judged", known))
                return
            except RoleLost:
                await asyncio.sleep(IDLE_S)

    async def _learn(self) -> None:
        """Update whenever there is a batch, and publish the weights."""
        while not self.books.done:
            began = time.monotonic()
            if not await self._update(ahead=True):
                await self.news.heard(NEWS_S)
                self.waits.add("learner", time.monotonic() - began)

    async def _update(self, ahead: bool = False) -> bool:
        """One update, if there is a batch. A learner that died goes back to what was saved, and draws it all again.

        Args:
            ahead: whether the batch after it is drawn meanwhile.
        """
        async with self.learning:  # a checkpoint is made between two updates
            self._went_back()  # it may have died of sending weights
            batch, self.ahead = self.ahead or await self._draw(), None
            if batch is None:
                return False
            ahead = ahead and self.books.status.updates + 1 < self.experiment.updates
            values = self.books.values_of(batch.reports)
            learning = asyncio.ensure_future(self.learner.call("learn", batch.rows, values, returns=2))
            try:
                while ahead and self.ahead is None and not learning.done():
                    self.ahead = await self._draw()
                    if self.ahead is None:
                        await self.news.heard(NEWS_S, learning)
                update, weights = await learning
            except RoleLost:
                if not self._went_back():
                    self._give_back(self.draws.ahead)
                await asyncio.sleep(IDLE_S)
                return True
            finally:
                learning.cancel()
            self.learnt += batch.reports
            if self.draws.learnt():
                self.books.learnt(update)
            version = int(update.metrics["version"])
            if version > self.board.version:
                self._publish(version, weights)
                self.admission.on_version(self.board.version)
            self.moved_at = time.monotonic()
        self.news.ring()
        return True

    async def _draw(self) -> _Drawn | None:
        """A batch of judged groups; None where there is none, or where a share of the replay or the learner died."""
        index = self.shares.next(self.experiment.prompts)
        if index is None:
            return None
        number, again = self.draws.number(index), self.draws.again
        version = self.board.version + self.draws.ahead  # that the learner will have when it learns from this
        epoch = self.learner.epoch
        try:
            (reports, standing), rows = await self.shares.roles[index].call("draw", number, version, returns=2)
        except RoleLost:
            await self.shares.lost(index)
            return None
        self.shares.stands(index, standing)
        if self.learner.epoch != epoch or (not reports and not again):  # some were too old
            return None
        self.draws.drawn(index)
        return _Drawn(reports, rows)

    def _give_back(self, draws: int) -> None:
        """So many draws did not reach the learner, and are made again."""
        self.draws.given_up(draws)
        self.ahead = None

    def _publish(self, version: int, weights: Any) -> None:
        self.board.publish(version, weights)
        self.delivery.published(version)

    def _went_back(self) -> bool:
        """Whether the learner died since this was asked last, and so began again where it was saved."""
        if self.learner.epoch == self.learner_epoch:
            return False
        self.learner_epoch = self.learner.epoch
        self.draws.back_to_frontier()
        self.delivery.went_back()
        self.learnt, self.ahead = [], None
        return True

    async def _sync(self, index: int) -> None:
        """Give an engine the newest weights as they come; one that does not take them in time is replaced."""
        while not self.books.done:
            if not self.engines[index].running or not await self.delivery.keep_up(index):
                await self.news.heard(NEWS_S)

    async def _take_turns(self) -> None:
        """In lockstep: everyone writes, everything is judged, the learner learns."""
        while not self.books.done:
            chunk, room = self.experiment.chunk, self.admission.capacity
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
            await self._judged_all()
            while await self._update():
                pass
            if self.books.evaluation_due:
                await self._look()

    async def _judged_all(self) -> None:
        """Wait until nothing is being judged."""
        while self.judging:
            await asyncio.wait(self.judging, timeout=1.0)
            self._check_judging()
        await self._settle()

    async def _watch(self) -> None:
        """Display and save by the clock; end a run that does not move."""
        while not self.books.done:
            self.books.report()
            self._check_judging()
            if self.books.checkpoint_due:
                await self._save()
            if time.monotonic() - self.moved_at > self.experiment.stall_timeout_s:
                raise UserError(
                    f"no update for {self.experiment.stall_timeout_s:.0f} s: {self.shares.waiting} judged groups wait "
                    f"of {self.experiment.prompts} needed, {len(self.judging)} are being judged, "
                    f"{self.admission.running} are being written; the run is saved, go on with resume= once the cause "
                    "is mended"
                )
            await asyncio.sleep(0.1)
        self.books.report(force=True)

    async def _save(self) -> None:
        """Write a checkpoint between two updates."""
        async with self.learning:
            if self.ahead is not None:  # it is drawn again, and is the same then
                self._give_back(1)
            states = {"learner": await persistently(self.learner, "state")}
            self._went_back()  # where it died just now, that state is the one that was saved before
            self.books.shares = await self.shares.books()
            self.states, frontier = states, self.draws.save()
            self.books.save(states, frontier, self.learnt)
            self.learnt = []
            await self.shares.release()
            self.books.shares = await self.shares.books()
            await self.shares.copy_to(self.books.mirror)
