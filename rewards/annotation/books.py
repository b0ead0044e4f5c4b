"""`Books`: the balance of an annotation ledger, and the counters behind it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rewards.annotation.breaker import State as BreakerState
from rewards.judges.judge import Answer

LAGS_KEPT = 1024
CAUSES_KEPT = 64
CAUSE_LENGTH = 120


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
        dropped: not asked any more, because the reward had become another one.
        duplicates: asks that were refused because the question was pending, in flight or answered.
        attempts: questions sent, retries included.
        retries: questions sent back to wait for another try.
        batches: batches sent.
        failed_batches: batches that failed, timed out or held nothing but faults.
        late_batches: answers ignored because their batch had ended before.
        returned_batches: batches given back unsent: the judge was busy, or a limit was reached.
        cached: verdicts, among `ok`, whose answer was known from the cache.
        judges: values by the fingerprint of the judge that gave them: a fallback has one of its own.
        causes: failed attempts by "status: cause", those that were retried included.
        breaker: state of the circuit breaker.
        lag_mean_s: mean time from asking to verdict.
        lag_median_s: median of the latest lags.
        lag_p95_s: 95th percentile of the latest lags.
        lag_p99_s: 99th percentile of the latest lags.
        lag_max_s: longest lag.
        tokens: tokens the judge reported.
        tokens_saved: tokens that the answers from the cache had taken when they were given.
        cost: money, in the currency of the price list.
        cost_saved: money that the answers from the cache had cost when they were given.
    """

    asked: int
    ok: int
    failures: Mapping[str, int]
    shed: int
    pending: int
    in_flight: int
    dropped: int
    duplicates: int
    attempts: int
    retries: int
    batches: int
    failed_batches: int
    late_batches: int
    returned_batches: int
    cached: int
    judges: Mapping[str, int]
    causes: Mapping[str, int]
    breaker: BreakerState
    lag_mean_s: float
    lag_median_s: float
    lag_p95_s: float
    lag_p99_s: float
    lag_max_s: float
    tokens: int
    tokens_saved: int
    cost: float
    cost_saved: float

    @property
    def imbalance(self) -> int:
        """Questions asked that are not accounted for; below 0: more than were asked."""
        waiting = self.shed + self.pending + self.in_flight
        return self.asked - (self.ok + sum(self.failures.values()) + waiting + self.dropped)

    @property
    def balanced(self) -> bool:
        """Whether every question asked is accounted for."""
        return self.imbalance == 0

    @property
    def hit_rate(self) -> float:
        """Share of values that came from the cache; 0 before the first value."""
        return self.cached / self.ok if self.ok else 0.0


@dataclass
class Tally:
    """Counters that only grow; plain data, so they are checkpointed as they are."""

    asked: int = 0
    forgotten: int = 0
    dropped: int = 0
    duplicates: int = 0
    attempts: int = 0
    retries: int = 0
    batches: int = 0
    failed_batches: int = 0
    late_batches: int = 0
    returned_batches: int = 0
    cached: int = 0
    tokens: int = 0
    tokens_saved: int = 0
    cost: float = 0.0
    cost_saved: float = 0.0
    lag_sum_s: float = 0.0
    lag_max_s: float = 0.0
    causes: dict[str, int] = field(default_factory=dict)

    def count_cause(self, answer: Answer) -> None:
        """Count a failed attempt by its cause; a judge with ever new messages must not fill the memory."""
        cause = f"{answer.status.value}: {answer.cause}"[:CAUSE_LENGTH]
        if cause not in self.causes and len(self.causes) >= CAUSES_KEPT:
            cause = f"{answer.status.value}: other causes"
        self.causes[cause] = self.causes.get(cause, 0) + 1

    def count_lag(self, lag_s: float) -> None:
        """Count the time from asking to verdict."""
        self.lag_sum_s += lag_s
        self.lag_max_s = max(self.lag_max_s, lag_s)

    def state_dict(self) -> dict[str, Any]:
        """The counters, as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Tally:
        """The counters that `state_dict` saved; those that an older version did not know begin at 0."""
        return cls(**{**state, "causes": dict(state["causes"])})


class Lags:
    """The latest times from asking to verdict."""

    def __init__(self, seconds: Sequence[float] = ()) -> None:
        """Begin with these."""
        self.latest: deque[float] = deque(seconds, maxlen=LAGS_KEPT)

    def quantiles(self, *shares: float) -> list[float]:
        """Nearest-rank quantiles, in seconds; 0.0 where there are no lags."""
        ordered = sorted(self.latest)
        return [ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0 for share in shares]
