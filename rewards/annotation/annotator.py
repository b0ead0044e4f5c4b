"""`Annotator`: many ask, few calls go out, and each question is owned until it has its verdict.

It hosts an `AnnotationLedger` on an event loop: what is known is answered from the cache; the rest is sent in batches,
as fast as the judge takes them and the limits allow; slow calls are made a second time; what was lost is asked again.
Whoever waits for the same question waits for the same answer.

    ask ──→ cache? ──→ ledger ──→ permit? ──→ window? ──→ call (and a hedge) ──→ ledger ──→ verdict, cache
                         ↑                                   │
                         └──── busy, lost, late, garbled ────┘

A runner that takes turns does not enter it: it posts, and lets `answer_due` ask what may go, one call after another.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from rewards.annotation.backoff import next_pause
from rewards.annotation.contract import counted
from rewards.annotation.flights import Batch
from rewards.annotation.hedging import Hedging
from rewards.annotation.ledger import AnnotationLedger
from rewards.annotation.permits import Permit, Permits, Refused
from rewards.annotation.race import first_answer
from rewards.annotation.window import Window
from rewards.cache import VerdictCache
from rewards.judges.judge import Answer, Call, Question, Reply
from rewards.verdicts import Status, Verdict

IDLE_S = 0.02  # how often whoever waits for the end of all looks again
LOOK_S = 0.5  # how often it is looked again though nothing was asked, answered or due: a held ledger was let go perhaps
BUSY_S, BUSY_MAX_S = 0.02, 2.0  # pauses after the judge said that it has too much to do


class Annotator:
    """Verdicts for whoever asks, on one event loop: `async with Annotator(…) as annotator: await annotator.ask(…)`."""

    def __init__(
        self,
        ledger: AnnotationLedger,
        call: Call,
        *,
        fingerprint: str = "",
        busy: tuple[type[Exception], ...] = (),
        cache: VerdictCache | None = None,
        hedging: Hedging | None = None,
        permits: Permits | None = None,
        fallback: Call | None = None,
        company_s: float = 0.0,
        on_verdicts: Callable[[list[Verdict]], None] = lambda verdicts: None,
    ) -> None:
        """Host a ledger.

        Args:
            ledger: what is owed; nobody else may take batches from it.
            call: asks the judge.
            fingerprint: of the judge, by which the cache knows its answers.
            busy: what `call` raises where the judge never began, because it has too much to do.
            cache: of answers.
            hedging: None: slow calls are waited for.
            permits: None: no limits.
            fallback: asks a cheaper judge, outside of the limits, where the budget degrades to it.
            company_s: after a call, questions that do not fill a batch wait so long for others: a call costs about
                the same whatever it carries. For those who do not wait for the answers.
            on_verdicts: called with final verdicts, each exactly once.

        Raises:
            ValueError: the budget degrades to a fallback that is not there.
        """
        self.ledger, self.hedging, self._cache, self._fingerprint = ledger, hedging, cache, fingerprint
        self._call, self._fallback, self._busy, self._on_verdicts = call, fallback, busy, on_verdicts
        self._permits = permits or Permits()
        if self._permits.degrade == "fallback" and fallback is None:
            raise ValueError("got budget.degrade 'fallback' without a cheaper judge; name one, or degrade otherwise")
        self._window = Window(ledger.config.max_in_flight)
        self._random = random.Random(ledger.config.seed)
        self._busy_pause_s = 0.0
        self._not_before = 0.0
        self._company_s, self._sent_at = company_s, -math.inf
        self._calls: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, list[asyncio.Future[Verdict]]] = {}
        self._news = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._sends = False  # by itself: from the beginning of the block to its end
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Annotator:
        """Begin to send."""
        self._sender = asyncio.create_task(self._send_for_ever())
        self._sends = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop sending; what is under way stays owed by the ledger.

        Raises:
            Exception: verdicts could not be handed out, and nothing else has ended the block.
        """
        self._sends = False
        tasks = [task for task in (self._sender, *self._calls) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for waiting in self._waiting.values():
            for future in waiting:
                future.cancel()
        if kind is None and self._failure is not None:
            raise self._failure

    async def attend(self) -> None:
        """Wait for as long as questions are sent.

        Raises:
            Exception: what ended that, such as a disk that has no room for verdicts.
        """
        assert self._sender is not None
        await asyncio.shield(self._sender)

    async def ask(
        self, question: Question, policy_version: int = 0, uncertainty: float = 0.0, within_s: float = 300.0
    ) -> Verdict:
        """Ask, and wait for the verdict.

        Args:
            question: what to judge.
            policy_version: of the policy that produced the subject.
            uncertainty: how little is known of the value; used by the order "uncertain".
            within_s: how long to wait.

        Raises:
            asyncio.TimeoutError: there is no verdict yet; the ledger owes it still.
            Exception: what ended the sending, now or before.
        """
        if (verdict := self.post(question, policy_version, uncertainty)) is not None:
            return verdict
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Verdict] = loop.create_future()
        waiting = self._waiting.setdefault(question.subject, [])
        waiting.append(future)
        timer = loop.call_later(within_s, _give_up, future, within_s)  # a tenth of the work of asyncio.wait_for
        try:
            return await future
        finally:
            timer.cancel()
            waiting.remove(future)
            if not waiting and self._waiting.get(question.subject) is waiting:
                del self._waiting[question.subject]

    def post(self, question: Question, policy_version: int = 0, uncertainty: float = 0.0) -> Verdict | None:
        """Ask without waiting; gives the verdict where it is there already.

        Raises:
            Exception: what ended the sending.
        """
        if self._failure is not None:
            raise self._failure
        subject = question.subject
        if self._cache is not None and subject not in self.ledger:
            answer = self._cache.get(self._fingerprint, question)
            if answer and (verdict := self.ledger.recall(question, answer, self._fingerprint, policy_version)):
                self._publish([verdict])
                return verdict
        if self.ledger.ask(question, policy_version, uncertainty) == "duplicate":
            return self.ledger.verdicts.get(subject)
        self._news.set()
        return None

    async def drain(self, within_s: float) -> None:
        """Wait until nothing is pending or with the judge.

        Raises:
            asyncio.TimeoutError: it takes longer.
        """

        async def settled() -> None:
            while self.ledger.pending or self.ledger.in_flight:
                await asyncio.sleep(IDLE_S)

        await asyncio.wait_for(settled(), within_s)

    async def answer_due(self) -> None:
        """Make the calls that may be made now, one after another; what failed or may not go waits for the next time."""
        while not isinstance(call := self._next_call(), float):
            await call

    def forget(self, fingerprint: str) -> None:
        """Drop what a judge is remembered to have said."""
        if self._cache is not None:
            self._cache.forget(fingerprint)

    # Sending --------------------------------------------------------------------------------------------------------

    async def _send_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._failure is None:
                timer = loop.call_later(self._send(), self._news.set)
                self._news.clear()
                await self._news.wait()
                timer.cancel()
        except Exception as error:
            self._fail(error)
        if self._failure is not None:
            raise self._failure

    def _send(self) -> float:
        """Send what may go; gives the seconds until it is worth looking again, if nothing happens before."""
        while len(self._calls) < self._window.size:
            alone_s = self._sent_at + self._company_s - time.monotonic()
            if alone_s > 0 and not self.ledger.fills_a_batch:
                return min(alone_s, LOOK_S)
            call = self._next_call()
            if isinstance(call, float):
                return call
            self._sent_at = time.monotonic()
            task = asyncio.create_task(call)
            self._calls.add(task)
            task.add_done_callback(self._ended)
        return LOOK_S

    def _next_call(self) -> Coroutine[Any, Any, None] | float:
        """The next call, or the seconds until it is worth looking again."""
        if (wait_s := self._not_before - time.monotonic()) > 0:
            return wait_s
        at_most = None
        while (batch := self.ledger.next_batch(at_most)) is not None:
            size = len(batch.questions)
            leave = self._permits.ask(size)
            if isinstance(leave, Permit):
                return self._judge(batch, self._call, leave)
            if leave.by == "budget" and leave.wait_s == 0.0:
                self.ledger.give_back(batch.id)
                at_most = size // 2
            elif leave.by == "rate" or self._permits.degrade == "stop":
                return self._stop(batch, leave)
            elif self._permits.degrade == "fallback":
                assert self._fallback is not None
                return self._judge(batch, self._fallback, None)
            else:
                at_most = None
                self._publish(self.ledger.refuse(batch.id, Status.OVER_BUDGET, "the judge's budget is used up"))
        due_s = self.ledger.due_in()
        return LOOK_S if due_s is None else min(due_s, LOOK_S)

    def _stop(self, batch: Batch, refused: Refused) -> float:
        self.ledger.give_back(batch.id)
        self._not_before = time.monotonic() + refused.wait_s
        return refused.wait_s

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._fail(failure)
        self._news.set()

    def _fail(self, failure: BaseException) -> None:
        """Verdicts could not be stored, or the like: nobody may go on as if they were."""
        self._failure = failure
        for future in (future for waiting in self._waiting.values() for future in waiting):
            if not future.done():
                future.set_exception(failure)

    # One batch ------------------------------------------------------------------------------------------------------

    async def _judge(self, batch: Batch, call: Call, permit: Permit | None) -> None:
        """Ask about one batch. Whatever goes wrong is for the ledger to know, and never the end of annotation."""
        size, began = len(batch.questions), time.monotonic()
        permits = [] if permit is None else [permit]
        hedging = self.hedging if permit is not None else None  # the fallback is asked once

        async def one_call(leave: Permit | None) -> Reply:
            try:
                return await call(batch.questions)
            except self._busy:  # this call was never begun, whatever becomes of the other one
                if leave is not None:
                    permits[:] = [one for one in permits if one is not leave]
                    self._permits.release(leave)
                raise

        def again() -> Awaitable[Reply] | None:
            if hedging is None or not isinstance(leave := self._permits.ask(size), Permit):
                return None
            permits.append(leave)
            hedging.hedged += 1
            return one_call(leave)

        try:
            after_s = hedging.began() if hedging else None
            reply, by_second = await first_answer(
                lambda: one_call(permit), self.ledger.config.deadline_s, again, after_s
            )
            fingerprint, answers = reply
            tokens = sum(counted(answer.tokens) for answer in answers)  # else the call counts in full
        except self._busy as error:
            if permits:  # of the other call, which was begun and failed
                self._lost(batch, permits, Status.JUDGE_FAULT, f"one call failed, the other not begun: {error!r}")
            else:
                self._hold_back(batch)
        except (TimeoutError, asyncio.TimeoutError) as error:
            self._lost(batch, permits, Status.TIMEOUT, str(error))
        except Exception as error:  # also what is no reply at all
            self._lost(batch, permits, Status.JUDGE_FAULT, f"{type(error).__name__}: {error}")
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and self._sends:  # by who answers, and not by us
                self._lost(batch, permits, Status.JUDGE_FAULT, "the call was cancelled")
                return
            self._forfeit(permits)  # the call is given up at the end of the run; it may have been paid for
            raise
        else:
            if hedging is not None:
                hedging.ended(time.monotonic() - began, by_second)
            for one in permits:  # who lost the race was asked the same, and took about as much
                self._permits.settle(one, size, tokens)
            self._window.answered()
            self._busy_pause_s = 0.0
            self._take(batch, fingerprint, answers)

    def _take(self, batch: Batch, fingerprint: str, answers: Sequence[Answer]) -> None:
        verdicts = self.ledger.complete(batch.id, answers, fingerprint)
        if self._cache is not None and len(answers) == len(batch.questions):
            valued = {verdict.subject for verdict in verdicts if verdict.status is Status.OK}
            pairs = zip(batch.questions, answers, strict=True)
            self._cache.put(fingerprint, [pair for pair in pairs if pair[0].subject in valued])
        self._publish(verdicts)

    def _hold_back(self, batch: Batch) -> None:
        """The judge has too much to do: send less, and not at once."""
        self.ledger.give_back(batch.id)
        self._window.busy()
        self._busy_pause_s = next_pause(self._busy_pause_s, BUSY_S, BUSY_MAX_S, self._random)
        self._not_before = time.monotonic() + self._busy_pause_s

    def _lost(self, batch: Batch, permits: Sequence[Permit], status: Status, cause: str) -> None:
        self._forfeit(permits)
        self._publish(self.ledger.fail(batch.id, status, cause))

    def _forfeit(self, permits: Sequence[Permit]) -> None:
        for one in permits:
            self._permits.forfeit(one)

    def _publish(self, verdicts: list[Verdict]) -> None:
        """Hand out final verdicts."""
        if not verdicts:
            return
        self._on_verdicts(verdicts)
        for verdict in verdicts:
            for future in self._waiting.pop(verdict.subject, ()):
                if not future.done():
                    future.set_result(verdict)


def _give_up(future: asyncio.Future[Verdict], within_s: float) -> None:
    if not future.done():
        future.set_exception(asyncio.TimeoutError(f"no verdict within {within_s:g} s"))
