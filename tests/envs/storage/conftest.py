"""Small batches, and a look at a directory that shows whether anything was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

SCHEMA = pa.schema([("step", pa.int64()), ("text", pa.string())], metadata={"spec": "1"})


@pytest.fixture
def schema() -> pa.Schema:
    return SCHEMA


@pytest.fixture
def batch() -> Callable[..., pa.RecordBatch]:
    """Rows whose content says which batch they are of."""

    def make(number: int, rows: int = 2, width: int = 1) -> pa.RecordBatch:
        columns = [[number * 1000 + row for row in range(rows)], [f"{number}-{row}" * width for row in range(rows)]]
        return pa.record_batch([pa.array(columns[0], pa.int64()), pa.array(columns[1])], schema=SCHEMA)

    return make


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, object]]:
    """Names, contents and times of all that is below a directory."""

    def take(directory: Path) -> dict[str, object]:
        return {
            str(path.relative_to(directory)): (
                path.lstat().st_mtime_ns,
                path.read_bytes() if path.is_file() and not path.is_symlink() else None,
            )
            for path in [directory, *sorted(directory.rglob("*"))]
        }

    return take
