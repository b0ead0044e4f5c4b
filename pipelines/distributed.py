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
| `_act`, one an actor | weights | fragments, rows | room, admission (staleness) | a node, `_learn`, a lost rollout |
| the annotator | questions | verdicts | questions | `_act`; retries and deadlines by the clock |
| `_train_reward` | captions, verdicts | snapshots | verdicts, or the learner's next version | the annotator, `_learn` |
| `_learn` | fragments, snapshots | weights | enough fragments; verdicts, for `verdict_wait_s` | `_act`, the clock |
| `_watch` | the books | display, checkpoints | the clock | the clock |
| `_attend_nodes` | nodes that drain | roles that have moved | the clock | the clock |
| `regrouping` | room | more learners | the clock | the clock |
| elasticity | how long actors and learner waited | more or fewer actors | the clock | the clock |

Nothing waits for ever: calls have deadlines (cluster/supervision.py), the ledger expires what the judge owes, and
`_watch` ends a run whose learner has not moved for `stall_timeout_s`, saying what was missing. With
`max_staleness=0` the loops take turns, in the order of the local runner, and the result is the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from actors.inference import InferenceLost
from cluster.crew import Crew
from cluster.events import RoleLost
from cluster.nodes import node_here
from cluster.placement import Ask
from cluster.reservations import Reservation, Room
from cluster.serving import Service, ServiceOverloaded, ServiceUnavailable, serving
from cluster.session import ray_session
from cluster.supervision import Supervised
from cluster.weights import WeightsBoard
from envs.specs import EnvSpec
from envs.storage.writers import Ack
from envs.trajectory import Fragment, schema_for
from learners.admission import Admission
from learners.admission import Config as AdmissionConfig
from pipelines.driver.learner_group import LearnerGroup
from pipelines.driver.lifecycle import Restored
from pipelines.driver.loops import Uninterrupted, persistently, together
from pipelines.driver.news import News
from pipelines.driver.regrouping import Regrouping, learners_of
from pipelines.driver.seats import Seat
from pipelines.driver.shares import Shares
from pipelines.driver.verdict_wait import await_verdicts, until_told
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.inference import ServedInference, ServedPolicy
from pipelines.judging.asking import annotator_for, answer, examine_judge
from pipelines.judging.judge_watch import JudgeWatch
from pipelines.judging.served_judge import ForFallback, request_of, served_judge
from pipelines.machines.fitting import check_fits
from pipelines.observing.exporter import RayMetrics
from pipelines.observing.logs import tell_dashboard
from pipelines.replay_shard import ReplayShard, passed_over, shard_of
from pipelines.roles import EnvActor, PolicyLearner, RewardTrainer, policy_for, task_of
from pipelines.run import Run
from pipelines.scaling.asks import asks_of, expect_room, needed_cpus, rooms
from pipelines.scaling.attendance import Attendance, Group
from pipelines.scaling.host import Elasticity
from pipelines.scaling.pressure import Waits, makers_pressure
from pipelines.scaling.waiting import ask_for_room, await_room
from pipelines.stages import SECONDS
from rewards.annotation.annotator import Annotator
from rewards.annotation.hedging import Hedging
from rewards.judges.judge import Question, Reply
from rewards.verdicts import Verdict

LOG = logging.getLogger(__name__)
IDLE_S = 0.02  # how often a loop that has nothing to do looks again
# Between two calls of the reward trainer. A call takes some milliseconds of each of trainer, learner and this process,
# whatever it carries; verdicts are late by more than a pause, so it is not felt but where batches wait for them.
REWARD_PAUSE_S, AWAITED_PAUSE_S = 0.5, 0.25
COMPANY_S = 0.5  # questions that do not fill a batch wait so long for others; the trainer hears of verdicts no sooner
VERSIONS_A_CALL = 2  # of the policy, for which the reward model is trained in one call at most


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
    spec = check_fits(experiment, task)
    with ray_session(experiment.ray, needed_cpus(experiment)):
        asks = asks_of(experiment, node_here())
        expect_room(asks)
        run.on_report.append(RayMetrics(run.directory.root.name))
        tell_dashboard(run)
        loops = _Loops(run, spec, restored, asks)
        ask_for_room(loops.wanted)
        if not experiment.reward.judged:
            asyncio.run(loops.run(None))
            return
        serve = experiment.serving
        factory = partial(
            served_judge, experiment.judge, task.goal, serve.threads, serve.batch_tokens, experiment.fallback_judge
        )
        with serving("judge", factory, "ask", serve, experiment.placement.judge) as service:
            asyncio.run(loops.run(service))


def _env_actor(experiment: Experiment, index: int, epoch: int) -> partial[EnvActor]:
    """The factory of an actor."""
    served = experiment.actors.inference == "server"
    inference = ServedInference(experiment.actors.deadline_s) if served else None
    return partial(EnvActor, experiment, index, epoch, inference)


def _replay_shard(experiment: Experiment, schema: pa.Schema, directory: Path, epoch: int) -> partial[ReplayShard]:
    """The factory of a share of the replay: whatever its epoch, it goes on where the last one was."""
    return shard_of(experiment, schema, directory)


class _Ahead(NamedTuple):
    """A batch that the learner was given: its number, what it is made of, and how long it took to sample."""

    number: int
    fragments: list[Fragment]
    sampling_s: float


class _Loops:
    """The loops of one run, over one set of books."""

    def __init__(self, run: Run, spec: EnvSpec, restored: Restored | None, asks: Mapping[str, Ask]) -> None:
        self.books, self.experiment = run, run.experiment
        self.service: Service | None = None  # the judge
        experiment = run.experiment
        self.states: dict[str, Any] = {} if restored is None else dict(restored.roles)
        schema = schema_for(spec, policy_for(spec, experiment).state_size)
        shards = [
            Supervised(
                f"replay-{index}",
                partial(_replay_shard, experiment, schema, run.directory.shard(index)),
                deadline_s=experiment.role_deadline_s,
                room=room,
                on_event=run.event,
            )
            for index, room in enumerate(rooms(asks["replay"], experiment.replay.shards))
        ]
        self.board = WeightsBoard()
        self.admission = Admission(
            AdmissionConfig(
                batch=experiment.batch_fragments,
                max_staleness=experiment.max_staleness,
                concurrency=experiment.actors.count,
            )
        )
        self.shares = Shares(shards, restored.frontier if restored else None, self.admission.dropped)
        self.draws = self.shares.draws
        most = experiment.scaling.actors.around(experiment.actors.count)[1]
        self.actors = [
            Supervised(
                f"env-actor-{index}",
                partial(_env_actor, experiment, index),
                deadline_s=experiment.actors.deadline_s,
                threads=experiment.actors.threads,
                room=room,
                on_event=run.event,
            )
            for index, room in enumerate(rooms(asks["actors"], most))
        ]
        self.acting_version = [-1] * most
        self.waits = Waits(time.monotonic)
        self.too_old = 0  # fragments, when the pressure on the actors was read last
        self.crew = Crew(self.actors, experiment.actors.count, self._knows_nothing, run.event)
        self.elasticity = Elasticity(
            "env-actors",
            self.crew,
            experiment.scaling.actors,
            experiment.scaling.speed,
            self._pressure,
            run.event,
            self.admission.resize,
        )
        make = partial(self._learner, spec)
        self.learner = learners_of(experiment, asks["learner"], experiment.batch_fragments, make, run.event)
        self.learner_epoch = 0
        self.ahead: _Ahead | None = None  # the batch that the learner was given while it learnt from another
        self.batches = 0  # that it was given
        self.trainer = None
        if experiment.reward.judged:
            self.trainer = Supervised(
                "reward-trainer",
                lambda _: partial(RewardTrainer, experiment, self.states.get("trainer")),
                deadline_s=experiment.role_deadline_s,
                room=rooms(asks["trainer"], 1)[0],
                on_event=run.event,
            )
        self.served = None
        if experiment.actors.inference == "server":
            self.served = ServedPolicy(experiment, spec, self.board, run.event, rooms(asks["inference"], 1)[0])
        self.news = News()  # captions, verdicts and reward models, the last by reference
        self.learning, self.training = asyncio.Lock(), asyncio.Lock()
        self.updating = Uninterrupted()
        self.regrouping = Regrouping(self.learner, self._save, self.learning, self._go_back)
        self.judge = JudgeWatch(experiment.serving.max_replicas or experiment.serving.replicas, run.event)
        self.trained_version = -1
        self.told = 0  # verdicts that count, when the reward trainer was last told of them
        self.moved_at = time.monotonic()

    def _learner(self, spec: EnvSpec, place: int, seat: Callable[[int], Seat], room: Room) -> Supervised:
        """The role of one learner: one thread learns, one makes the next batch ready."""
        experiment = self.experiment
        return Supervised(
            "learner" if place == 0 else f"learner-{place}",
            lambda epoch: partial(PolicyLearner, experiment, spec, self.states.get("learner"), seat(epoch)),
            deadline_s=experiment.role_deadline_s,
            threads=experiment.learner_threads,
            room=room,
            concurrency=2,
            on_event=self.books.event,
            by_itself=False,
        )

    @property
    def needed(self) -> list[Supervised]:
        """Roles without which nothing can begin."""
        fewest = self.experiment.scaling.learners.around(self.experiment.learners)[0]
        return [*self.shares.roles, *self.learner.roles[:fewest], *([self.trainer] if self.trainer else [])]

    @property
    def wanted(self) -> list[Supervised]:
        """Roles that are to begin."""
        learners = self.learner.roles[: self.experiment.learners]
        return [*self.needed, *learners, *self.actors[: self.crew.wanted], *([self.served.role] if self.served else [])]

    async def run(self, service: Service | None) -> None:
        """Start every role, run every loop until the run is done, save, and stop every role.

        Args:
            service: the judge, where there is one.
        """
        self.service = service
        first = [*self.shares.roles, *([self.trainer] if self.trainer else [])]
        served = [] if self.served is None else [self.served.role]
        roles: list[Supervised | LearnerGroup] = [*self.actors, *first, self.learner, *served]
        try:
            books = self.books
            wait_s = self.experiment.placement.wait_s
            await await_room(self.needed, wait_s, books.display.say, lambda: books.stopping)
            for one in first:
                one.start()
            await self.learner.begin(self.experiment.learners)
            await self._open_replay()
            if self.served is not None:
                self.served.role.start()
            for index in range(self.crew.wanted):
                self.crew.ready(index)  # they begin while the others do
            fingerprint = await self._begin()
            async with AsyncExitStack() as asking:
                annotator = None if self.trainer is None else self._annotator(fingerprint)
                attending = [self._attend_nodes(), self.regrouping.attend(), self.elasticity.attend()]
                if self.experiment.max_staleness == 0:
                    loops = [self._take_turns(annotator), self._watch()]
                else:
                    loops = [self._learn(), self._watch(), *(self._act(index) for index in range(len(self.actors)))]
                    if annotator is not None:
                        loops.append(self._train_reward())
                        await asking.enter_async_context(annotator)
                        attending.append(annotator.attend())
                if self.service is not None:
                    attending.append(self.judge.attend(self.service.pid))
                await together(loops, attending, self._save, self.experiment.role_deadline_s)
            await self._save()
            await self.shares.close()
        finally:
            for role in roles:
                role.stop()

    async def _open_replay(self) -> None:
        """Go on with what the replay holds: count what came after the checkpoint, and draw again what was drawn."""
        if passed := await self.shares.rewind():
            self.books.note("passed over", passed_over(passed))
        for fragments in await self.shares.every("fragments"):
            self.books.catch_up(fragments)
        for index, standing in enumerate(await self.shares.every("standing")):
            self.shares.stands(index, standing, opening=True)
        # What came after the checkpoint, and was too old before it was drawn, is only in the books of the replay.
        self.books.status.frames = sum(ledger.accepted.frames for ledger in await self.shares.books())
        for actor in self.actors:
            actor.epoch = self.shares.next_epoch

    async def _begin(self) -> str:
        """Publish the first weights, and see that the judge answers before any work is done; gives its fingerprint."""
        version, weights = await persistently(self.learner, "first_weights", returns=2)
        self.board.publish(version, weights)
        if self.trainer is not None and self.states:
            await self._train(steps=0)  # what was known when the run was saved is known from its first update on
        waiting = self.shares.waiting + self.draws.pending * self.experiment.batch_fragments
        self.admission.load_state_dict({"version": version, "waiting": waiting})
        if self.service is None:
            return ""
        question = Question("check", "caption", ("You see here a key.",))
        try:
            fingerprint, _, process = await self.service.ask((question,))
        except (ServiceUnavailable, TimeoutError) as error:
            raise UserError(f"the judge does not answer: {error}; check judge.* with `guerdon doctor`") from None
        self.judge.answered(process)
        if not self.states:
            try:
                await examine_judge(self.books, self._call_judge)
            except (ConnectionError, TimeoutError, ValueError) as error:
                raise UserError(f"the judge does not answer its canaries: {error}") from None
        return str(fingerprint)

    def _knows_nothing(self, index: int) -> None:
        """An actor's process begins: it has no weights yet."""
        self.acting_version[index] = -1

    def _pressure(self) -> float:
        """How hard the actors are pressed since this was asked last."""
        shares = self.waits.read(actors=self.crew.answering, learner=1)
        before, self.too_old = self.too_old, self.shares.dropped
        return makers_pressure(shares["actors"], shares["learner"], self.too_old > before)

    async def _attend_nodes(self) -> None:
        """See which nodes come and go; what stands on those that will go leaves in time."""

        def leaving(nodes: Mapping[str, float]) -> None:
            self.crew.leaving = nodes

        def stop(why: str) -> None:
            self.books.stopping = self.books.stopping or why

        groups = self.regrouping.groups()
        if self.trainer is not None:
            groups.append(Group("reward-trainer", [self.trainer], self._move_trainer))
        if self.served is not None:
            groups.append(Group("inference", [self.served.role], self.served.move))
        if self.experiment.placement.replay_anywhere:
            groups += self.shares.groups()
        await Attendance(node_here(), self.books.event, leaving, self._save, stop).attend(groups)

    async def _move_trainer(self, to: Reservation) -> None:
        await self._save()
        async with self.training:
            assert self.trainer is not None
            self.trainer.move("its node will go", to)
            self.news.forget("reward-trainer")

    # The loops ------------------------------------------------------------------------------------------------------

    async def _act(self, index: int) -> None:
        """Let one actor roll out whenever admission allows it."""
        while not self.books.done:
            if not self.crew.ready(index):
                await asyncio.sleep(10 * IDLE_S)
            elif not self.admission.admit():
                began = time.monotonic()
                await asyncio.sleep(IDLE_S)
                self.waits.add("actors", time.monotonic() - began)
            elif (gathered := await self._rollout(index)) is not None:
                await self._arrived(*gathered)

    async def _rollout(self, index: int) -> tuple[Fragment, Any] | None:
        """One rollout of one actor; None, and counted as lost, where the actor died."""
        self.admission.started()
        weights, server = self.board.newer_than(self.acting_version[index]), None
        try:
            if self.served is not None:
                weights, server = None, await self.served.host()
            fragment, rows = await self.actors[index].call("rollout", weights, server, returns=2)
        except (RoleLost, InferenceLost):
            if self.served is not None:
                self.served.doubt()
            self.admission.lost()
            self.books.status.lost_fragments += 1
            self.acting_version[index] = -1
            return None
        self.acting_version[index] = fragment.policy_version
        return fragment, rows

    async def _arrived(self, fragment: Fragment, rows: Any) -> None:
        """Put a fragment into the replay and the books."""
        stored = await self.shares.insert(fragment.key[0], fragment, rows)
        if stored is None:
            self.admission.lost()
            self.books.status.lost_fragments += 1
            return
        index, ack, standing = stored
        # One that its share had stored before it died is new to the books.
        if ack is Ack.STORED or (ack is Ack.DUPLICATE and self.books.awaits(fragment)):
            self.admission.finished()
            self.books.gathered(fragment)
        else:
            self.admission.lost()
        self.shares.stands(index, standing)

    def _go_back(self) -> bool:
        """If the learner has died, it has begun where it was saved last: tell it all, and draw again; gives whether."""
        if self.learner_epoch == self.learner.epoch:
            return False
        self.learner_epoch = self.learner.epoch
        self.news.forget("learner")
        self.ahead = None
        self.draws.back_to_frontier()
        return True

    async def _learn(self) -> None:
        """Update whenever there is a batch, and publish the weights."""
        while not self.books.done:
            began = time.monotonic()
            # A batch that waits for verdicts is not given ahead: the weights before it would wait to be published.
            if not await self._update(ahead=not self.experiment.verdict_wait_s):
                await asyncio.sleep(IDLE_S / 4)
                self.waits.add("learner", time.monotonic() - began)

    async def _update(self, ahead: bool = False) -> bool:
        """One update, if there is a batch. A learner that died goes back to what was saved, and draws it all again.

        Args:
            ahead: whether the next batch is given to the learner while it learns from this one.
        """
        async with self.learning:  # a checkpoint is made between two updates
            return await self.updating.run(self._update_now(ahead))

    async def _update_now(self, ahead: bool) -> bool:
        batch, self.ahead = self.ahead or await self._prepare(), None
        if batch is None:
            return False
        learning = asyncio.create_task(self.learner.call("learn", batch.number, returns=2))
        try:
            if ahead:
                self.ahead = await self._prepare()
            metrics, weights = await learning
        except RoleLost:
            self._go_back()
            self.draws.given_up(self.draws.ahead)  # where it lives, it is given the same batches again
            self.ahead = None
            await asyncio.sleep(IDLE_S)
            return True
        finally:
            learning.cancel()
        if self.draws.learnt():
            self.books.learnt({**metrics, SECONDS + "sample": batch.sampling_s}, batch.fragments)
        if int(metrics["version"]) > self.board.version:
            self.board.publish(int(metrics["version"]), weights)
            self.admission.on_version(self.board.version)
        self.moved_at = time.monotonic()
        return True

    async def _prepare(self) -> _Ahead | None:
        """Draw a batch and give it to the learner, with all that it has not been told; None where there is none."""
        index = self.shares.next(self.experiment.batch_fragments)
        if index is None:
            return None
        number, again, began = self.draws.number(index), self.draws.again, time.perf_counter()
        drawn = False
        try:
            version = self.board.version + self.draws.ahead  # that it will have when it learns from this
            (fragments, standing), rows = await self.shares.roles[index].call("draw", number, version, returns=2)
            sampling_s = time.perf_counter() - began
            self.shares.stands(index, standing)
            if not fragments and not again:
                return None  # some were too old
            await self._await_verdicts(fragments)
            if self._go_back():
                return None  # the learner for whom this was drawn has died meanwhile
            self.draws.drawn(index)
            drawn = True
            self.batches += 1
            batch = _Ahead(self.batches, fragments, sampling_s)
            captions, _, snapshot = self._news("learner", self.learner.epoch)
            await self.learner.call("prepare", batch.number, captions, snapshot, rows)
        except RoleLost:
            if not self._go_back() and drawn:  # the learner lives, and does not have the batch: it is told all again
                self.draws.given_up()
                self.news.forget("learner")
            await asyncio.sleep(IDLE_S)
            return None
        return batch

    async def _await_verdicts(self, fragments: Sequence[Fragment]) -> None:
        """Wait, within the bound, until the captions of a batch are judged and the reward model knows of it."""
        within_s = self.experiment.verdict_wait_s
        if not within_s or self.experiment.max_staleness == 0:  # taking turns, it was waited for before
            return

        missing = until_told(
            lambda: 0 if self.books.done else self.books.verdicts.unsettled(fragments),
            lambda: 0 if self.books.done else len(self.books.verdicts.counted),
            lambda: self.told,
        )
        self.books.waited(await await_verdicts(missing, within_s))

    async def _call_judge(self, questions: tuple[Question, ...]) -> Reply:
        """One call of the judge; who answers and who does not is noted."""
        return await self._call(questions)

    async def _call_fallback(self, questions: tuple[Question, ...]) -> Reply:
        return await self._call(ForFallback(questions))

    async def _call(self, asked: tuple[Question, ...] | ForFallback) -> Reply:
        assert self.service is not None
        try:
            fingerprint, answers, process = await self.service.ask(asked)
        except ServiceOverloaded:
            raise  # it is well, and has too much to do
        except Exception as error:
            questions = asked.questions if isinstance(asked, ForFallback) else asked
            LOG.warning("the judge did not answer", extra={"request": request_of(questions), "cause": str(error)})
            self.judge.failed(str(error))
            raise
        self.judge.answered(process)
        return fingerprint, answers

    def _annotator(self, fingerprint: str) -> Annotator:
        """What sends questions; where nobody waits for the answers a call is hedged, and waits to be full."""
        experiment = self.experiment
        fallback = None if experiment.fallback_judge is None else self._call_fallback
        hedging = Hedging(experiment.hedging) if experiment.max_staleness else None
        company_s = 0.0 if experiment.verdict_wait_s else COMPANY_S
        return annotator_for(self.books, self._call_judge, fingerprint, fallback, hedging, company_s)

    async def _train_reward(self) -> None:
        """Train once for each version of the policy; take new verdicts in between, without training on them again.

        The pause bounds how often a new reward model is sent to the learner: each makes it score all captions anew.
        """
        pause_s = AWAITED_PAUSE_S if self.experiment.verdict_wait_s else REWARD_PAUSE_S
        while not self.books.done:
            versions = min(self.board.version - self.trained_version, VERSIONS_A_CALL)
            if versions or len(self.books.verdicts.counted) != self.told:
                await self._train(versions * self.experiment.reward.train_steps)
                await asyncio.sleep(pause_s)
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
                    known = len(self.books.verdicts.counted)
                    captions, verdicts, _ = self._news("reward-trainer", self.trainer.epoch)
                    report, snapshot = await self.trainer.call("step", captions, verdicts, steps, returns=2)
                break
            except RoleLost:
                self.news.forget("reward-trainer")
                await asyncio.sleep(IDLE_S)
        self.trained_version = version
        self.books.reward_trained(*report)
        if report.sha256:
            self.news.publish(snapshot)
        self.told = known

    def _news(self, name: str, epoch: int) -> tuple[dict[int, str], list[Verdict], Any]:
        """Captions, verdicts and a reward model (or None) that a role has not been told of yet."""
        return self.news.of(name, epoch, self.books.verdicts.caption_log, self.books.verdicts.counted)

    async def _take_turns(self, annotator: Annotator | None) -> None:
        """In lockstep: everyone acts, everything is judged, the reward model is trained, the learner learns."""
        while not self.books.done:
            while not all([self.crew.ready(index) for index in range(self.crew.wanted)]):
                await asyncio.sleep(IDLE_S)
            actors = range(min(self.admission.capacity, self.crew.wanted))
            # Taken in the order of the actors and not of their arrival: sums of floats depend on the order.
            new = [gathered for gathered in await asyncio.gather(*map(self._rollout, actors)) if gathered is not None]
            for gathered in new:
                await self._arrived(*gathered)
            if annotator is not None:
                await answer(self.books, annotator, [fragment for fragment, _ in new])
                await self._train()
            while await self._update():
                pass

    async def _watch(self) -> None:
        """Display and save by the clock; end a run that does not move."""
        while not self.books.done:
            self.books.queues = {"fragments": self.shares.waiting, "rollouts": self.admission.running}
            if self.books.report() and self.books.verdicts.reward_begins_anew() and self.trainer is not None:
                async with self.training:
                    await persistently(self.trainer, "begin_anew")
                    self.news.forget("reward-trainer")
                    self.states["trainer"] = None  # what was saved of it is of the reward before
            if self.books.checkpoint_due:
                await self._save()
            if time.monotonic() - self.moved_at > self.experiment.stall_timeout_s:
                raise UserError(
                    f"no update for {self.experiment.stall_timeout_s:.0f} s: {self.shares.waiting} fragments wait of "
                    f"{self.experiment.batch_fragments} needed, {self.admission.running} rollouts run, "
                    f"{self.crew.answering} of {self.crew.wanted} env actors have a place; the run is saved, go "
                    "on with resume= once the cause is mended"
                )
            await asyncio.sleep(0.2)
        self.books.report(force=True)

    async def _save(self) -> None:
        """Write a checkpoint between two updates."""
        async with self.learning:
            await self.updating.over()  # its loop may have been ended in the middle
            while self.ahead is not None:  # what the learner has been given is in the checkpoint
                await self.updating.run(self._update_now(ahead=False))
            states: dict[str, Any] = {"learner": await persistently(self.learner, "state"), "trainer": None}
            self._go_back()  # where it died just now, that state is the one that was saved before
            if self.trainer is not None:
                states["trainer"] = await persistently(self.trainer, "state")
            self.books.shares = await self.shares.books()
            self.states, frontier = states, self.draws.save()
            self.books.save(states, frontier)
            await self.shares.release()
            self.books.shares = await self.shares.books()
            await self.shares.copy_to(self.books.mirror)
