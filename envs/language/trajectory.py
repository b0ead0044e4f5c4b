"""`TokenTrajectory`: the record of one conversation, token by token; one Arrow row.

| column | entries | meaning |
|---|---|---|
| row_id | 1 | `actor/epoch/sequence/index`, the index being that of the row in its insert |
| task, prompt_id | 1 | what was asked |
| group_id, member | 1 | the rows of one group answer one prompt; the name is not used again when the prompt is |
| actor, epoch, sequence | 1 | who wrote it, for exactly-once accounting |
| policy_version_min, policy_version_max | 1 | weights that wrote in it |
| token_ids | L | the whole conversation as the model read and wrote it |
| loss_mask | L | 1 where the policy wrote the token |
| behaviour_log_probs | L | of the distribution that was sampled from; 0 where the policy did not write |
| token_versions | L | weights that wrote the token; -1 where the policy did not |
| turn_ends | turns | one past the last token of each reply |
| env_rewards | turns | what the world paid for each reply; NULL: nothing |
| finish | 1 | `stop`: the world was done; `length`: no room for more tokens; `turns`: the limit of turns; `aborted` |
| messages, columns | 1 | the conversation and the prompt's columns, as JSON |
| completion | 1 | the last reply |

The columns of length L are gathered by a replay with `steps_column="token_ids"`; those with one entry a turn are
nullable in the schema, which tells the replay to leave them alone. The mask is stored in bytes, because Arrow's bits
cannot be gathered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.language.task import Message, episode_columns
from envs.trajectory import InvalidTrajectory, ragged, unragged

SCHEMA_VERSION = 1
FINISHES = ("stop", "length", "turns", "aborted")
ROLES = ("system", "user", "assistant", "tool")
PER_TOKEN = {
    "token_ids": np.dtype(np.int32),
    "loss_mask": np.dtype(bool),
    "behaviour_log_probs": np.dtype(np.float32),
    "token_versions": np.dtype(np.int32),
}
_ABOVE_ONE = 1e-3  # by so much rounding may lift a log-probability over 0


@cache
def language_schema() -> pa.Schema:
    """The Arrow schema of token trajectories."""
    facts = {
        "row_id": pa.string(),
        "task": pa.string(),
        "prompt_id": pa.string(),
        "group_id": pa.string(),
        "member": pa.int32(),
        "actor": pa.int32(),
        "epoch": pa.int32(),
        "sequence": pa.int64(),
        "policy_version_min": pa.int64(),
        "policy_version_max": pa.int64(),
        "token_ids": pa.large_list(pa.int32()),
        "loss_mask": pa.large_list(pa.uint8()),
        "behaviour_log_probs": pa.large_list(pa.float32()),
        "token_versions": pa.large_list(pa.int32()),
        "turn_ends": pa.large_list(pa.int32()),
        "env_rewards": pa.large_list(pa.float32()),
        "finish": pa.string(),
        "messages": pa.string(),
        "columns": pa.string(),
        "completion": pa.string(),
    }
    per_turn = ("turn_ends", "env_rewards")
    return pa.schema(
        [pa.field(name, kind, nullable=name in per_turn) for name, kind in facts.items()],
        metadata={"guerdon_schema": "language", "schema_version": str(SCHEMA_VERSION)},
    )


@dataclass(frozen=True, eq=False)
class TokenTrajectory:
    """One row; the attributes are its columns, see the module.

    Attributes:
        token_ids: int32 `[L]`.
        loss_mask: bool `[L]`.
        behaviour_log_probs: float32 `[L]`.
        token_versions: int32 `[L]`.
        turn_ends: int32 `[turns]`.
        env_rewards: `[turns]`.
        messages: of the prompt, the replies and the world, in order.
        columns: of the prompt.
    """

    row_id: str
    task: str
    prompt_id: str
    group_id: str
    member: int
    actor: int
    epoch: int
    sequence: int
    policy_version_min: int
    policy_version_max: int
    token_ids: NDArray[np.int32]
    loss_mask: NDArray[np.bool_]
    behaviour_log_probs: NDArray[np.float32]
    token_versions: NDArray[np.int32]
    turn_ends: NDArray[np.int32]
    env_rewards: tuple[float | None, ...]
    finish: str
    messages: tuple[Message, ...]
    columns: Mapping[str, Any]
    completion: str

    @property
    def length(self) -> int:
        """L, the number of tokens."""
        return len(self.token_ids)

    @property
    def prompt_length(self) -> int:
        """Tokens before the policy's first one; L where it wrote none."""
        return int(self.loss_mask.argmax()) if self.loss_mask.any() else self.length

    def record(self) -> dict[str, Any]:
        """What reward functions may ask for by name: the prompt's columns and `task.EPISODE_COLUMNS`."""
        return episode_columns(self.columns, self.messages, self.env_rewards, self.finish)

    def validate(self) -> None:
        """Check lengths, ranges and that the columns agree with each other.

        Raises:
            InvalidTrajectory: names the row, the column and the position.
        """
        self._validate_tokens()
        self._validate_turns()
        for name in ("member", "actor", "epoch", "sequence"):
            if getattr(self, name) < 0:
                raise self._wrong(name, 0, f"got {getattr(self, name)}; expected a number from 0")
        if self.finish not in FINISHES:
            raise self._wrong("finish", 0, f"got {self.finish!r}; expected one of {', '.join(FINISHES)}")
        for position, message in enumerate(self.messages):
            if message.get("role") not in ROLES or not isinstance(message.get("content"), str):
                raise self._wrong(
                    "messages", position, f"got {dict(message)}; expected a role of {', '.join(ROLES)}, and content"
                )
        for name in ("row_id", "task", "prompt_id", "group_id"):
            if not getattr(self, name):
                raise self._wrong(name, 0, "got an empty name; expected one")

    def _validate_tokens(self) -> None:
        if not self.length:
            raise self._wrong("token_ids", 0, "got no tokens; expected at least those of the prompt")
        for name, dtype in PER_TOKEN.items():
            values = getattr(self, name)
            if values.shape != (self.length,) or values.dtype != dtype:
                got = f"shape {values.shape} of {values.dtype}"
                raise self._wrong(name, len(values), f"got {got}; expected {self.length} entries of {dtype}")
        own, log_probs, versions = self.loss_mask, self.behaviour_log_probs, self.token_versions
        lowest, highest = self.policy_version_min, self.policy_version_max
        checks = {
            "token_ids": (self.token_ids < 0, "a token from 0"),
            "behaviour_log_probs": (
                np.where(own, ~np.isfinite(log_probs) | (log_probs > _ABOVE_ONE), log_probs != 0),
                "a finite log-probability of at most 0 where the policy wrote the token, and 0 elsewhere",
            ),
            "token_versions": (
                np.where(own, (versions < lowest) | (versions > highest), versions != -1),
                f"policy_version_min {lowest} to policy_version_max {highest} where the policy wrote the token, "
                "and -1 elsewhere",
            ),
        }
        for name, (is_wrong, expected) in checks.items():
            if is_wrong.any():
                position = int(is_wrong.argmax())
                raise self._wrong(name, position, f"got {getattr(self, name)[position]}; expected {expected}")

    def _validate_turns(self) -> None:
        ends, begin = self.turn_ends.tolist(), 0
        if self.turn_ends.dtype != np.int32:
            raise self._wrong("turn_ends", 0, f"got {self.turn_ends.dtype}; expected int32")
        for position, end in enumerate(ends):
            if not begin < end <= self.length or not self.loss_mask[end - 1]:
                raise self._wrong(
                    "turn_ends", position, f"got {end}; expected one past a token that the policy wrote, after {begin}"
                )
            begin = end
        if self.loss_mask[begin:].any():
            position = begin + int(self.loss_mask[begin:].argmax())
            raise self._wrong("loss_mask", position, "got a token of the policy that belongs to no turn")
        if len(self.env_rewards) != len(ends):
            raise self._wrong("env_rewards", len(self.env_rewards), f"expected one for each of {len(ends)} turns")
        for position, paid in enumerate(self.env_rewards):
            if paid is not None and not np.isfinite(paid):
                raise self._wrong("env_rewards", position, f"got {paid}; expected a finite number, or None")
        replies = [message["content"] for message in self.messages if message.get("role") == "assistant"]
        if ends and (not replies or replies[-1] != self.completion):
            raise self._wrong("completion", 0, "expected the content of the last message with the role assistant")

    def _wrong(self, column: str, position: int, problem: str) -> InvalidTrajectory:
        return InvalidTrajectory(f"row {self.row_id}, column {column!r}, position {position}: {problem}")


def to_batch(rows: Sequence[TokenTrajectory]) -> pa.RecordBatch:
    """Rows as one Arrow batch of `language_schema()`.

    Raises:
        InvalidTrajectory: a row breaks the contract.
        ValueError: a row's messages or columns are not plain JSON.
    """
    schema = language_schema()
    arrays = []
    for row in rows:
        row.validate()
    for name in schema.names:
        values = [getattr(row, name) for row in rows]
        if name in PER_TOKEN:
            flat = np.concatenate([*values, np.zeros(0, PER_TOKEN[name])], dtype=PER_TOKEN[name])
            stored = flat.view(np.uint8) if flat.dtype == bool else flat
            arrays.append(ragged(stored, [len(value) for value in values]))
            continue
        if name in ("messages", "columns"):
            values = [_to_json(row, getattr(row, name), name) for row in rows]
        arrays.append(pa.array(values, schema.field(name).type))
    return pa.record_batch(arrays, schema=schema)


def from_batch(batch: pa.RecordBatch) -> list[TokenTrajectory]:
    """The rows of a batch; arrays of tokens are views of its buffers.

    Raises:
        ValueError: the batch holds something else, or another version.
    """
    _require_ours(batch)
    columns: dict[str, list[Any]] = {}
    for name in batch.schema.names:
        column = batch.column(name)
        if name in PER_TOKEN:
            ends = np.cumsum(column.value_lengths().to_numpy())
            columns[name] = np.split(unragged(column).view(PER_TOKEN[name]), ends[:-1]) if len(ends) else []
        else:
            columns[name] = column.to_pylist()
    columns["turn_ends"] = [np.array(ends, np.int32) for ends in columns["turn_ends"]]
    columns["env_rewards"] = [tuple(paid) for paid in columns["env_rewards"]]
    columns["messages"] = [tuple(json.loads(text)) for text in columns["messages"]]
    columns["columns"] = [json.loads(text) for text in columns["columns"]]
    names = [field.name for field in fields(TokenTrajectory)]
    rows = zip(*(columns[name] for name in names), strict=True)
    return [TokenTrajectory(**dict(zip(names, row, strict=True))) for row in rows]


def records(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """What reward functions may ask for by name of each row, see `TokenTrajectory.record`; its tokens are left alone.

    Raises:
        ValueError: the batch holds something else, or another version.
    """
    _require_ours(batch)
    asked = (batch.column(name).to_pylist() for name in ("columns", "messages", "env_rewards", "finish"))
    return [
        episode_columns(json.loads(columns), json.loads(messages), paid, finish)
        for columns, messages, paid, finish in zip(*asked, strict=True)
    ]


def _require_ours(batch: pa.RecordBatch) -> None:
    if not batch.schema.equals(language_schema(), check_metadata=True):
        raise ValueError(f"got rows of the schema\n{batch.schema}\nexpected that of language_schema()")


def validate(batch: pa.RecordBatch) -> None:
    """Check every row of a batch.

    Raises:
        InvalidTrajectory: names the row, the column and the position.
    """
    for row in from_batch(batch):
        row.validate()


def _to_json(row: TokenTrajectory, value: Any, name: str) -> str:
    plain = [dict(message) for message in value] if name == "messages" else dict(value)
    try:
        return json.dumps(plain, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"row {row.row_id}, column {name!r}: {error}; expected plain JSON") from None
