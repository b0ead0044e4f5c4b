"""`Computed`: subjects that a reward function says something of, over the rows themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.experiment import COMPONENT, Experiment
from pipelines.stored.reannotation import SAY_EVERY_S, Outcome, Settings
from pipelines.stored.verdict_sink import VerdictSink
from rewards.functions import RewardFunction
from rewards.judges.judge import Answer
from rewards.prices import Prices
from rewards.subjects import Subjects
from rewards.verdicts import SCHEMA, details_json

CHUNK = 16_384  # subjects of a reward function between two puts
DEAR_CHUNK = 64  # where each costs tokens or money, of which there is so much only


@dataclass
class Computed:
    """A reward function over the rows themselves. It fails the same way each time, so it is not tried again."""

    function: RewardFunction
    subjects: Subjects

    async def run(
        self, verdicts: VerdictSink, settings: Settings, experiment: Experiment, say: Callable[[str], None]
    ) -> Outcome:
        """Compute what was not judged yet under this version, as far as the settings allow, and store it."""
        version, kind, ids = self.function.version, self.subjects.kind, self.subjects.ids
        where, generations = verdicts.todo(ids, version, settings.again)
        outcome = Outcome(version, kind, len(ids), len(ids) - len(where), unknown=self.subjects.left_out)
        began = said_at = time.monotonic()
        budget = settings.budget
        most = len(where) if budget.requests is None else min(len(where), budget.requests)
        chunk = CHUNK if budget.tokens is None and budget.money is None else DEAR_CHUNK
        done = 0
        while done < most and not outcome.stopped:
            part = slice(done, min(done + chunk, most))
            answers = await self._answers(where[part])
            batch = verdict_batch(
                kind,
                ids.take(pa.array(where[part])),
                answers,
                version,
                self.subjects.policy_versions[where[part]],
                settings.prices,
            )
            verdicts.put(batch, generations[part].tolist())
            done = part.stop
            for status in batch.column("status").to_pylist():
                outcome.judged[status] = outcome.judged.get(status, 0) + 1
            outcome.tokens += sum(answer.tokens for answer in answers)
            outcome.cost += float(np.sum(batch.column("cost").to_numpy()))
            outcome.seconds = time.monotonic() - began
            outcome.stopped = _used_up(settings, outcome)
            if time.monotonic() > said_at + SAY_EVERY_S:
                said_at = time.monotonic()
                say(f"{done:,} of {len(where):,} judged")
        outcome.left = len(where) - done
        outcome.stopped = (outcome.stopped or "the budget is used up") if outcome.left else ""
        return outcome

    async def _answers(self, chosen: np.ndarray[Any, Any]) -> list[Answer]:
        """Answers on some subjects: those between the first and the last are read together, then picked."""
        first, last = int(chosen[0]), int(chosen[-1])
        columns = self.subjects.columns(first, last + 1)
        if len(chosen) < last + 1 - first:
            columns = {name: [column[k - first] for k in chosen] for name, column in columns.items()}
        if not columns:  # the function asks for nothing
            columns = {"": [None] * len(chosen)}
        return await self.function.answer(columns)


def _used_up(settings: Settings, outcome: Outcome) -> str:
    """What forbids to go on with a reward function; empty where nothing does."""
    if settings.seconds is not None and outcome.seconds >= settings.seconds:
        return f"{settings.seconds:g} s are over"
    limits = ((settings.budget.tokens, outcome.tokens), (settings.budget.money, outcome.cost))
    return "the budget is used up" if any(limit is not None and spent >= limit for limit, spent in limits) else ""


def verdict_batch(
    kind: str, subjects: pa.Array, answers: Sequence[Answer], version: str, policy_versions: Any, prices: Prices
) -> pa.RecordBatch:
    """Final verdicts of a reward function on N subjects, as columns."""
    count = len(answers)

    def repeated(text: str) -> pa.Array:
        return pa.repeat(pa.scalar(text), count)

    columns = {
        "subject": subjects,
        "subject_kind": repeated(kind),
        "component": repeated(COMPONENT),
        "reward_version": repeated(version),
        "value": pa.array([answer.value for answer in answers], pa.float64()),
        "status": pa.array([answer.status.value for answer in answers]),
        "judge_fingerprint": repeated(f"function-{version}"),
        "cause": pa.array([answer.cause for answer in answers]),
        "attempt": pa.array(np.ones(count, np.int32)),
        "latency_s": pa.array([answer.latency_s for answer in answers], pa.float64()),
        "tokens": pa.array([answer.tokens for answer in answers], pa.int64()),
        "cost": pa.array([prices.cost(1, answer.tokens) for answer in answers], pa.float64()),
        "policy_version": pa.array(policy_versions, pa.int64()),
        "text": repeated(""),
        "scores": pa.array([answer.scores for answer in answers], pa.list_(pa.float64())),
        "details": pa.array([details_json(answer.details) for answer in answers]),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
