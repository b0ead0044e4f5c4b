"""Verdicts that a process leaves for the owner of a store: one file each in the inbox beside it, and an answer.

STORE-inbox/TIME-NAME         what is proposed, and the generations that are expected
STORE-inbox/TIME-NAME.json    the owner's answer
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.storage.errors import StoreCorrupt
from envs.storage.files import read_file, replace_file
from rewards.verdicts import SCHEMA

STORED_AS = {**SCHEMA.metadata, b"guerdon_schema": b"stored_verdict"}
PROPOSED = pa.schema([*SCHEMA, pa.field("expected", pa.int32(), nullable=False)], metadata=STORED_AS)
PROPOSAL = re.compile(r"[0-9]{20}-[0-9a-f]{32}")
REPLY_KEPT_S = 3600.0  # answers whose asker died are deleted after this long


def propose(directory: Path, verdicts: pa.RecordBatch, expected: int | Sequence[int] | NDArray[Any] = 0) -> Path:
    """Leave verdicts in the inbox of a store and go on; its owner takes them in. Gives the proposal's file."""
    expectation = np.broadcast_to(np.asarray(expected, np.int32), (verdicts.num_rows,))
    batch = pa.RecordBatch.from_arrays([*verdicts.columns, pa.array(expectation)], schema=PROPOSED)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, PROPOSED) as writer:
        writer.write_batch(batch)
    inbox_of(directory).mkdir(parents=True, exist_ok=True)
    path = inbox_of(directory) / f"{time.time_ns():020d}-{uuid.uuid4().hex}"
    replace_file(path, [memoryview(sink.getvalue())])
    return path


def read_proposal(path: Path) -> tuple[pa.RecordBatch, NDArray[np.int32]]:
    """Verdicts and expected generations of a file in the inbox."""
    with pa.ipc.open_file(pa.py_buffer(read_file(path))) as reader:
        if reader.num_record_batches != 1 or not reader.schema.equals(PROPOSED):
            raise StoreCorrupt(
                f"{path.name}: got {reader.num_record_batches} batches of\n{reader.schema}\nexpected one"
            )
        batch = reader.get_batch(0)
    batch.validate(full=True)
    verdicts = pa.RecordBatch.from_arrays(batch.columns[:-1], schema=SCHEMA)
    expected: NDArray[np.int32] = batch.column("expected").to_numpy(zero_copy_only=False)
    return verdicts, expected


def inbox_of(directory: Path) -> Path:
    """Where proposals to the store of a directory lie."""
    return directory.with_name(f"{directory.name}-inbox")


def reply_of(path: Path) -> Path:
    """Where the answer to a proposal lies."""
    return path.with_name(f"{path.name}.json")


def forget_old_replies(directory: Path) -> None:
    """Delete answers that nobody has fetched."""
    for path in inbox_of(directory).glob("*.json"):
        try:
            if time.time() - path.stat().st_mtime > REPLY_KEPT_S:
                path.unlink()
        except FileNotFoundError:  # its asker was quicker
            continue
