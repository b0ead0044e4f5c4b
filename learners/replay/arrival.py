"""What the decisions need to know of rows that arrive: how long they are, and what they belong to."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.storage.store import Position
from envs.storage.writers import Key
from learners.replay.config import Config
from learners.replay.journal import Frame, Kind

Ints = NDArray[np.int64]

_FACTS = {
    "sequence": {"episode_id": "a name", "first_step": "a whole number", "ended": "true or false"},
    "group": {"group_id": "a name"},
}
"""Columns that say what rows of a unit belong to, and what each row must have in them."""


def require_facts(config: Config, schema: pa.Schema) -> None:
    """Refuse rows of which items of the unit can never be made.

    Raises:
        ValueError: a column is missing, or of another type.
    """
    fits = {
        "a name": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
        "a whole number": pa.types.is_integer,
        "true or false": pa.types.is_boolean,
    }
    for name, what in _FACTS.get(config.unit, {}).items():
        kind = schema.field(name).type if name in schema.names else None
        if kind is None or not fits[what](kind):
            raise ValueError(f"got rows with {kind} as {name!r}; expected {what} in each: unit {config.unit} needs it")


def steps_of(rows: pa.RecordBatch, column: str) -> Ints:
    """Steps of each row, `[R]`: the length of its list in `column`; 1 where the schema has no such list."""
    kind = rows.schema.field(column).type if column in rows.schema.names else None
    if kind is None or not (pa.types.is_large_list(kind) or pa.types.is_list(kind)):
        return np.ones(rows.num_rows, np.int64)
    steps: Ints = np.diff(rows.column(column).offsets.to_numpy()).astype(np.int64)
    return steps


def arrived(config: Config, key: Key, rows: pa.RecordBatch, steps: Ints, first: int, policy_version: int) -> Frame:
    """The decision to accept rows that are in no store (`placed`), with all that items are made from.

    Args:
        config: of the replay.
        key: who wrote them.
        rows: that came together.
        steps: of each, `[R]`.
        first: number of the first.
        policy_version: oldest weights that acted in them.

    Raises:
        ValueError: a row does not say what it belongs to.
    """
    for name, what in _FACTS.get(config.unit, {}).items():
        if lacking := rows.column(name).null_count:
            raise ValueError(f"got {key} with {lacking} rows without {name!r}; expected {what} in each")
    empty = np.zeros(len(steps), np.int64)
    first_step, link, ended = empty, empty, np.zeros(len(steps), bool)
    if config.unit == "sequence":
        first_step = rows.column("first_step").to_numpy().astype(np.int64)
        link, ended = _hashes(rows.column("episode_id")), rows.column("ended").to_numpy(zero_copy_only=False)
    elif config.unit == "group":
        link = _hashes(rows.column("group_id"))
    sizes = rows.nbytes * steps // steps.sum()
    return Frame(Kind.INSERT, (*key, first, policy_version, -1, -1), (steps, sizes, first_step, link, ended))


def placed(frame: Frame, position: Position) -> Frame:
    """The decision to accept rows that are in the store."""
    return frame._replace(numbers=(*frame.numbers[:-2], *position))


def _hashes(names: pa.Array) -> Ints:
    """A number for each name, the same in every process."""
    return np.array([_hash(name) for name in names.to_pylist()], np.int64)


@lru_cache(2**14)  # an episode comes in many parts
def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)
