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
| `_judge`, one a group | rows | verdicts | a free worker, or whoever the reward asks | deadlines |
| `_conclude` | verdicts | groups that can be drawn | verdicts | `_judge` |
| `_learn` | judged groups | weights | enough of them | `_conclude` |
| `_sync`, one an engine | weights | engines that have them | a newer version | `_learn` |
| `_watch` | the books | display, checkpoints | the clock | the clock |

A group waits for its own rewards and for no others. Nothing waits for ever: calls have deadlines, a reward that is
late is
NULL, an engine that does not take its weights in time is replaced, and `_watch` ends a run that does not move. With
`max_staleness=0` the loops take turns, in the order of the local runner, and the result is the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from cluster.session import ray_session
from cluster.supervision import Event, RoleLost, Supervised
from cluster.weights import WeightsBoard
from learners.admission import Admission
from learners.admission import Config as AdmissionConfig
from pipelines.draws import Draws
from pipelines.errors import UserError
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.groups import GroupReport
from pipelines.language.reward_pool import RewardPool
from pipelines.language.rewards import Columns, RewardHost, annotate
from pipelines.language.roles import EngineRole, LearnerRole
from pipelines.language.run import LanguageRun, Restored
from pipelines.language.shard import LanguageShard
from pipelines.replay_shard import Standing
from rewards.judges.judge import Answer
from rewards.verdicts import Verdict

IDLE_S = 0.01  # how often a loop that has nothing to do looks again
ROLE_DEADLINE_S = 600.0  # a call of the learner or the replay that takes longer counts as a hang
INSERTS = 5  # tries to store groups before they count as lost
SYNCS = 2  # tries to give an engine its weights before it is replaced
GRACE_S = 5.0  # a worker ends a reward that is late by itself; one that cannot is killed so much later


def needed_cpus(experiment: LanguageExperiment) -> int:
    """Logical CPUs that the roles of an experiment reserve; they share the cores of a small machine by design."""
    return experiment.engines.count + experiment.rewards.workers + experiment.replay.shards + 2


def run_distributed(run: LanguageRun, restored: Restored | None) -> None:
    """Run to the end on Ray.

    Args:
        run: the books, restored already where the run is resumed.
        restored: what it goes on from.

    Raises:
        UserError: Ray or a role could not be started, or the run stalled.
    """
    with ray_session(run.experiment.ray, needed_cpus(run.experiment)):
        asyncio.run(Loops(run, restored).run())


def _shard(experiment: LanguageExperiment, directory: Path, epoch: int) -> partial[LanguageShard]:
    """The factory of a share of the replay: whatever its epoch, it goes on where the last one was."""
    return partial(LanguageShard, experiment, directory.resolve())


class Loops:
    """The loops of one run, over one set of books."""

    def __init__(self, run: LanguageRun, restored: Restored | None) -> None:
        """Name every role; nothing is started."""
        self.books, self.experiment = run, run.experiment
        experiment, model = run.experiment, run.model
        engines = experiment.engines
        self.states: dict[str, Any] = {} if restored is None else dict(restored.roles)
        self.shards = [
            Supervised(
                f"replay-{index}",
                partial(_shard, experiment, run.directory.shard(index)),
                deadline_s=ROLE_DEADLINE_S,
                on_event=run.event,
            )
            for index in range(experiment.replay.shards)
        ]
        self.engines = [
            Supervised(
                f"engine-{index}",
                partial(partial, EngineRole, experiment, model, index),
                deadline_s=engines.deadline_s,
                gpus=engines.gpus,
                threads=engines.threads,
                concurrency=2,  # weights arrive while answers are written
                on_event=run.event,
            )
            for index in range(engines.count)
        ]
        self.learner = Supervised(
            "learner",
            lambda _: partial(LearnerRole, experiment, model, self.states.get("learner")),
            deadline_s=ROLE_DEADLINE_S,
            threads=experiment.learner_threads,
            on_event=run.event,
        )
        hosted = any(not part.waits for part in run.rewards.parts)
        self.workers = [
            Supervised(
                f"rewards-{index}",
                lambda _: partial(RewardHost, experiment),
                deadline_s=experiment.rewards.deadline_s + GRACE_S,
                max_deaths_in_a_row=10
                ** 9,  # what it computes is somebody else's code; each death is a NULL with its cause
                on_event=run.event,
            )
            for index in range(experiment.rewards.workers if hosted else 0)
        ]
        self.pool = RewardPool(self.workers)
        self.standing = [Standing(0, 0, 0, -1)] * len(self.shards)
        self.draws = Draws(restored.frontier if restored else [0] * len(self.shards))
        self.board = WeightsBoard()
        self.admission = Admission(
            AdmissionConfig(
                batch=experiment.prompts, max_staleness=experiment.max_staleness, concurrency=experiment.prompts
            )
        )
        self.has = [-1] * engines.count  # version of each engine's weights
        self.again: deque[list[int]] = deque()  # groups whose engine died: they are played by whoever is free
        self.judging: set[asyncio.Task[None]] = set()
        self.finished: list[tuple[int, GroupReport, list[list[Verdict]]]] = []
        self.learning = asyncio.Lock()
        self.moved_at = time.monotonic()

    async def run(self) -> None:
        """Start every role, run every loop until the run is done, save, and stop every role."""
        roles = [*self.shards, self.learner, *self.workers, *self.engines]
        pool = None
        try:
            for role in roles[: -len(self.engines)]:
                role.start()
            owed = await self._open_replay()
            for engine in self.engines:
                engine.start()
            version, weights = await self._persistently(self.learner, "first_weights", returns=2)
            self.board.publish(version, weights)
            waiting = sum(standing.waiting for standing in self.standing) + self.draws.pending * self.experiment.prompts
            self.admission.load_state_dict({"version": version, "waiting": waiting + len(owed)})
            pool = asyncio.create_task(self.pool.run())
            await self._go_on_judging(owed)
            if self.experiment.max_staleness == 0:
                loops = [self._take_turns(), self._watch()]
            else:
                loops = [self._learn(), self._conclude(), self._watch()]
                for index in range(len(self.engines)):
                    loops += [self._write(index)]
                    loops += [self._sync(index)] if self.experiment.engines.in_flight else []
            await self._together(loops)
            await self._save()
            with suppress(RoleLost):  # what was stored is stored; closing only tidies up
                for shard in self.shards:
                    await shard.call("close")
        finally:
            await _end([*self.judging, *([pool] if pool else [])])
            for role in roles:
                role.stop()

    async def _together(self, loops: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Run loops until the run is done; one that fails takes the others with it."""
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            await asyncio.gather(*tasks)
        except Exception:
            await _end(tasks)
            with suppress(Exception):  # what was learnt is kept if it can be; the first error is the one told
                await self._save()
            raise
        finally:
            await _end(tasks)

    async def _open_replay(self) -> list[tuple[int, GroupReport, pa.RecordBatch]]:
        """Go on with what the replay holds: count what came after the checkpoint; gives what has to be judged."""
        redelivered, owed = [], []
        for index, shard in enumerate(self.shards):
            redelivered.append(await self._persistently(shard, "rewind", self.draws.frontier[index]))
            stored = await self._persistently(shard, "reports")
            self.books.catch_up([report for report in stored if report.group >= self.books.next_group])
            known, unknown = self.books.recall(stored)
            rows = await self._persistently(shard, "rows", [report.key for report in unknown])
            owed += [(index, report, batch) for report, batch in zip(unknown, rows, strict=True)]
            self.standing[index] = await self._persistently(shard, "judged", known)
        self.draws.expect_again(redelivered)
        for engine in self.engines:
            engine.epoch = max(standing.epoch for standing in self.standing) + 1
        return owed

    async def _go_on_judging(self, owed: Sequence[tuple[int, GroupReport, pa.RecordBatch]]) -> None:
        self.books.owe([report for _, report, _ in owed])
        for index, report, rows in owed:
            self._begin_judging(index, report, rows)
        if self.experiment.max_staleness == 0:
            await self._judged_all()

    # The loops ------------------------------------------------------------------------------------------------------

    async def _write(self, index: int) -> None:
        """Let one engine play groups whenever admission allows it."""
        while not self.books.done:
            if index == 0 and self.books.evaluation_due:
                await self._look()
            if self.admission.capacity < self.experiment.chunk:
                await asyncio.sleep(IDLE_S)
            elif (gathered := await self._rollout(index)) is not None:
                await self._arrived(*gathered)

    async def _look(self) -> None:
        """See how well the policy does on the test split."""
        with suppress(RoleLost):  # it is looked at again after the next update
            self.books.looked(await self.engines[0].call("succeed", self.board.newer_than(-1)))

    async def _rollout(self, index: int) -> tuple[list[GroupReport], Any] | None:
        """One call of one engine; None, and counted as lost, where it died. Its groups are played again."""
        chunk = self.experiment.chunk
        groups = self.again.popleft() if self.again else list(self.books.begin_groups(chunk))
        for _ in groups:
            self.admission.started()
        version = self.board.version
        weights = self.board.newer_than(self.has[index])
        try:
            reports, rows = await self.engines[index].call("rollout", groups, weights, returns=2)
        except RoleLost:
            for _ in groups:
                self.admission.lost()
            self.books.status.lost_groups += len(groups)
            self.again.append(groups)
            self.has[index] = -1
            return None
        self.has[index] = max(self.has[index], version)
        return reports, rows

    async def _arrived(self, reports: list[GroupReport], reference: Any) -> None:
        """Put groups into the replay and the books, and have them judged."""
        index = reports[0].key[0] % len(self.shards)
        for _ in range(INSERTS):
            try:
                stored, standing = await self.shards[index].call("insert", reports, reference)
                break
            except RoleLost:
                await self._hold_back(index)
        else:  # the replay lives, or its supervision would have ended the run: the rows are gone with their node
            stored, standing = [False] * len(reports), self.standing[index]
            self.books.status.lost_groups += len(reports)
        self._stands(index, standing)
        rows = await reference if any(stored) else []
        for report, batch, new in zip(reports, rows, stored, strict=False):
            if new:
                self.admission.finished()
                self.books.gathered(report)
                self._begin_judging(index, report, batch)
            else:
                self.admission.lost()
        for _ in range(len(reports) - len(rows)):
            self.admission.lost()

    def _begin_judging(self, index: int, report: GroupReport, rows: pa.RecordBatch) -> None:
        task = asyncio.create_task(self._judge(index, report, rows))
        self.judging.add(task)
        task.add_done_callback(self.judging.discard)

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
        """Store verdicts as they come, and let their groups be drawn."""
        while not self.books.done:
            if not await self._settle():
                await asyncio.sleep(IDLE_S)

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
            self._stands(index, await self._told(index, own))
        return True

    async def _told(self, index: int, judged: list[GroupReport]) -> Standing:
        """Tell a share of the replay which groups are judged; one that was started again is told everything."""
        while True:
            try:
                standing: Standing = await self.shards[index].call("judged", judged)
                return standing
            except RoleLost:
                await self._hold_back(index)

    async def _hold_back(self, index: int) -> None:
        """A share of the replay began again, and knows no verdicts: tell it what is judged."""
        while True:
            try:
                await asyncio.sleep(IDLE_S)
                known, _ = self.books.recall(await self.shards[index].call("reports"))
                self._stands(index, await self.shards[index].call("judged", known))
                return
            except RoleLost:
                continue

    def _stands(self, index: int, standing: Standing) -> None:
        """Note how a share of the replay stands; what it has dropped makes room for more."""
        before, self.standing[index] = self.standing[index], standing
        self.admission.dropped(max(0, standing.dropped - before.dropped))

    async def _learn(self) -> None:
        """Update whenever there is a batch, and publish the weights."""
        while not self.books.done:
            if not await self._update():
                await asyncio.sleep(IDLE_S)

    async def _update(self) -> bool:
        """One update, if there is a batch. A learner that died goes back to what was saved, and draws it all again."""
        async with self.learning:  # a checkpoint is made between two updates
            index = self.draws.next_share([s.waiting // self.experiment.prompts for s in self.standing])
            if index is None:
                return False
            number, again, epoch = self.draws.number(index), self.draws.pending > 0, self.learner.epoch
            try:
                (reports, standing), rows = await self.shards[index].call("draw", number, self.board.version, returns=2)
                self._stands(index, standing)
                if not reports and not again:
                    return False  # some were too old
            except RoleLost:
                await self._hold_back(index)
                return True
            try:
                self.draws.drawn(index)
                values = self.books.values_of(reports)
                metrics, weights = await self.learner.call("learn", rows, values, returns=2)
            except RoleLost:
                if self.learner.epoch != epoch:
                    self.draws.back_to_frontier()
                await asyncio.sleep(IDLE_S)
                return True
            if self.draws.learnt():
                self.books.learnt(metrics)
            if int(metrics["version"]) > self.board.version:
                self.board.publish(int(metrics["version"]), weights)
                self.admission.on_version(self.board.version)
            self.moved_at = time.monotonic()
        return True

    async def _sync(self, index: int) -> None:
        """Give an engine the newest weights as they come; one that does not take them in time is replaced."""
        failures = 0
        while not self.books.done:
            weights, version = self.board.newer_than(self.has[index]), self.board.version
            if weights is None or self.has[index] < 0:  # a new engine gets its first weights with its first rollout
                await asyncio.sleep(IDLE_S)
                continue
            try:
                await self.engines[index].call("receive", weights, deadline_s=self.experiment.engines.sync_deadline_s)
            except RoleLost as error:
                self.has[index] = -1
                self.books.event(
                    Event(time.time(), f"weights of engine-{index}", "late", f"version {version}: {error}")
                )
            except Exception as error:  # a transfer that broke off: tried again, and then the engine is replaced
                failures += 1
                self.books.event(
                    Event(time.time(), f"weights of engine-{index}", "failed", f"version {version}: {error}")
                )
                if failures >= SYNCS:
                    self.engines[index].replace(f"weights of version {version} could not be given to it: {error}")
                    self.has[index], failures = -1, 0
            else:
                failures = 0
                self.has[index] = max(self.has[index], version)
                self.books.status.syncs += 1

    async def _take_turns(self) -> None:
        """In lockstep: everyone writes, everything is judged, the learner learns."""
        while not self.books.done:
            engines = range(min(self.admission.capacity // self.experiment.chunk, len(self.engines)))
            begun = [self._rollout(index) for index in engines]
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
            await asyncio.gather(*self.judging)
        await self._settle()

    async def _watch(self) -> None:
        """Display and save by the clock; end a run that does not move."""
        while not self.books.done:
            self.books.report()
            for task in [task for task in self.judging if task.done() and task.exception()]:
                task.result()
            if self.books.checkpoint_due:
                await self._save()
            if time.monotonic() - self.moved_at > self.experiment.stall_timeout_s:
                waiting = sum(standing.waiting for standing in self.standing)
                raise UserError(
                    f"no update for {self.experiment.stall_timeout_s:.0f} s: {waiting} judged groups wait of "
                    f"{self.experiment.prompts} needed, {len(self.judging)} are being judged, "
                    f"{self.admission.running} are "
                    "being written; the run is saved, go on with resume= once the cause is mended"
                )
            await asyncio.sleep(0.1)
        self.books.report(force=True)

    async def _save(self) -> None:
        """Write a checkpoint between two updates."""
        async with self.learning:
            epoch = self.learner.epoch
            states = {"learner": await self._persistently(self.learner, "state")}
            if self.learner.epoch != epoch:
                self.draws.back_to_frontier()  # where it died just now, that state is the one that was saved before
            self.books.shares = tuple([await self._persistently(shard, "ledger") for shard in self.shards])
            self.states, frontier = states, self.draws.save()
            self.books.save(states, frontier)
            for shard, number in zip(self.shards, frontier, strict=True):
                await self._persistently(shard, "release", number)
            self.books.shares = tuple([await self._persistently(shard, "ledger") for shard in self.shards])

    async def _persistently(self, role: Supervised, method: str, *args: Any, returns: int = 1) -> Any:
        """Call a role, and call it again where it died: it goes on from its last saved state."""
        while True:
            try:
                return await role.call(method, *args, returns=returns)
            except RoleLost:
                if role in self.shards:
                    await self._hold_back(self.shards.index(role))
                await asyncio.sleep(IDLE_S)


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they are gone."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
