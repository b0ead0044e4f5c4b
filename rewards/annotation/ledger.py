"""`AnnotationLedger`: what was asked of a judge, what is still owed, and what came of it.

Serving frameworks forget a request when the replica that held it dies; the ledger does not. It is a state machine
without threads or sockets: its host asks, takes batches, sends them to the judge, and reports how each ended.

    ask ──→ pending ──next_batch──→ in flight ──complete──→ verdict, ok or NULL
             ↑  ↑ ↑                    │  │
             │  │ └──── give_back ─────┘  │
      backfill  └── back-off ←── fail, expire, faulty answer (until max_attempts, then a NULL verdict)
             │
           shed ←── the queue was full, or the judge's own was

Every question is in exactly one of these states, so the books balance at any moment:
asked = ok + failures + shed + pending + in flight + dropped.

A ledger can be held (`held`: nobody is sent until it is let go), or closed for good (`close`): what waits is dropped
and counted, what is with the judge may still be answered.

Asking a judge has no effect but its answer and its cost, so asking again is safe; what may happen once only is that
an answer is applied, and `complete` sees to that: a batch ends once, whoever answers first.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards.annotation.accounts import Accounts
from rewards.annotation.backoff import next_pause
from rewards.annotation.books import Books
from rewards.annotation.breaker import Breaker
from rewards.annotation.breaker import State as BreakerState
from rewards.annotation.contract import checked
from rewards.annotation.flights import Batch, Flight, Flights
from rewards.annotation.queue import Order, Owed, Queue
from rewards.annotation.state import (
    packed,
    packed_random,
    packed_verdict,
    unpacked,
    unpacked_random,
)
from rewards.judges.judge import Answer, Question
from rewards.prices import Prices
from rewards.verdicts import Status, Verdict

STATE_VERSION = 1
RETRIED = frozenset({Status.JUDGE_FAULT, Status.TIMEOUT})
BLAMES_THE_JUDGE = RETRIED | {Status.SHED}

Admission = Literal["queued", "duplicate", "shed", "closed"]


class Config(BaseModel):
    """How questions are queued, sent and retried.

    Attributes:
        order: "newest" first (what the policy does now is most worth knowing; ONI), "oldest" first, or the most
            "uncertain" first, as whoever asks says.
        queue_capacity: questions that may wait; beyond it the least urgent one is shed.
        backfill: whether shed questions come back by themselves when nothing else waits.
        backfill_capacity: shed questions remembered for that; older ones are forgotten and may be asked anew.
        batch_size: questions in one call.
        max_in_flight: batches with the judge at the same time.
        partial_in_flight: from so many on, a further batch goes only if it is full, as Nagle's algorithm has it for
            packets: a model takes longer for two half batches than for one whole. The number of replicas is a good
            one; None: no batch waits to be full.
        deadline_s: after this long without an answer a batch has timed out.
        max_attempts: tries per question where the judge failed or timed out; then its verdict is NULL.
        backoff_s: shortest wait before a retry; each is drawn from up to three times the one before.
        backoff_max_s: longest wait before a retry.
        breaker_failures: consecutive failed batches that open the circuit breaker.
        breaker_cooldown_s: how long it stays open before one question probes the judge.
        value_low: smallest value a judge may give; anything beyond is a judge fault.
        value_high: largest value a judge may give.
        seed: of the jitter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: Order = "newest"
    queue_capacity: int = Field(10_000, ge=1)
    backfill: bool = True
    backfill_capacity: int = Field(100_000, ge=0)
    batch_size: int = Field(32, ge=1)
    max_in_flight: int = Field(2, ge=1)
    partial_in_flight: int | None = Field(None, ge=1)
    deadline_s: float = Field(60.0, gt=0)
    max_attempts: int = Field(3, ge=1)
    backoff_s: float = Field(1.0, ge=0)
    backoff_max_s: float = Field(30.0, ge=0)
    breaker_failures: int = Field(5, ge=1)
    breaker_cooldown_s: float = Field(10.0, ge=0)
    value_low: float = 0.0
    value_high: float = 1.0
    seed: int = 0

    @model_validator(mode="after")
    def _ordered(self) -> Config:
        if not self.value_low < self.value_high:
            raise ValueError(f"got values from {self.value_low} to {self.value_high}; expected value_low < value_high")
        return self


class AnnotationLedger:
    """Pending questions of one reward component, and their verdicts.

    Not thread-safe: one host owns it.
    """

    def __init__(
        self,
        config: Config,
        component: str,
        reward_version: str,
        clock: Callable[[], float],
        prices: Prices | None = None,
    ) -> None:
        """An empty ledger.

        Args:
            config: queueing and retrying.
            component: name of the reward component that the verdicts are values of.
            reward_version: version the verdicts carry.
            clock: seconds, never running backwards, such as `time.monotonic`.
            prices: of the judge; by default it costs nothing.
        """
        self.config = config
        self._clock = clock
        self._random = random.Random(config.seed)
        self._queue = Queue(config.order, config.queue_capacity, config.backfill_capacity)
        self._breaker = self._closed_breaker()
        self._flights = Flights()
        self._accounts = Accounts(component, reward_version, clock, prices or Prices())
        self.held = False
        self._closed = False

    @property
    def component(self) -> str:
        """Name of the reward component that the verdicts are values of."""
        return self._accounts.component

    @property
    def reward_version(self) -> str:
        """Version that the verdicts carry."""
        return self._accounts.reward_version

    @property
    def pending(self) -> int:
        """Questions that wait for their first try or a retry."""
        return self._queue.pending

    @property
    def in_flight(self) -> int:
        """Questions with the judge."""
        return len(self._flights.subjects)

    @property
    def fills_a_batch(self) -> bool:
        """Whether there are as many questions that can be sent as one call takes, or as may wait."""
        return self._queue.ready >= min(self.config.batch_size, self.config.queue_capacity)

    @property
    def room(self) -> int:
        """Questions that can be asked before any is shed."""
        return max(0, self.config.queue_capacity - self.pending)

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Every final verdict by subject, NULL ones included."""
        return self._accounts.verdicts

    @property
    def breaker(self) -> BreakerState:
        """State of the circuit breaker."""
        return self._breaker.state

    def __contains__(self, subject: str) -> bool:
        """Whether a question is pending, with the judge, or answered; not where it was shed."""
        return subject in self._queue or subject in self._flights.subjects or subject in self._accounts.verdicts

    def ask(self, question: Question, policy_version: int = 0, uncertainty: float = 0.0) -> Admission:
        """Put a question in the queue, once.

        Args:
            question: what to judge.
            policy_version: of the policy that produced the subject.
            uncertainty: how little is known of the value; used by the order "uncertain".

        Returns:
            "queued"; "duplicate" where it is pending, in flight or answered already; "shed" where the queue is full
            of more urgent questions (it may be asked again); "closed" where the ledger is: it is not asked, and in no
            book.

        Raises:
            ValueError: the uncertainty is not a number.
        """
        if math.isnan(uncertainty):
            raise ValueError(f"question {question.subject}: got uncertainty {uncertainty}; expected a number")
        subject = question.subject
        if subject in self:
            self._accounts.tally.duplicates += 1
            return "duplicate"
        if self._closed:
            return "closed"
        owed = self._queue.unshelve(subject)
        if owed is None:
            owed = Owed(question, policy_version, self._clock(), uncertainty=uncertainty)
            self._accounts.tally.asked += 1
        return "queued" if self._queue.put(owed) else "shed"

    def recall(self, question: Question, answer: Answer, fingerprint: str, policy_version: int = 0) -> Verdict | None:
        """Take an answer that is known from before, such as from a cache: asked and answered at once.

        Args:
            question: what was judged.
            answer: what was said of it then; its tokens count as saved.
            fingerprint: of the judge that said it.
            policy_version: of the policy that produced the subject.

        Returns:
            The verdict, without cost; None where the question is not new, or the answer is none that this ledger
            would take from a judge.
        """
        subject = question.subject
        if self._closed or subject in self or (answer := self._checked(answer)).status is not Status.OK:
            return None
        owed = self._queue.unshelve(subject)
        if owed is None:
            owed = Owed(question, policy_version, self._clock())
            self._accounts.tally.asked += 1
        return self._recalled(owed, answer, fingerprint)

    def recall_pending(self, known: Mapping[str, Verdict]) -> list[Verdict]:
        """Take answers that came after the checkpoint from which this ledger has just been loaded.

        Args:
            known: verdicts with a value, by subject.

        Returns:
            The verdicts on what waited or was shed, without cost.
        """
        pending, shed = [*self._queue], [*self._queue.shelved()]
        verdicts = []
        for owed in (*pending, *shed):
            if (verdict := known.get(owed.question.subject)) is not None:
                answer = Answer(Status.OK, verdict.value, tokens=verdict.tokens, scores=verdict.scores)
                verdicts.append(self._recalled(owed, answer, verdict.judge_fingerprint))
        pending, shed = ([one for one in waits if one.question.subject not in known] for waits in (pending, shed))
        self._queue.load(pending, shed, self._queue.forgotten)
        return verdicts

    def next_batch(self, at_most: int | None = None) -> Batch | None:
        """The questions to send now.

        Args:
            at_most: questions, where that is fewer than `batch_size`.

        Returns:
            None while nothing is due, enough batches are in flight, a batch that is not full has to wait, the ledger is
            held, or the circuit breaker is open.
            When it is half open, one question probes the judge.
        """
        if self.held:
            return None
        state = self._breaker.state
        if state == "open" or len(self._flights) >= self.config.max_in_flight:
            return None
        if state == "half_open" and self._breaker.probe_id in self._flights:
            return None
        now = self._clock()
        self._queue.wake(now)
        size = 1 if state == "half_open" else min(self.config.batch_size, at_most or self.config.batch_size)
        if not self._queue.pending and self.config.backfill:
            self._queue.backfill(size)
        partial = self.config.partial_in_flight
        if partial is not None and len(self._flights) >= partial and self._queue.ready < size:
            return None
        taken = self._queue.take(size)
        if not taken:
            return None
        for owed in taken:
            owed.attempt += 1
        batch = self._flights.start(taken, now, self.config.deadline_s)
        if state == "half_open":
            self._breaker.probe_id = batch.id
        self._accounts.tally.batches += 1
        self._accounts.tally.attempts += len(taken)
        return batch

    def due_in(self) -> float | None:
        """Seconds until time alone lets more be sent, at the end of a retry's pause or of the breaker's; None: never.

        Questions, answers, and whoever lets a held ledger go may do so before.
        """
        now = self._clock()
        times = (self._queue.wakes_at, self._breaker.probe_at)
        return min((at - now for at in times if at is not None and at > now), default=None)

    def give_back(self, batch_id: int) -> bool:
        """Return a batch that the judge never began: it was too busy, or a limit was reached. It costs no attempt.

        Args:
            batch_id: of the batch.

        Returns:
            Whether it was in flight.
        """
        flight = self._land(batch_id)
        if flight is None:
            return False
        for owed in flight.owed:
            owed.attempt -= 1
            if self._closed:
                self._accounts.tally.dropped += 1
            else:
                self._queue.put_back(owed)
        self._accounts.tally.batches -= 1
        self._accounts.tally.attempts -= len(flight.owed)
        self._accounts.tally.returned_batches += 1
        return True

    def complete(self, batch_id: int, answers: Sequence[Answer], fingerprint: str) -> list[Verdict]:
        """Take the judge's answers to a batch.

        Answers are checked, not trusted: too few or too many of them, values that are missing, not finite or out of
        range are judge faults.

        Args:
            batch_id: of the batch.
            answers: one for each question, in their order.
            fingerprint: of the judge that answered.

        Returns:
            The verdicts that are final now; none if the batch had ended before.
        """
        flight = self._land(batch_id)
        if flight is None:
            return []
        self._accounts.fingerprint = fingerprint
        if len(answers) != len(flight.owed):
            cause = f"got {len(answers)} answers to {len(flight.owed)} questions"
            answers = [Answer(Status.JUDGE_FAULT, cause=cause)] * len(flight.owed)
        checked = [self._checked(answer) for answer in answers]
        self._count_batch(failed=all(answer.status in BLAMES_THE_JUDGE for answer in checked))
        latency_s = self._clock() - flight.sent_at
        return self._settle(zip(flight.owed, checked, strict=True), fingerprint, latency_s)

    def fail(self, batch_id: int, status: Status, cause: str) -> list[Verdict]:
        """Report that the whole call failed: the replica died, the connection broke, an exception was raised.

        Args:
            batch_id: of the batch.
            status: why; anything but ok and pending.
            cause: for people.

        Returns:
            The verdicts that are final now: NULL ones, of questions whose tries are used up.

        Raises:
            ValueError: the status says that nothing failed.
        """
        if status in (Status.OK, Status.PENDING):
            raise ValueError(f"batch {batch_id} failed: got status {status.value!r}; expected one that names a failure")
        flight = self._land(batch_id)
        if flight is None:
            return []
        self._count_batch(failed=True)
        latency_s = self._clock() - flight.sent_at
        answer = Answer(status, cause=cause.encode(errors="backslashreplace").decode())  # half characters break files
        return self._settle(((owed, answer) for owed in flight.owed), self._accounts.fingerprint, latency_s)

    def refuse(self, batch_id: int, status: Status, cause: str) -> list[Verdict]:
        """End a batch that will not be sent, such as for want of money: NULL verdicts that blame no judge.

        Args:
            batch_id: of the batch.
            status: why; not one that is tried again.
            cause: for people.

        Returns:
            The verdicts that are final now.

        Raises:
            ValueError: the status is one of a judge that was asked.
        """
        if status in (Status.OK, Status.PENDING) or status in BLAMES_THE_JUDGE:
            raise ValueError(f"batch {batch_id} is not sent: got status {status.value!r}; expected e.g. 'over_budget'")
        flight = self._land(batch_id)
        if flight is None:
            return []
        answer = Answer(status, cause=cause)
        return self._settle(((owed, answer) for owed in flight.owed), self._accounts.fingerprint, 0.0)

    def expire(self) -> list[Verdict]:
        """Time out the batches whose deadline has passed.

        Returns:
            The verdicts that are final now.
        """
        overdue = self._flights.overdue(self._clock())
        cause = f"no answer within {self.config.deadline_s:g} s"
        return [verdict for batch_id in overdue for verdict in self.fail(batch_id, Status.TIMEOUT, cause)]

    def close(self) -> int:
        """Ask nothing more: what waits or was shed is dropped; gives how many that were.

        What is with the judge has been paid for: an answer still counts, a failure is not tried again.
        """
        self._closed = True
        dropped = self._queue.pending + self._queue.shed
        self._queue.load([], [], forgotten=0)
        self._accounts.tally.dropped += dropped
        return dropped

    def ledger(self) -> Books:
        """The books: counts by state, causes of failures, label lag, cost."""
        return self._accounts.books(self._queue.shed, self.pending, self.in_flight, self.breaker)

    def state_dict(self, with_verdicts: bool = True) -> dict[str, Any]:
        """Everything, as JSON-able data. What is in flight is saved as pending: its answer will not come.

        Args:
            with_verdicts: False: whoever keeps this keeps `verdicts`, of which there are many, in another way, and
                puts them back, each as `vars` gives it, under that name.
        """
        now = self._clock()
        flying = [packed(owed, now, lost_try=True) for owed in self._flights.owed()]
        return {
            "state_version": STATE_VERSION,
            "component": self.component,
            "reward_version": self.reward_version,
            "pending": flying + [packed(owed, now) for owed in self._queue],
            "shed": [packed(owed, now) for owed in self._queue.shelved()],
            **self._accounts.state_dict(self._queue.forgotten),
            **({"verdicts": [packed_verdict(verdict) for verdict in self.verdicts.values()]} if with_verdicts else {}),
            "next_batch_id": self._flights.next_batch_id,
            "random": packed_random(self._random.getstate()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved; the breaker starts closed.

        Raises:
            ValueError: the state is of another form, component or reward version.
        """
        found = state.get("state_version"), state.get("component"), state.get("reward_version")
        expected = STATE_VERSION, self.component, self.reward_version
        if found != expected:
            raise ValueError(
                f"got an annotation ledger of (state version, component, reward version) {found}; expected {expected}: "
                "resume with the judge and the recipe that wrote it, or start a new run"
            )
        now = self._clock()
        self._accounts.load_state_dict(state)
        pending, shed = ([unpacked(raw, now) for raw in state[place]] for place in ("pending", "shed"))
        self._queue.load(pending, shed, self._accounts.tally.forgotten)
        self._flights = Flights(state["next_batch_id"])
        self._random.setstate(unpacked_random(state["random"]))
        self._breaker = self._closed_breaker()

    def _closed_breaker(self) -> Breaker:
        return Breaker(self.config.breaker_failures, self.config.breaker_cooldown_s, self._clock)

    def _land(self, batch_id: int) -> Flight | None:
        """Take a batch out of flight; None, counted, if it had ended before."""
        flight = self._flights.land(batch_id)
        self._accounts.tally.late_batches += flight is None
        return flight

    def _count_batch(self, *, failed: bool) -> None:
        """Let the circuit breaker see how a batch ended."""
        self._breaker.record(failed=failed)
        self._accounts.tally.failed_batches += failed

    def _recalled(self, owed: Owed, answer: Answer, fingerprint: str) -> Verdict:
        """The verdict of an answer from before, which costs nothing."""
        self._accounts.save(answer)
        return self._accounts.conclude(owed, replace(answer, tokens=0), fingerprint, latency_s=0.0, cost=0.0)

    def _checked(self, answer: Any) -> Answer:
        return checked(answer, self.config.value_low, self.config.value_high)

    def _settle(self, answered: Iterable[tuple[Owed, Answer]], fingerprint: str, latency_s: float) -> list[Verdict]:
        """Turn answers into verdicts, and faults with tries left into retries."""
        verdicts = []
        for owed, answer in answered:
            cost = self._accounts.charge(answer)
            if self._closed and answer.status in BLAMES_THE_JUDGE:
                self._accounts.tally.dropped += 1
            elif answer.status in RETRIED and owed.attempt < self.config.max_attempts:
                self._retry(owed)
            elif answer.status is Status.SHED:
                self._queue.shelve(owed)
            else:
                verdicts.append(self._accounts.conclude(owed, answer, fingerprint, latency_s, cost))
        return verdicts

    def _retry(self, owed: Owed) -> None:
        """Let a question wait for its next try."""
        owed.pause_s = next_pause(owed.pause_s, self.config.backoff_s, self.config.backoff_max_s, self._random)
        self._queue.postpone(owed, self._clock() + owed.pause_s)
        self._accounts.tally.retries += 1
