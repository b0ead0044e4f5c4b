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
| `Acting.act`, one an actor | weights | fragments, rows | room, admission | a node, `learn`, a lost rollout |
| the annotator | questions | verdicts | questions | `act`; retries and deadlines by the clock |
| `RewardTraining` | captions, verdicts | snapshots | verdicts, or the learner's next version | the annotator, `learn` |
| `Learning.learn` | fragments, snapshots | weights | fragments; verdicts, for `verdict_wait_s` | `act`, the clock |
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
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from cluster.nodes import node_here
from cluster.placement import Ask
from cluster.reservations import Reservation
from cluster.serving import Service, serving
from cluster.session import ray_session
from cluster.supervision import Supervised
from cluster.weights import WeightsBoard
from envs.specs import EnvSpec
from learners.admission import Admission
from learners.admission import Config as AdmissionConfig
from pipelines.driver.learner_group import LearnerGroup
from pipelines.driver.lifecycle import Restored
from pipelines.driver.loops import together
from pipelines.driver.news import News
from pipelines.driver.shares import Shares
from pipelines.environment.acting import Acting
from pipelines.environment.ground import Ground
from pipelines.environment.inference import ServedPolicy
from pipelines.environment.judge_calls import JudgeCalls
from pipelines.environment.learning import Learning
from pipelines.environment.processes import actor_roles, learner_roles, replay_roles, trainer_role
from pipelines.environment.reward_training import RewardTraining
from pipelines.environment.roles import task_of
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.judging.asking import answer
from pipelines.judging.served_judge import served_judge
from pipelines.machines.fitting import check_fits
from pipelines.observing.exporter import RayMetrics
from pipelines.observing.logs import tell_dashboard
from pipelines.replay_shard import passed_over
from pipelines.scaling.asks import asks_of, expect_room, needed_cpus, rooms
from pipelines.scaling.attendance import Attendance, Group
from pipelines.scaling.pressure import Waits
from pipelines.scaling.waiting import ask_for_room, await_room
from rewards.annotation.annotator import Annotator


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
        loops = Loops(run, spec, restored, asks)
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


class Loops:
    """The loops of one run, over one set of books."""

    def __init__(self, run: Run, spec: EnvSpec, restored: Restored | None, asks: Mapping[str, Ask]) -> None:
        """Name every role; nothing is started."""
        self.books, self.experiment, self.resumed = run, run.experiment, restored is not None
        experiment = run.experiment
        saved: dict[str, Any] = {} if restored is None else dict(restored.roles)
        self.admission = Admission(
            AdmissionConfig(
                batch=experiment.batch_fragments,
                max_staleness=experiment.max_staleness,
                concurrency=experiment.actors.count,
            )
        )
        self.shares = Shares(
            replay_roles(run, asks["replay"], spec),
            restored.frontier if restored else None,
            self.admission.dropped,
        )
        board = WeightsBoard()
        self.served = None
        if experiment.actors.inference == "server":
            self.served = ServedPolicy(experiment, spec, board, run.event, rooms(asks["inference"], 1)[0])
        ground = Ground(run, self.shares, self.admission, board, News(), Waits(time.monotonic))
        self.trainer = None
        if experiment.reward.judged:
            self.trainer = RewardTraining(ground, trainer_role(run, asks["trainer"], saved), saved)
        self.learner = learner_roles(run, asks["learner"], spec, saved)
        self.acting = Acting(ground, actor_roles(run, asks["actors"]), self.served)
        self.learning = Learning(ground, self.learner, self.trainer, saved)

    @property
    def _beside(self) -> list[Supervised]:
        """Replay and reward trainer, which begin before all others."""
        return [*self.shares.roles, *([self.trainer.role] if self.trainer else [])]

    @property
    def _inference(self) -> list[Supervised]:
        return [] if self.served is None else [self.served.role]

    @property
    def needed(self) -> list[Supervised]:
        """Roles without which nothing can begin."""
        fewest = self.experiment.scaling.learners.around(self.experiment.learners)[0]
        return [*self.shares.roles, *self.learner.roles[:fewest], *([self.trainer.role] if self.trainer else [])]

    @property
    def wanted(self) -> list[Supervised]:
        """Roles that are to begin."""
        learners, acting = self.learner.roles[: self.experiment.learners], self.acting
        return [*self.needed, *learners, *acting.actors[: acting.crew.wanted], *self._inference]

    async def run(self, service: Service | None) -> None:
        """Start every role, run every loop until the run is done, save, and stop every role.

        Args:
            service: the judge, where there is one.
        """
        acting, learning, trainer = self.acting, self.learning, self.trainer
        roles: list[Supervised | LearnerGroup] = [*acting.actors, *self._beside, self.learner, *self._inference]
        try:
            books = self.books
            wait_s = self.experiment.placement.wait_s
            await await_room(self.needed, wait_s, books.display.say, lambda: books.stopping)
            for one in self._beside:
                one.start()
            await self.learner.begin(self.experiment.learners)
            await self._open_replay()
            for one in self._inference:
                one.start()
            acting.begin_all()  # while the others do
            await self._publish_first()
            judge = annotator = None
            if service is not None:
                judge = JudgeCalls(books, service)
                annotator = judge.annotator(await judge.examine(new=not self.resumed))
            async with AsyncExitStack() as asking:
                attending = [self._attend_nodes(), learning.regrouping.attend(), acting.elasticity.attend()]
                if judge is not None:
                    attending.append(judge.attend())
                if self.experiment.max_staleness == 0:
                    loops = [self._take_turns(annotator), self._watch()]
                else:
                    loops = [learning.learn(), self._watch(), *map(acting.act, range(len(acting.actors)))]
                    if trainer is not None:
                        loops.append(trainer.train_for_ever())
                    if annotator is not None:
                        await asking.enter_async_context(annotator)
                        attending.append(annotator.attend())
                await together(loops, attending, learning.save, self.experiment.role_deadline_s)
            await learning.save()
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
        for actor in self.acting.actors:
            actor.epoch = self.shares.next_epoch

    async def _publish_first(self) -> None:
        """Publish the first weights, and let rollouts be begun as many as there is room for."""
        version = await self.learning.first_weights()
        if self.trainer is not None and self.resumed:
            await self.trainer.train(steps=0)  # what was known when the run was saved is known from its first update on
        waiting = self.shares.waiting + self.shares.draws.pending * self.experiment.batch_fragments
        self.admission.load_state_dict({"version": version, "waiting": waiting})

    async def _attend_nodes(self) -> None:
        """See which nodes come and go; what stands on those that will go leaves in time."""

        def stop(why: str) -> None:
            self.books.stopping = self.books.stopping or why

        groups = self.learning.regrouping.groups()
        if self.trainer is not None:
            groups.append(Group("reward-trainer", [self.trainer.role], self._move_trainer))
        if self.served is not None:
            groups.append(Group("inference", [self.served.role], self.served.move))
        if self.experiment.placement.replay_anywhere:
            groups += self.shares.groups()
        await Attendance(node_here(), self.books.event, self.acting.leaving, self.learning.save, stop).attend(groups)

    async def _move_trainer(self, to: Reservation) -> None:
        assert self.trainer is not None
        await self.learning.save()
        await self.trainer.move(to)

    async def _take_turns(self, annotator: Annotator | None) -> None:
        """In lockstep: everyone acts, everything is judged, the reward model is trained, the learner learns."""
        while not self.books.done:
            fragments = await self.acting.turn()
            if annotator is not None and self.trainer is not None:
                await answer(self.books, annotator, fragments)
                await self.trainer.train()
            while await self.learning.update():
                pass

    async def _watch(self) -> None:
        """Display and save by the clock; end a run that does not move."""
        while not self.books.done:
            self.books.queues = {"fragments": self.shares.waiting, "rollouts": self.admission.running}
            if self.books.report() and self.books.verdicts.reward_begins_anew() and self.trainer is not None:
                await self.trainer.begin_anew()
            if self.books.checkpoint_due:
                await self.learning.save()
            if time.monotonic() - self.learning.moved_at > self.experiment.stall_timeout_s:
                crew = self.acting.crew
                raise UserError(
                    f"no update for {self.experiment.stall_timeout_s:.0f} s: {self.shares.waiting} fragments wait of "
                    f"{self.experiment.batch_fragments} needed, {self.admission.running} rollouts run, "
                    f"{crew.answering} of {crew.wanted} env actors have a place; the run is saved, go "
                    "on with resume= once the cause is mended"
                )
            await asyncio.sleep(0.2)
        self.books.report(force=True)
