"""`AnnotationLedger`: what was asked of a judge, what is still owed, and what came of it.

Serving frameworks forget a request when the replica that held it dies; the ledger does not. It is a state machine
without threads or sockets: its host asks, takes batches, sends them to the judge, and reports how each ended.

    ask ──→ pending ──next_batch──→ in flight ──complete──→ verdict, ok or NULL
             ↑  ↑                      │
      backfill  └── back-off ←── fail, expire, faulty answer (until max_attempts, then a NULL verdict)
             │
           shed ←── the queue was full, or the judge's own was

Every question is in exactly one of these states, so the books balance at any moment:
asked = ok + failures + shed + pending + in flight.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Real
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status, Verdict

STATE_VERSION = 1
RETRIED = frozenset({Status.JUDGE_FAULT, Status.TIMEOUT})
BLAMES_THE_JUDGE = RETRIED | {Status.SHED}
LAGS_KEPT = 1024
CAUSES_KEPT = 64
CAUSE_LENGTH = 120

Admission = Literal["queued", "duplicate", "shed"]
Breaker = Literal["closed", "open", "half_open"]


class Config(BaseModel):
    """How questions are queued, sent and retried.

    Attributes:
        order: "newest" first (what the policy does now is most worth knowing; ONI) or "oldest" first.
        queue_capacity: questions that may wait; beyond it the least urgent one is shed.
        backfill: whether shed questions come back by themselves when nothing else waits.
        backfill_capacity: shed questions remembered for that; older ones are forgotten and may be asked anew.
        batch_size: questions in one call.
        max_in_flight: batches with the judge at the same time.
        deadline_s: after this long without an answer a batch has timed out.
        max_attempts: tries per question where the judge failed or timed out; then its verdict is NULL.
        backoff_s: wait before the first retry; doubled for each further one.
        backoff_max_s: longest wait before a retry.
        breaker_failures: consecutive failed batches that open the circuit breaker.
        breaker_cooldown_s: how long it stays open before one question probes the judge.
        value_low: smallest value a judge may give; anything beyond is a judge fault.
        value_high: largest value a judge may give.
        seed: of the jitter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: Literal["newest", "oldest"] = "newest"
    queue_capacity: int = Field(10_000, ge=1)
    backfill: bool = True
    backfill_capacity: int = Field(100_000, ge=0)
    batch_size: int = Field(32, ge=1)
    max_in_flight: int = Field(2, ge=1)
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


@dataclass(frozen=True)
class Batch:
    """Questions that go to the judge in one call; `id` names it in `complete` and `fail`."""

    id: int
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Books:
    """The ledger's balance and how it came about.

    Attributes:
        asked: questions ever admitted.
        ok: questions with a value.
        failures: questions that ended with a NULL verdict, by status.
        shed: questions dropped because a queue was full; those that were back-filled are no longer among them.
        pending: waiting, for their first try or for a retry.
        in_flight: with the judge.
        duplicates: asks that were refused because the question was pending, in flight or answered.
        attempts: questions sent, retries included.
        retries: questions sent back to wait for another try.
        batches: batches sent.
        failed_batches: batches that failed, timed out or held nothing but faults.
        late_batches: answers ignored because their batch had ended before.
        causes: failed attempts by "status: cause", those that were retried included.
        breaker: state of the circuit breaker.
        lag_mean_s: mean time from asking to verdict.
        lag_median_s: median of the latest lags.
        lag_p95_s: 95th percentile of the latest lags.
        lag_max_s: longest lag.
        tokens: tokens the judge reported.
    """

    asked: int
    ok: int
    failures: Mapping[str, int]
    shed: int
    pending: int
    in_flight: int
    duplicates: int
    attempts: int
    retries: int
    batches: int
    failed_batches: int
    late_batches: int
    causes: Mapping[str, int]
    breaker: Breaker
    lag_mean_s: float
    lag_median_s: float
    lag_p95_s: float
    lag_max_s: float
    tokens: int

    @property
    def balanced(self) -> bool:
        """Whether every question asked is accounted for."""
        return self.asked == self.ok + sum(self.failures.values()) + self.shed + self.pending + self.in_flight


@dataclass
class _Entry:
    """A question that has no verdict yet; `attempt` counts the tries begun."""

    question: Question
    policy_version: int
    asked_at: float
    attempt: int = 0


@dataclass
class _Flight:
    """A batch with the judge."""

    entries: list[_Entry]
    sent_at: float
    deadline: float


@dataclass
class _Tally:
    """Counters that only grow; plain data, so they are checkpointed as they are."""

    asked: int = 0
    forgotten: int = 0
    duplicates: int = 0
    attempts: int = 0
    retries: int = 0
    batches: int = 0
    failed_batches: int = 0
    late_batches: int = 0
    tokens: int = 0
    lag_sum_s: float = 0.0
    lag_max_s: float = 0.0
    causes: dict[str, int] = field(default_factory=dict)


class AnnotationLedger:
    """Pending questions of one reward component, and their verdicts.

    Not thread-safe: one host owns it.
    """

    def __init__(self, config: Config, component: str, reward_version: str, clock: Callable[[], float]) -> None:
        """An empty ledger.

        Args:
            config: queueing and retrying.
            component: name of the reward component that the verdicts are values of.
            reward_version: version the verdicts carry.
            clock: seconds, never running backwards, such as `time.monotonic`.
        """
        self.config = config
        self.component = component
        self.reward_version = reward_version
        self._clock = clock
        self._random = random.Random(config.seed)
        self._ready: OrderedDict[str, _Entry] = OrderedDict()
        self._waiting: dict[str, _Entry] = {}
        self._wake: list[tuple[float, int, str]] = []
        self._wakes = 0
        self._shed: OrderedDict[str, _Entry] = OrderedDict()
        self._flights: dict[int, _Flight] = {}
        self._in_flight: set[str] = set()
        self._verdicts: dict[str, Verdict] = {}
        self._statuses: Counter[Status] = Counter()
        self._tally = _Tally()
        self._lags: deque[float] = deque(maxlen=LAGS_KEPT)
        self._next_batch_id = 0
        self._fingerprint = ""
        self._failed_in_a_row = 0
        self._opened_at: float | None = None
        self._probe_id = -1

    @property
    def pending(self) -> int:
        """Questions that wait for their first try or a retry."""
        return len(self._ready) + len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Questions with the judge."""
        return len(self._in_flight)

    @property
    def room(self) -> int:
        """Questions that can be asked before any is shed."""
        return max(0, self.config.queue_capacity - self.pending)

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Every final verdict by subject, NULL ones included."""
        return self._verdicts

    @property
    def breaker(self) -> Breaker:
        """State of the circuit breaker."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self._clock() >= self._opened_at + self.config.breaker_cooldown_s else "open"

    def ask(self, question: Question, policy_version: int = 0) -> Admission:
        """Put a question in the queue, once.

        Args:
            question: what to judge.
            policy_version: of the policy that produced the subject.

        Returns:
            "queued"; "duplicate" where it is pending, in flight or answered already; "shed" where the queue is full
            of more urgent questions (it may be asked again).
        """
        subject = question.subject
        known = (self._ready, self._waiting, self._in_flight, self._verdicts)
        if any(subject in place for place in known):
            self._tally.duplicates += 1
            return "duplicate"
        entry = self._shed.pop(subject, None)
        if entry is None:
            entry = _Entry(question, policy_version, self._clock())
            self._tally.asked += 1
        if self.pending < self.config.queue_capacity:
            self._ready[subject] = entry
            return "queued"
        if self.config.order == "newest" and self._ready:
            self._shelve(self._ready.popitem(last=False)[1])
            self._ready[subject] = entry
            return "queued"
        self._shelve(entry)
        return "shed"

    def next_batch(self) -> Batch | None:
        """The questions to send now.

        Returns:
            None while nothing is due, enough batches are in flight, or the circuit breaker is open. When it is half
            open, one question probes the judge.
        """
        breaker = self.breaker
        if breaker == "open" or len(self._flights) >= self.config.max_in_flight:
            return None
        if breaker == "half_open" and self._probe_id in self._flights:
            return None
        self._wake_up()
        size = 1 if breaker == "half_open" else self.config.batch_size
        if not self._ready and not self._waiting and self.config.backfill:
            for _ in range(min(size, len(self._shed))):
                subject, entry = self._shed.popitem(last=self.config.order == "newest")
                self._ready[subject] = entry
        if not self._ready:
            return None
        newest = self.config.order == "newest"
        entries = [self._ready.popitem(last=newest)[1] for _ in range(min(size, len(self._ready)))]
        now = self._clock()
        for entry in entries:
            entry.attempt += 1
            self._in_flight.add(entry.question.subject)
        batch = Batch(self._next_batch_id, tuple(entry.question for entry in entries))
        self._next_batch_id += 1
        if breaker == "half_open":
            self._probe_id = batch.id
        self._flights[batch.id] = _Flight(entries, now, now + self.config.deadline_s)
        self._tally.batches += 1
        self._tally.attempts += len(entries)
        return batch

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
        self._fingerprint = fingerprint
        if len(answers) != len(flight.entries):
            cause = f"got {len(answers)} answers to {len(flight.entries)} questions"
            answers = [Answer(Status.JUDGE_FAULT, cause=cause)] * len(flight.entries)
        checked = [self._checked(answer) for answer in answers]
        self._count_batch(failed=all(answer.status in BLAMES_THE_JUDGE for answer in checked))
        self._tally.tokens += sum(answer.tokens for answer in checked)
        latency_s = self._clock() - flight.sent_at
        return self._settle(zip(flight.entries, checked, strict=True), latency_s)

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
        return self._settle(((entry, Answer(status, cause=cause)) for entry in flight.entries), latency_s)

    def expire(self) -> list[Verdict]:
        """Time out the batches whose deadline has passed.

        Returns:
            The verdicts that are final now.
        """
        now = self._clock()
        overdue = [batch_id for batch_id, flight in self._flights.items() if now >= flight.deadline]
        cause = f"no answer within {self.config.deadline_s:g} s"
        return [verdict for batch_id in overdue for verdict in self.fail(batch_id, Status.TIMEOUT, cause)]

    def ledger(self) -> Books:
        """The books: counts by state, causes of failures, label lag."""
        tally, settled = self._tally, sum(self._statuses.values())
        lags = sorted(self._lags)
        return Books(
            asked=tally.asked,
            ok=self._statuses[Status.OK],
            failures={s.value: n for s, n in sorted(self._statuses.items()) if s is not Status.OK and n},
            shed=len(self._shed) + tally.forgotten,
            pending=self.pending,
            in_flight=self.in_flight,
            duplicates=tally.duplicates,
            attempts=tally.attempts,
            retries=tally.retries,
            batches=tally.batches,
            failed_batches=tally.failed_batches,
            late_batches=tally.late_batches,
            causes=dict(tally.causes),
            breaker=self.breaker,
            lag_mean_s=tally.lag_sum_s / settled if settled else 0.0,
            lag_median_s=_quantile(lags, 0.5),
            lag_p95_s=_quantile(lags, 0.95),
            lag_max_s=tally.lag_max_s,
            tokens=tally.tokens,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything, as JSON-able data. What is in flight is saved as pending: its answer will not come.

        Times are saved as ages, because a clock starts anew in another process.
        """
        now = self._clock()

        def packed(entry: _Entry, lost_try: bool = False) -> dict[str, Any]:
            return {
                "subject": entry.question.subject,
                "kind": entry.question.kind,
                "texts": list(entry.question.texts),
                "policy_version": entry.policy_version,
                "age_s": now - entry.asked_at,
                "attempt": entry.attempt - lost_try,
            }

        flying = [packed(entry, lost_try=True) for flight in self._flights.values() for entry in flight.entries]
        waiting = [packed(entry) for entry in (*self._waiting.values(), *self._ready.values())]
        return {
            "state_version": STATE_VERSION,
            "component": self.component,
            "reward_version": self.reward_version,
            "pending": flying + waiting,
            "shed": [packed(entry) for entry in self._shed.values()],
            "verdicts": [{**asdict(v), "status": v.status.value} for v in self._verdicts.values()],
            "tally": asdict(self._tally),
            "lags_s": list(self._lags),
            "next_batch_id": self._next_batch_id,
            "fingerprint": self._fingerprint,
            "random": _listed(self._random.getstate()),
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

        def unpacked(raw: Mapping[str, Any]) -> _Entry:
            question = Question(raw["subject"], raw["kind"], tuple(raw["texts"]))
            return _Entry(question, raw["policy_version"], now - raw["age_s"], raw["attempt"])

        self._ready = OrderedDict((raw["subject"], unpacked(raw)) for raw in state["pending"])
        self._shed = OrderedDict((raw["subject"], unpacked(raw)) for raw in state["shed"])
        self._waiting, self._wake, self._flights, self._in_flight = {}, [], {}, set()
        verdicts = [Verdict(**{**raw, "status": Status(raw["status"])}) for raw in state["verdicts"]]
        self._verdicts = {verdict.subject: verdict for verdict in verdicts}
        self._statuses = Counter(verdict.status for verdict in verdicts)
        self._tally = _Tally(**{**state["tally"], "causes": dict(state["tally"]["causes"])})
        self._lags = deque(state["lags_s"], maxlen=LAGS_KEPT)
        self._next_batch_id = state["next_batch_id"]
        self._fingerprint = state["fingerprint"]
        self._random.setstate(_tupled(state["random"]))
        self._failed_in_a_row, self._opened_at, self._probe_id = 0, None, -1

    def _shelve(self, entry: _Entry) -> None:
        """Shed a question, and forget the oldest shed one where too many are remembered."""
        self._shed[entry.question.subject] = entry
        if len(self._shed) > self.config.backfill_capacity:
            self._shed.popitem(last=False)
            self._tally.forgotten += 1

    def _wake_up(self) -> None:
        """Move questions whose back-off is over to the ready ones."""
        now = self._clock()
        while self._wake and self._wake[0][0] <= now:
            subject = heapq.heappop(self._wake)[2]
            self._ready[subject] = self._waiting.pop(subject)

    def _land(self, batch_id: int) -> _Flight | None:
        """Take a batch out of flight; None, counted, if it had ended before."""
        flight = self._flights.pop(batch_id, None)
        if flight is None:
            self._tally.late_batches += 1
            return None
        self._in_flight.difference_update(entry.question.subject for entry in flight.entries)
        return flight

    def _count_batch(self, *, failed: bool) -> None:
        """Let the circuit breaker see how a batch ended."""
        if not failed:
            self._failed_in_a_row, self._opened_at = 0, None
            return
        self._tally.failed_batches += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self.config.breaker_failures:
            self._opened_at = self._clock()

    def _checked(self, answer: Any) -> Answer:
        """The answer itself if it keeps the judge's contract, else a judge fault that says how it does not."""
        if not isinstance(answer, Answer):
            return Answer(Status.JUDGE_FAULT, cause=f"got {type(answer).__name__}; expected an Answer")
        if answer.status is Status.OK:
            value: Any = answer.value
            low, high = self.config.value_low, self.config.value_high
            if isinstance(value, Real) and low <= float(value) <= high:
                return answer
            cause = f"got value {value!r}; expected a number from {low:g} to {high:g}"
        elif answer.status is Status.PENDING:
            cause = "got status 'pending' as an answer; expected a final one"
        else:
            return answer
        return Answer(Status.JUDGE_FAULT, cause=cause, tokens=answer.tokens, latency_s=answer.latency_s)

    def _settle(self, answered: Iterable[tuple[_Entry, Answer]], latency_s: float) -> list[Verdict]:
        """Turn answers into verdicts, and faults with tries left into retries."""
        verdicts = []
        for entry, answer in answered:
            if answer.status is not Status.OK:
                self._count_cause(answer)
            if answer.status in RETRIED and entry.attempt < self.config.max_attempts:
                self._retry(entry)
                continue
            if answer.status is Status.SHED:
                self._shelve(entry)
                continue
            verdict = Verdict(
                subject=entry.question.subject,
                subject_kind=entry.question.kind,
                component=self.component,
                reward_version=self.reward_version,
                value=None if answer.status is not Status.OK or answer.value is None else float(answer.value),
                status=answer.status,
                judge_fingerprint=self._fingerprint,
                cause=answer.cause,
                attempt=entry.attempt,
                latency_s=latency_s,
                tokens=answer.tokens,
                policy_version=entry.policy_version,
                text="\n".join(entry.question.texts),
            )
            self._record(verdict, self._clock() - entry.asked_at)
            verdicts.append(verdict)
        return verdicts

    def _record(self, verdict: Verdict, lag_s: float) -> None:
        self._verdicts[verdict.subject] = verdict
        self._statuses[verdict.status] += 1
        self._lags.append(lag_s)
        self._tally.lag_sum_s += lag_s
        self._tally.lag_max_s = max(self._tally.lag_max_s, lag_s)

    def _retry(self, entry: _Entry) -> None:
        """Let a question wait, exponentially longer each time; half of the wait is random to part the retries."""
        longest = min(self.config.backoff_max_s, self.config.backoff_s * 2 ** (entry.attempt - 1))
        not_before = self._clock() + longest * self._random.uniform(0.5, 1.0)
        self._waiting[entry.question.subject] = entry
        heapq.heappush(self._wake, (not_before, self._wakes, entry.question.subject))
        self._wakes += 1
        self._tally.retries += 1

    def _count_cause(self, answer: Answer) -> None:
        """Count failed attempts by cause; a judge with ever new messages must not fill the memory."""
        cause = f"{answer.status.value}: {answer.cause}"[:CAUSE_LENGTH]
        causes = self._tally.causes
        if cause not in causes and len(causes) >= CAUSES_KEPT:
            cause = f"{answer.status.value}: other causes"
        causes[cause] = causes.get(cause, 0) + 1


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank quantile of sorted numbers; 0.0 of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _listed(state: tuple[Any, ...]) -> list[Any]:
    version, numbers, spare = state
    return [version, list(numbers), spare]


def _tupled(state: Sequence[Any]) -> tuple[Any, ...]:
    version, numbers, spare = state
    return version, tuple(numbers), spare
