"""`RecordLog`: Arrow batches appended to IPC stream segments in a directory, readable while they are written.

A segment that was cut short by a crash is read up to its last whole batch. Old segments are deleted beyond a bound
where one is set (recorded experience), and never where none is (verdicts).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

SUFFIX = ".arrows"  # the customary ending of Arrow IPC streams


class RecordLog:
    """Appends to numbered segments; opening an existing directory starts a new segment after the last."""

    def __init__(self, directory: Path, segment_bytes: int = 16 * 2**20, keep_bytes: int | None = None) -> None:
        """Write below `directory`; delete the oldest segments beyond `keep_bytes`."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.segment_bytes, self.keep_bytes = directory, segment_bytes, keep_bytes
        self._number = max((int(p.stem) for p in segments(directory)), default=-1)
        self._sink: pa.OSFile | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None

    def append(self, batch: pa.RecordBatch) -> None:
        """Write one batch and hand it to the operating system.

        Raises:
            OSError: no space is left; what was written before stays readable.
        """
        if batch.num_rows == 0:
            return
        if self._writer is None:
            self._number += 1
            path = self.directory / f"{self._number:06d}{SUFFIX}"
            self._sink = pa.OSFile(str(path), "wb")
            self._writer = pa.ipc.new_stream(self._sink, batch.schema)
        self._writer.write_batch(batch)
        assert self._sink is not None
        if self._sink.tell() >= self.segment_bytes:
            self.close()
            self._delete_oldest()

    def _delete_oldest(self) -> None:
        if self.keep_bytes is None:
            return
        paths = segments(self.directory)
        total = sum(p.stat().st_size for p in paths)
        for path in paths[:-1]:
            if total <= self.keep_bytes:
                return
            total -= path.stat().st_size
            path.unlink()

    def close(self) -> None:
        """End the current segment."""
        if self._writer is not None:
            self._writer.close()
            assert self._sink is not None
            self._sink.close()
            self._writer = self._sink = None


def segments(directory: Path) -> list[Path]:
    """The segments of a log, oldest first."""
    return sorted(p for p in directory.glob(f"*{SUFFIX}") if p.stem.isdigit())


def read_log(directory: Path) -> Iterator[pa.RecordBatch]:
    """All whole batches of a log, oldest first; a segment that is cut short ends at its last whole batch."""
    for path in segments(directory):
        try:
            if os.path.getsize(path) == 0:
                continue
            with pa.memory_map(str(path)) as source:
                yield from pa.ipc.open_stream(source)
        except (pa.ArrowInvalid, OSError):  # cut short, or deleted meanwhile by the run that writes here
            continue
