"""`Verdict`: what a judge said of a subject, or why it could not say it.

A failure is never a zero: every status but `ok` has a NULL value, and the status says the cause.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 2


class Status(str, Enum):
    """How an attempt to judge ended."""

    OK = "ok"
    PENDING = "pending"
    POLICY_FAULT = "policy_fault"
    JUDGE_FAULT = "judge_fault"
    TIMEOUT = "timeout"
    UNPARSEABLE = "unparseable"
    SHED = "shed"
    OVER_BUDGET = "over_budget"


@cache
def status_texts() -> pa.Array:
    """Each status as text, in their order. Made when first needed: for an array of texts pyarrow loads pandas."""
    return pa.array([status.value for status in Status])


@dataclass(frozen=True)
class Verdict:
    """One judgement of one subject under one reward version.

    Attributes:
        subject: content hash of what was judged (a caption, a pair of captions, …).
        subject_kind: "caption", "pair", "response", "trajectory", "step", "turn", "row", "episode" or "group".
        component: name of the reward component this is a value of.
        reward_version: hash of code, config and model that asked.
        value: the judgement, or None (NULL) unless the status is ok.
        status: how the attempt ended.
        cause: for people: what went wrong; empty when ok.
        attempt: 1 for the first attempt.
        latency_s: seconds from asking to answering.
        tokens: tokens the judge read and wrote.
        cost: money, in the currency of the price list; 0 where the judge is local.
        judge_fingerprint: hash of model, template, goal and sampling parameters.
        policy_version: of the policy that first produced the subject.
        text: what was judged, for people and for re-judging; texts of a pair are separated by a newline.
        scores: of the members of a group or the steps of a trajectory, NULL where there is none.
        details: what else the judge said, as JSON text (`details_json`); empty where it said nothing.
    """

    subject: str
    subject_kind: str
    component: str
    reward_version: str
    value: float | None
    status: Status
    judge_fingerprint: str
    cause: str = ""
    attempt: int = 1
    latency_s: float = 0.0
    tokens: int = 0
    cost: float = 0.0
    policy_version: int = 0
    text: str = ""
    scores: tuple[float | None, ...] = ()
    details: str = ""

    def __post_init__(self) -> None:
        """Hold the rule: a value when ok, NULL otherwise, never NaN or infinite; scores too.

        Raises:
            ValueError: the rule is broken.
        """
        if (self.status is Status.OK) != (self.value is not None):
            raise ValueError(
                f"verdict on {self.subject}: got status {self.status.value} with value {self.value}; "
                "expected a value exactly when the status is ok"
            )
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"verdict on {self.subject}: got value {self.value}; expected a finite number")
        object.__setattr__(self, "scores", tuple(self.scores))  # JSON and Arrow give lists
        if not all(score is None or math.isfinite(score) for score in self.scores):
            raise ValueError(f"verdict on {self.subject}: got scores {self.scores}; expected finite numbers or None")


def details_json(details: Mapping[str, Any]) -> str:
    """What a judge said beside its value, as the text that a verdict keeps; "" for nothing."""
    return json.dumps(details, sort_keys=True, ensure_ascii=False) if details else ""


SCHEMA = pa.schema(
    [
        pa.field("subject", pa.string(), nullable=False),
        pa.field("subject_kind", pa.string(), nullable=False),
        pa.field("component", pa.string(), nullable=False),
        pa.field("reward_version", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("judge_fingerprint", pa.string(), nullable=False),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("latency_s", pa.float64(), nullable=False),
        pa.field("tokens", pa.int64(), nullable=False),
        pa.field("cost", pa.float64(), nullable=False),
        pa.field("policy_version", pa.int64(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("scores", pa.list_(pa.float64()), nullable=False),
        pa.field("details", pa.string(), nullable=False),
    ],
    metadata={"guerdon_schema": "verdict", "schema_version": str(SCHEMA_VERSION)},
)
_SCHEMA_1 = pa.schema(list(SCHEMA)[:-2], metadata={"guerdon_schema": "verdict", "schema_version": "1"})


def to_arrow(verdicts: Sequence[Verdict]) -> pa.RecordBatch:
    """Verdicts as one Arrow batch of `SCHEMA`."""
    # Column by column: a dictionary for each verdict would take several times as long.
    columns = {name: [getattr(verdict, name) for verdict in verdicts] for name in SCHEMA.names}
    columns["status"] = [status.value for status in columns["status"]]
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def from_arrow(batches: Iterable[pa.RecordBatch]) -> list[Verdict]:
    """Verdicts out of Arrow batches of `SCHEMA`, or of version 1, which had no scores and no details.

    Raises:
        ValueError: a batch has another schema.
    """
    verdicts = []
    for batch in batches:
        if not any(batch.schema.equals(known) for known in (SCHEMA, _SCHEMA_1)):
            raise ValueError(f"got verdicts of schema\n{batch.schema}\nexpected\n{SCHEMA}")
        verdicts += [Verdict(**{**row, "status": Status(row["status"])}) for row in batch.to_pylist()]
    return verdicts
