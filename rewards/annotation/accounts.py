"""`Accounts`: the verdicts of a ledger, and what they took: counters, label lags, tokens, money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from rewards.annotation.books import Books, Lags, Tally
from rewards.annotation.breaker import State as BreakerState
from rewards.annotation.queue import Owed
from rewards.annotation.state import unpacked_verdict
from rewards.judges.judge import Answer
from rewards.prices import Prices
from rewards.verdicts import Status, Verdict, details_json


class Accounts:
    """What came of the questions of one component and reward version."""

    def __init__(self, component: str, reward_version: str, clock: Callable[[], float], prices: Prices) -> None:
        """Nothing was asked yet; the arguments are those of `AnnotationLedger`."""
        self.component, self.reward_version, self._clock, self._prices = component, reward_version, clock, prices
        self.tally = Tally()
        self.verdicts: dict[str, Verdict] = {}
        self.fingerprint = ""  # of the judge that answered last
        self._statuses: Counter[Status] = Counter()
        self._judges: Counter[str] = Counter()
        self._lags = Lags()

    def charge(self, answer: Answer) -> float:
        """Count what a judge took for an answer, and why there is no value; gives its cost."""
        cost = self._prices.cost(1, answer.tokens) if answer.tokens or answer.status is Status.OK else 0.0
        self.tally.tokens += answer.tokens
        self.tally.cost += cost
        if answer.status is not Status.OK:
            self.tally.count_cause(answer)
        return cost

    def save(self, answer: Answer) -> None:
        """Count what an answer from memory would have taken."""
        self.tally.cached += 1
        self.tally.tokens_saved += answer.tokens
        self.tally.cost_saved += self._prices.cost(1, answer.tokens)

    def conclude(self, owed: Owed, answer: Answer, fingerprint: str, latency_s: float, cost: float) -> Verdict:
        """Write the final verdict of a question."""
        ok = answer.status is Status.OK and answer.value is not None
        verdict = Verdict(
            subject=owed.question.subject,
            subject_kind=owed.question.kind,
            component=self.component,
            reward_version=self.reward_version,
            value=float(answer.value) if ok and answer.value is not None else None,
            status=answer.status,
            judge_fingerprint=fingerprint,
            cause=answer.cause,
            attempt=owed.attempt,
            latency_s=latency_s,
            tokens=answer.tokens,
            cost=cost,
            policy_version=owed.policy_version,
            text="\n".join(owed.question.texts),
            scores=answer.scores if ok else (),
            details=details_json(answer.details),
        )
        self.verdicts[verdict.subject] = verdict
        self._statuses[verdict.status] += 1
        if ok:
            self._judges[fingerprint] += 1
        lag_s = self._clock() - owed.asked_at
        self._lags.latest.append(lag_s)
        self.tally.count_lag(lag_s)
        return verdict

    def books(self, shed: int, pending: int, in_flight: int, breaker: BreakerState) -> Books:
        """The books, with what has no verdict yet."""
        tally, settled = self.tally, sum(self._statuses.values())
        median_s, p95_s, p99_s = self._lags.quantiles(0.5, 0.95, 0.99)
        return Books(
            asked=tally.asked,
            ok=self._statuses[Status.OK],
            failures={s.value: n for s, n in sorted(self._statuses.items()) if s is not Status.OK and n},
            shed=shed,
            pending=pending,
            in_flight=in_flight,
            dropped=tally.dropped,
            duplicates=tally.duplicates,
            attempts=tally.attempts,
            retries=tally.retries,
            batches=tally.batches,
            failed_batches=tally.failed_batches,
            late_batches=tally.late_batches,
            returned_batches=tally.returned_batches,
            cached=tally.cached,
            judges=dict(self._judges),
            causes=dict(tally.causes),
            breaker=breaker,
            lag_mean_s=tally.lag_sum_s / settled if settled else 0.0,
            lag_median_s=median_s,
            lag_p95_s=p95_s,
            lag_p99_s=p99_s,
            lag_max_s=tally.lag_max_s,
            tokens=tally.tokens,
            tokens_saved=tally.tokens_saved,
            cost=tally.cost,
            cost_saved=tally.cost_saved,
        )

    def state_dict(self, forgotten: int) -> dict[str, Any]:
        """Everything but the verdicts, as JSON-able data."""
        return {
            "tally": {**self.tally.state_dict(), "forgotten": forgotten},
            "lags_s": list(self._lags.latest),
            "fingerprint": self.fingerprint,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved, and the verdicts beside it."""
        self.tally = Tally.from_state(state["tally"])
        self.fingerprint = state["fingerprint"]
        verdicts = [unpacked_verdict(raw) for raw in state["verdicts"]]
        self.verdicts = {verdict.subject: verdict for verdict in verdicts}
        self._statuses = Counter(verdict.status for verdict in verdicts)
        self._judges = Counter(v.judge_fingerprint for v in verdicts if v.status is Status.OK)
        self._lags = Lags(state["lags_s"])
