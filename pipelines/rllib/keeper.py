"""`Keeper`: the books of a run whose experience RLlib gathers, on a thread of their own beside the training loop.

It fetches what was left at the desk, asks the judge about new captions, trains the reward model, and publishes it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.nodes import node_here
from cluster.serving import Service, ServiceUnavailable, serving
from pipelines.environment.roles import RewardTrainer, task_of
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.judging.asking import annotator_for, examine_judge
from pipelines.judging.served_judge import ForFallback, caller, served_judge
from pipelines.rllib.desk import Desk
from pipelines.rllib.experience import SampleBooks
from rewards.annotation.annotator import Annotator
from rewards.judges.judge import Question, Reply

TURN_S = 0.05
CALL_S = 60.0  # that a call of the desk, or of the keeper, may take

T = TypeVar("T")


class Keeper:
    """Everything that touches the books happens on one thread: here, or by `do`."""

    def __init__(self, run: Run, desk: Any, service: Service | None, states: Mapping[str, Any] | None) -> None:
        """Keep the books of `run`, restored already where it is resumed.

        Args:
            run: the books.
            desk: an actor that hosts a `Desk`.
            service: the judge; None: nobody judges.
            states: what `state` gave, of a run that is resumed.
        """
        self.run, self.desk, self._service = run, desk, service
        self.samples = SampleBooks()
        self.trainer = None
        if run.experiment.reward.judged:
            self.trainer = RewardTrainer(run.experiment, None if states is None else states["trainer"])
        if states is not None:
            self.samples.load_state_dict(states["samples"])
        self._new = states is None
        self._told = self._judged = self._published = 0
        self._stop = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._begun: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._main, name="guerdon-books", daemon=True)

    def start(self) -> None:
        """Begin, and see that the judge answers.

        Raises:
            UserError: it does not.
        """
        self._thread.start()
        deadline_s = self.run.experiment.serving.start_timeout_s + CALL_S
        if not wait([self._begun], deadline_s).done:
            raise UserError(f"the judge and the books did not begin within {deadline_s:.0f} s; see the log of the run")
        self._begun.result()

    def stop(self, deadline_s: float = CALL_S) -> None:
        """Fetch what is there, and end.

        Args:
            deadline_s: for both together.

        Raises:
            UserError: they do not end; what the desk still holds is not in the books.
            BaseException: whatever ended them before.
        """
        self._stop.set()
        self._thread.join(deadline_s)
        if self._thread.is_alive():
            raise UserError(f"the books did not end within {deadline_s:.0f} s: what RLlib did last is not in them")
        self._ended.result(0)

    def do(self, function: Callable[[], T], deadline_s: float = CALL_S) -> T:
        """Call a function on the thread of the books; whatever ended them is raised here.

        Raises:
            UserError: something that a person can mend, or they do not answer.
        """
        if self._ended.done():
            self._ended.result()
            raise UserError("the books of the run have ended already; this is a fault of Guerdon's")

        answer: Future[T] = Future()

        def call() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(function())
                except BaseException as error:
                    answer.set_exception(error)

        with suppress(RuntimeError):  # the loop is closed: the books end just now
            self._loop.call_soon_threadsafe(call)
        awaited: list[Future[Any]] = [answer, self._ended]
        if answer in wait(awaited, deadline_s, FIRST_COMPLETED).done:
            return answer.result()
        answer.cancel()
        if self._ended.done():
            self._ended.result()
        raise UserError(f"the books of the run have not answered within {deadline_s:.0f} s; see its log")

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from; by `do`."""
        return {
            "trainer": None if self.trainer is None else self.trainer.state(),
            "samples": self.samples.state_dict(),
        }

    def _main(self) -> None:
        failure: BaseException | None = None
        try:
            self._loop.run_until_complete(self._keep())
        except BaseException as error:
            if not self._begun.done():
                self._begun.set_exception(error)
            failure = error
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            if failure is None:
                self._ended.set_result(None)
            else:
                self._ended.set_exception(failure)

    async def _keep(self) -> None:
        async with AsyncExitStack() as asking:
            if self._service is not None:
                await asking.enter_async_context(await self._annotator(self._service))
            self._begun.set_result(None)
            while not self._stop.is_set():
                await self._turn()
                await asyncio.sleep(TURN_S)
            await self._turn()

    async def _annotator(self, service: Service) -> Annotator:
        try:
            fingerprint, _, _ = await service.ask((Question("check", "caption", ("You see here a key.",)),))
        except (ServiceUnavailable, TimeoutError, asyncio.TimeoutError) as error:
            raise UserError(f"the judge does not answer: {error}; check judge.* with `guerdon doctor`") from None
        call = caller(service)
        if self._new:
            await examine_judge(self.run, call)

        async def fallback(questions: tuple[Question, ...]) -> Reply:
            judge, answers, _ = await service.ask(ForFallback(questions))
            return judge, answers

        second = None if self.run.experiment.fallback_judge is None else fallback
        return annotator_for(self.run, call, fingerprint, second)

    async def _turn(self) -> None:
        fragments, batches = await asyncio.wait_for(_fetched(self.desk), CALL_S)
        for fragment in fragments:
            if self.samples.sampled(fragment):
                self.run.gathered(fragment)
        for paid in batches:
            self.samples.trained(paid.steps)
            shares = {"frames": paid.frames, "captioned": paid.captioned, "annotated": paid.annotated}
            self.run.status.learnt({**paid.metrics, **shares}, self.run.clock.seconds)
        self.run.shares = (self.samples.ledger(),)
        if self.trainer is not None:
            await self._train(bool(batches))
        if self.run.report() and self.run.verdicts.reward_begins_anew() and self.trainer is not None:
            self.trainer.begin_anew()
            self._told = self._judged = 0

    async def _train(self, learnt: bool) -> None:
        """Train once for each time that policies were learnt; take new verdicts in between."""
        assert self.trainer is not None
        captions, verdicts = self.run.verdicts.caption_log[self._told :], self.run.verdicts.counted[self._judged :]
        if not (learnt or verdicts):
            return
        self._told, self._judged = len(self.run.verdicts.caption_log), len(self.run.verdicts.counted)
        steps = self.run.experiment.reward.train_steps if learnt else 0
        report, snapshot = await asyncio.to_thread(self.trainer.step, dict(captions), verdicts, steps)
        self.run.reward_trained(*report)
        if snapshot is not None:
            news = self.run.verdicts.caption_log[self._published :]
            self._published = len(self.run.verdicts.caption_log)
            self.desk.publish.remote(news, snapshot)


async def _fetched(desk: Any) -> Any:
    return await desk.collect.remote()


@contextmanager
def keeping(run: Run, states: Mapping[str, Any] | None = None) -> Iterator[Keeper]:
    """The desk, the judge and the keeper of a run, in a Ray that is there already; gone at the end of the block.

    Raises:
        UserError: the judge could not be started or does not answer.
    """
    experiment = run.experiment
    with ExitStack() as stack:
        service = None
        if experiment.reward.judged:
            serve = experiment.serving
            judge, goal = experiment.judge, task_of(experiment).goal
            factory = partial(served_judge, judge, goal, serve.threads, serve.batch_tokens, experiment.fallback_judge)
            service = stack.enter_context(serving("judge", factory, "ask", serve, experiment.placement.judge))
        # Beside the driver: a node that may go must not take along what nobody has fetched yet.
        beside = NodeAffinitySchedulingStrategy(node_here(), soft=False)
        desk: Any = ray.remote(num_cpus=0)(Desk).options(scheduling_strategy=beside).remote()
        stack.callback(ray.kill, desk)
        keeper = Keeper(run, desk, service, states)
        try:
            keeper.start()
            yield keeper
        except BaseException:
            with suppress(Exception):  # the first error is the one that is told
                keeper.stop()
            raise
        keeper.stop()
