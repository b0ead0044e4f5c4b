"""What the decisions need to know of rows that arrive: how long they are, and what they belong to."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.storage.store import Position
from envs.storage.writers import Key
from learners.replay.config import Config
from learners.replay.journal import Frame, Kind

Ints = NDArray[np.int64]


def steps_of(rows: pa.RecordBatch, column: str) -> Ints:
    """Steps of each row, `[R]`: the length of its list in `column`; 1 where the schema has no such list."""
    kind = rows.schema.field(column).type if column in rows.schema.names else None
    if kind is None or not (pa.types.is_large_list(kind) or pa.types.is_list(kind)):
        return np.ones(rows.num_rows, np.int64)
    steps: Ints = np.diff(rows.column(column).offsets.to_numpy()).astype(np.int64)
    return steps


def arrived(
    config: Config, key: Key, rows: pa.RecordBatch, steps: Ints, first: int, policy_version: int, position: Position
) -> Frame:
    """The decision to accept rows, with all that items are made from.

    Args:
        config: of the replay.
        key: who wrote them.
        rows: that came together.
        steps: of each, `[R]`.
        first: number of the first.
        policy_version: oldest weights that acted in them.
        position: in the store; `(-1, -1)` where there is none.
    """
    empty = np.zeros(len(steps), np.int64)
    first_step, link, ended = empty, empty, np.zeros(len(steps), bool)
    if config.unit == "sequence":
        first_step = rows.column("first_step").to_numpy().astype(np.int64)
        link, ended = _hashes(rows.column("episode_id")), rows.column("ended").to_numpy(zero_copy_only=False)
    elif config.unit == "group":
        link = _hashes(rows.column("group_id"))
    sizes = rows.nbytes * steps // steps.sum()
    return Frame(Kind.INSERT, (*key, first, policy_version, *position), (steps, sizes, first_step, link, ended))


def _hashes(names: pa.Array) -> Ints:
    """A number for each name, the same in every process."""
    texts = names.to_pylist()
    digests = {text: hashlib.blake2b(str(text).encode(), digest_size=8).digest() for text in dict.fromkeys(texts)}
    return np.frombuffer(b"".join([digests[text] for text in texts]), "<i8").astype(np.int64)
