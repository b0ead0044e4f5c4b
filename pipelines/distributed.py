"""The distributed runner: the same experiment as local.py, each role in a process of its own.

```
             weights (by version)
      ┌───────────────────────────────────────────────┐
      ↓                                               │
 env actors ──Fragment──→ books ──captions──→ judge (Ray Serve)
      │                     ↑  ↓                 │
      │                     │  └─verdicts──→ reward trainer
      └──rows (by reference)┘                    │ snapshot
                │                                ↓
                └──→ replay (disk) ──batch──→ policy learner
```

Rows go from actor to replay and from there to the learner by reference, through the object store; this process sees
what actors say of them (`Fragment`), and decides. It runs one loop for each arrow:

| loop | consumes | produces | waits for | unblocked by |
|---|---|---|---|---|
| `_act`, one an actor | weights | fragments, rows | admission (staleness) | `_learn`, or a lost rollout |
| the annotator | questions | verdicts | questions | `_act`; retries and deadlines by the clock |
| `_train_reward` | captions, verdicts | snapshots | verdicts, or the learner's next version | `_judge`, `_learn` |
| `_learn` | fragments, snapshots | weights | enough fragments | `_act` |
| `_watch` | the books | display, checkpoints | the clock | the clock |

Nothing waits for ever: calls have deadlines (cluster/supervision.py), the ledger expires what the judge owes, and
`_watch` ends a run whose learner has not moved for `stall_timeout_s`, saying what was missing. With
`max_staleness=0` the loops take turns, in the order of the local runner, and the result is the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from cluster.serving import Service, ServiceOverloaded, ServiceUnavailable, serving
from cluster.session import ray_session
from cluster.supervision import Event, RoleLost, Supervised
from cluster.weights import WeightsBoard
from envs.specs import EnvSpec
from envs.storage.writers import Ack
from envs.trajectory import Fragment, schema_for
from learners.admission import Admission
from learners.admission import Config as AdmissionConfig
from pipelines.draws import Draws
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.replay_shard import ReplayShard, Standing
from pipelines.roles import EnvActor, PolicyLearner, RewardTrainer, task_of
from pipelines.run import Restored, Run
from pipelines.served_judge import served_judge
from rewards.annotation.annotator import Annotator, Reply
from rewards.annotation.hedging import Hedging
from rewards.annotation.ledger import Batch
from rewards.annotation.permits import Permits
from rewards.budget import Budget
from rewards.cache import VerdictCache
from rewards.judges.judge import Question
from rewards.rates import RateLimit
from rewards.verdicts import Status, Verdict

IDLE_S = 0.02  # how often a loop that has nothing to do looks again
REWARD_PAUSE_S = 0.25  # between two steps of the reward trainer: verdicts are late by seconds, so this is not felt
ATTEND_S = 2.0  # how often the judge is asked for a sign of life
INSERTS = 5  # tries to store a fragment before its rows count as lost
ROLE_DEADLINE_S = 120.0  # a call of the learner or the reward trainer that takes longer counts as a hang


def needed_cpus(experiment: Experiment) -> int:
    """Logical CPUs that the roles of an experiment reserve; they share the cores of a small machine by design."""
    judge = experiment.serving.replicas * experiment.serving.cpus + 1 if experiment.reward.judged else 0
    return experiment.actors.count + 2 + int(judge) + 1


def run_distributed(run: Run, restored: Restored | None) -> None:
    """Run to the end on Ray.

    Args:
        run: the books, restored already where the run is resumed.
        restored: what it goes on from.

    Raises:
        UserError: Ray, the judge or a role could not be started, or the run stalled.
    """
    experiment = run.experiment
    task = task_of(experiment)
    environment = task.make()
    spec = environment.spec
    environment.close()
    with ray_session(experiment.ray, needed_cpus(experiment)):
        if not experiment.reward.judged:
            asyncio.run(_Loops(run, spec, None, restored).run())
            return
        serve = experiment.serving
        factory = partial(served_judge, experiment.judge, task.goal, serve.threads, serve.batch_tokens)
        with serving("judge", factory, "ask", experiment.serving) as service:
            asyncio.run(_Loops(run, spec, service, restored).run())


def _replay_shard(experiment: Experiment, schema: pa.Schema, directory: Path, epoch: int) -> partial[ReplayShard]:
    """The factory of a share of the replay: whatever its epoch, it goes on where the last one was."""
    return partial(ReplayShard, experiment, schema, directory.resolve())


class _Loops:
    """The loops of one run, over one set of books."""

    def __init__(self, run: Run, spec: EnvSpec, service: Service | None, restored: Restored | None) -> None:
        self.books, self.experiment, self.service = run, run.experiment, service
        experiment = run.experiment
        self.states: dict[str, Any] = {} if restored is None else dict(restored.roles)
        schema = schema_for(spec, experiment.policy.hidden)
        self.shards = [
            Supervised(
                f"replay-{index}",
                partial(_replay_shard, experiment, schema, run.directory.shard(index)),
                deadline_s=ROLE_DEADLINE_S,
                on_event=run.event,
            )
            for index in range(experiment.replay.shards)
        ]
        self.standing = [Standing(0, 0, 0, -1)] * len(self.shards)
        self.draws = Draws(restored.frontier if restored else [0] * len(self.shards))
        self.board = WeightsBoard()
        self.admission = Admission(
            AdmissionConfig(
                batch=experiment.batch_fragments,
                max_staleness=experiment.max_staleness,
                concurrency=experiment.actors.count,
            )
        )
        self.actors = [
            Supervised(
                f"env-actor-{index}",
                partial(partial, EnvActor, experiment, index),
                deadline_s=experiment.actors.deadline_s,
                threads=experiment.actors.threads,
                on_event=run.event,
            )
            for index in range(experiment.actors.count)
        ]
        self.learner = Supervised(
            "learner",
            lambda _: partial(PolicyLearner, experiment, spec, self.states.get("learner")),
            deadline_s=ROLE_DEADLINE_S,
            threads=experiment.learner_threads,
            on_event=run.event,
        )
        self.trainer = None
        if experiment.reward.judged:
            self.trainer = Supervised(
                "reward-trainer",
                lambda _: partial(RewardTrainer, experiment, self.states.get("trainer")),
                deadline_s=ROLE_DEADLINE_S,
                on_event=run.event,
            )
        self.acting_version = [-1] * experiment.actors.count
        self.snapshot: Any = None  # the newest reward model, by reference, and how many there were
        self.snapshots = 0
        # What each role has been told, by its epoch: a role that was started again is told everything once more.
        self.told: dict[str, tuple[int, int, int, int]] = {}
        self.learning, self.training = asyncio.Lock(), asyncio.Lock()
        self.judge_processes: set[int] = set()
        self.judge_failed_at: float | None = None
        self.trained_version = -1
        self.moved_at = time.monotonic()

    async def run(self) -> None:
        """Start every role, run every loop until the run is done, save, and stop every role."""
        roles = [*self.actors, *self.shards, self.learner, *([self.trainer] if self.trainer else [])]
        try:
            for role in [*self.shards, self.learner, *([self.trainer] if self.trainer else [])]:
                role.start()
            await self._open_replay()
            for actor in self.actors:
                actor.start()
            fingerprint = await self._begin()
            async with AsyncExitStack() as asking:
                if self.experiment.max_staleness == 0:
                    loops = [self._take_turns(), self._watch()]
                else:
                    loops = [self._learn(), self._watch(), *(self._act(index) for index in range(len(self.actors)))]
                    if self.trainer is not None:
                        loops.append(self._train_reward())
                        await asking.enter_async_context(self._annotator(fingerprint))
                tasks = [asyncio.create_task(loop) for loop in loops]
                attending = [asyncio.create_task(self._attend(self.service))] if self.service is not None else []
                try:
                    # A loop ends when the run is done; one that fails takes the others with it.
                    await asyncio.gather(*tasks)
                except Exception:
                    await _end([*tasks, *attending])
                    with suppress(Exception):  # what was learnt is kept if it can be; the first error is the one told
                        await self._save()
                    raise
                finally:
                    await _end([*tasks, *attending])
            await self._save()
            with suppress(RoleLost):  # what was stored is stored; closing only tidies up
                for shard in self.shards:
                    await shard.call("close")
        finally:
            for role in roles:
                role.stop()

    async def _open_replay(self) -> None:
        """Go on with what the replay holds: count what came after the checkpoint, and draw again what was drawn."""
        redelivered, accepted = [], 0
        for index, shard in enumerate(self.shards):
            redelivered.append(await self._persistently(shard, "rewind", self.draws.frontier[index]))
            self.books.catch_up(await self._persistently(shard, "fragments"))
            self.standing[index] = await self._persistently(shard, "standing")
            accepted += (await self._persistently(shard, "ledger")).accepted.frames
        # What came after the checkpoint, and was too old before it was drawn, is only in the books of the replay.
        self.books.status.frames = accepted
        self.draws.expect_again(redelivered)
        for actor in self.actors:
            actor.epoch = max(standing.epoch for standing in self.standing) + 1

    async def _begin(self) -> str:
        """Publish the first weights, and see that the judge answers before any work is done; gives its fingerprint."""
        version, weights = await self._persistently(self.learner, "first_weights", returns=2)
        self.board.publish(version, weights)
        if self.trainer is not None and self.states:
            await self._train(steps=0)  # what was known when the run was saved is known from its first update on
        waiting = sum(standing.waiting for standing in self.standing)
        waiting += self.draws.pending * self.experiment.batch_fragments
        self.admission.load_state_dict({"version": version, "waiting": waiting})
        if self.service is None:
            return ""
        question = Question("check", "caption", ("You see here a key.",))
        try:
            fingerprint, _, process = await self.service.ask((question,))
        except (ServiceUnavailable, TimeoutError) as error:
            raise UserError(f"the judge does not answer: {error}; check judge.* with `guerdon doctor`") from None
        self._judge_answered(process)
        return str(fingerprint)

    # The loops ------------------------------------------------------------------------------------------------------

    async def _act(self, index: int) -> None:
        """Let one actor roll out whenever admission allows it."""
        while not self.books.done:
            if not self.admission.admit():
                await asyncio.sleep(IDLE_S)
            elif (gathered := await self._rollout(index)) is not None:
                await self._arrived(*gathered)

    async def _rollout(self, index: int) -> tuple[Fragment, Any] | None:
        """One rollout of one actor; None, and counted as lost, where the actor died."""
        self.admission.started()
        weights = self.board.newer_than(self.acting_version[index])
        try:
            fragment, rows = await self.actors[index].call("rollout", weights, returns=2)
        except RoleLost:
            self.admission.lost()
            self.books.status.lost_fragments += 1
            self.acting_version[index] = -1
            return None
        self.acting_version[index] = fragment.policy_version
        return fragment, rows

    async def _arrived(self, fragment: Fragment, rows: Any) -> None:
        """Put a fragment into the replay and the books."""
        index = fragment.key[0] % len(self.shards)
        for _ in range(INSERTS):
            try:
                ack, standing = await self.shards[index].call("insert", fragment, rows)
                break
            except RoleLost:
                await asyncio.sleep(IDLE_S)
        else:  # the replay lives, or its supervision would have ended the run: the rows are gone with their node
            self.admission.lost()
            self.books.status.lost_fragments += 1
            return
        if ack is Ack.STORED:
            self.admission.finished()
            self.books.gathered(fragment)
        else:
            self.admission.lost()
        self._stands(index, standing)

    def _go_back(self) -> None:
        """If it was the learner that died, it has begun where it was saved last: tell it all, and draw again."""
        if self.told.get("learner", (self.learner.epoch,))[0] != self.learner.epoch:
            self.told.pop("learner", None)
            self.draws.back_to_frontier()

    def _stands(self, index: int, standing: Standing) -> None:
        """Note how a share of the replay stands; what it has dropped makes room for more."""
        before, self.standing[index] = self.standing[index], standing
        self.admission.dropped(max(0, standing.dropped - before.dropped))

    async def _learn(self) -> None:
        """Update whenever there is a batch, and publish the weights."""
        while not self.books.done:
            if not await self._update():
                await asyncio.sleep(IDLE_S / 4)

    async def _update(self) -> bool:
        """One update, if there is a batch. A learner that died goes back to what was saved, and draws it all again."""
        async with self.learning:  # a checkpoint is made between two updates
            index = self.draws.next_share([s.waiting // self.experiment.batch_fragments for s in self.standing])
            if index is None:
                return False
            number, again = self.draws.number(index), self.draws.pending > 0
            try:
                (fragments, standing), rows = await self.shards[index].call(
                    "draw", number, self.board.version, returns=2
                )
                self._stands(index, standing)
                if not fragments and not again:
                    return False  # some were too old
                self.draws.drawn(index)
                captions, _, snapshot = self._news("learner", self.learner)
                metrics, weights = await self.learner.call("learn", captions, snapshot, rows, returns=2)
            except RoleLost:
                self._go_back()
                await asyncio.sleep(IDLE_S)
                return True
            if self.draws.learnt():
                self.books.learnt(metrics, fragments)
            if int(metrics["version"]) > self.board.version:
                self.board.publish(int(metrics["version"]), weights)
                self.admission.on_version(self.board.version)
            self.moved_at = time.monotonic()
        return True

    async def _call_judge(self, questions: tuple[Question, ...]) -> Reply:
        """One call of the judge; who answers and who does not is noted."""
        assert self.service is not None
        try:
            fingerprint, answers, process = await self.service.ask(questions)
        except ServiceOverloaded:
            raise  # it is well, and has too much to do
        except Exception as error:
            self._judge_failed(str(error))
            raise
        self._judge_answered(process)
        return fingerprint, answers

    async def _ask(self, batch: Batch) -> None:
        """One batch, in lockstep; whatever goes wrong is a status with a cause, and never the end of annotation."""
        annotation = self.books.annotation
        try:
            fingerprint, answers = await self._call_judge(batch.questions)
        except TimeoutError as error:
            self.books.answered(annotation.fail(batch.id, Status.TIMEOUT, str(error)))
        except Exception as error:
            self.books.answered(annotation.fail(batch.id, Status.JUDGE_FAULT, str(error)))
        else:
            self.books.answered(annotation.complete(batch.id, answers, fingerprint))

    def _annotator(self, fingerprint: str) -> Annotator:
        """What sends questions when nobody waits for them: cache, budget, rates and hedging as the experiment says."""
        experiment = self.experiment
        budget = Budget(experiment.budget, experiment.prices) if experiment.budget.limited else None
        rates = RateLimit(experiment.rates) if experiment.rates.limited else None
        annotator = Annotator(
            self.books.annotation,
            self._call_judge,
            fingerprint=fingerprint,
            busy=(ServiceOverloaded,),
            cache=VerdictCache(experiment.cache),
            hedging=Hedging(experiment.hedging),
            permits=Permits(budget, rates),
            on_verdicts=self.books.answered,
        )
        self.books.post = annotator.post
        return annotator

    async def _attend(self, service: Service) -> None:
        """See every few seconds who answers for the judge: Serve replaces a dead replica in silence."""
        silent = False
        while True:
            since = time.monotonic()
            try:
                process = await service.pid()
            except Exception as error:
                silent = True
                self._judge_failed(f"no sign of life: {error}", since)
            else:
                # A judge whose answers failed has recovered when it answers, and not because its process is there.
                if silent or process not in self.judge_processes:
                    self._judge_answered(process, since)
                silent = False
            await asyncio.sleep(ATTEND_S)

    def _judge_answered(self, process: int, since: float | None = None) -> None:
        """Note which process answered, when it was asked at `since`; one more than there are replicas replaces one."""
        if process not in self.judge_processes:
            if len(self.judge_processes) == self.experiment.serving.replicas:
                self._judge_failed("its process is gone", since)
                self.judge_processes.clear()
            self.judge_processes.add(process)
            self.books.event(Event(time.time(), "judge", "started", f"process {process}"))
        if self.judge_failed_at is not None:
            seconds = time.monotonic() - self.judge_failed_at
            self.judge_failed_at = None
            self.books.event(Event(time.time(), "judge", "recovered", f"process {process} answers", seconds))

    def _judge_failed(self, cause: str, since: float | None = None) -> None:
        if self.judge_failed_at is None:
            self.judge_failed_at = since or time.monotonic()
            self.books.event(Event(time.time(), "judge", "died", cause))

    async def _train_reward(self) -> None:
        """Train once for each version of the policy; take new verdicts in between, without training on them again.

        The pause bounds how often a new reward model is sent to the learner: each makes it score all captions anew.
        """
        told = -1
        while not self.books.done:
            newer = self.board.version > self.trained_version
            if newer or len(self.books.verdict_log) > told:
                told = len(self.books.verdict_log)
                await self._train(None if newer else 0)
                await asyncio.sleep(REWARD_PAUSE_S)
            else:
                await asyncio.sleep(IDLE_S)

    async def _train(self, steps: int | None = None) -> None:
        """One call of the trainer; if it died, it is told everything again and the call is made anew."""
        assert self.trainer is not None
        version = self.board.version
        steps = self.experiment.reward.train_steps if steps is None else steps
        while True:
            try:
                async with self.training:
                    captions, verdicts, _ = self._news("reward-trainer", self.trainer)
                    report, snapshot = await self.trainer.call("step", captions, verdicts, steps, returns=2)
                break
            except RoleLost:
                self.told.pop("reward-trainer", None)
                await asyncio.sleep(IDLE_S)
        self.trained_version = version
        self.books.reward_trained(*report)
        if report.sha256:
            self.snapshot, self.snapshots = snapshot, self.snapshots + 1

    def _news(self, name: str, role: Supervised) -> tuple[dict[int, str], list[Verdict], Any]:
        """Captions, verdicts, and a reference to a snapshot (or None) that a role has not been told of yet."""
        epoch, captions, verdicts, snapshots = self.told.get(name, (role.epoch, 0, 0, 0))
        if epoch != role.epoch:
            captions = verdicts = snapshots = 0
        log, judged = self.books.caption_log, self.books.verdict_log
        self.told[name] = (role.epoch, len(log), len(judged), self.snapshots)
        return dict(log[captions:]), judged[verdicts:], self.snapshot if self.snapshots > snapshots else None

    async def _take_turns(self) -> None:
        """In lockstep: everyone acts, everything is judged, the reward model is trained, the learner learns."""
        while not self.books.done:
            actors = range(min(self.admission.capacity, len(self.actors)))
            # Taken in the order of the actors and not of their arrival: sums of floats depend on the order.
            for gathered in await asyncio.gather(*(self._rollout(index) for index in actors)):
                if gathered is not None:
                    await self._arrived(*gathered)
            if self.trainer is not None:
                while (batch := self.books.annotation.next_batch()) is not None:
                    await self._ask(batch)
                await self._train()
            while await self._update():
                pass

    async def _watch(self) -> None:
        """Display and save by the clock; end a run that does not move."""
        while not self.books.done:
            if self.books.report() and self.books.switched() and self.trainer is not None:
                async with self.training:
                    await self._persistently(self.trainer, "begin_anew")
                    self.told.pop("reward-trainer", None)
                    self.states["trainer"] = None  # what was saved of it is of the reward before
            if self.books.checkpoint_due:
                await self._save()
            if time.monotonic() - self.moved_at > self.experiment.stall_timeout_s:
                waiting = sum(standing.waiting for standing in self.standing)
                raise UserError(
                    f"no update for {self.experiment.stall_timeout_s:.0f} s: {waiting} fragments wait of "
                    f"{self.experiment.batch_fragments} needed, {self.admission.running} rollouts run; the run is "
                    "saved, go on with resume= once the cause is mended"
                )
            await asyncio.sleep(0.2)
        self.books.report(force=True)

    async def _save(self) -> None:
        """Write a checkpoint between two updates."""
        async with self.learning:
            states: dict[str, Any] = {"learner": await self._persistently(self.learner, "state"), "trainer": None}
            self._go_back()  # where it died just now, that state is the one that was saved before
            if self.trainer is not None:
                states["trainer"] = await self._persistently(self.trainer, "state")
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
                await asyncio.sleep(IDLE_S)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they are gone."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
