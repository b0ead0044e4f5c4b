"""`Segment`: one file of batches, mapped once and read without a copy.

A segment is hot while it is written: an Arrow IPC stream behind eight bytes, grown in advance and followed by zeros,
with an index beside it. Sealing adds the footer that makes it an Arrow IPC file, and puts a manifest in the place of
the index.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from envs.storage.dead import append_dead, read_dead, trim_dead
from envs.storage.files import open_file
from envs.storage.index import Entry
from envs.storage.messages import decode, decode_all
from envs.storage.segment_files import data_path

_CACHED = 1024  # batches of a segment that are kept decoded


def map_file(path: Path, length: int) -> pa.Buffer:
    """The first bytes of a file, read-only. They stay mapped for as long as a view of them is held."""
    descriptor = open_file(path, os.O_RDONLY)
    try:
        return pa.py_buffer(mmap.mmap(descriptor, length, access=mmap.ACCESS_READ))
    finally:
        os.close(descriptor)


class Copy(NamedTuple):
    """A data file that took the place of another; positions in it are the same.

    Attributes:
        generation: of the file.
        start: where the first batch begins.
        entries: of all batches; those without rows are dead.
        buffer: that maps it.
    """

    generation: int
    start: int
    entries: list[Entry]
    buffer: pa.Buffer


class Segment:
    """Batches that are there to be read.

    Attributes:
        number: in the order of writing.
        generation: how often it was compacted.
        start: where the first batch begins.
        entries: of all batches, dead ones too, in order.
        dead: indices of batches that are no longer needed.
        sealed: whether it has its manifest.
        writers: the table of all writers as it was behind its last batch; empty while it is written.
    """

    def __init__(
        self,
        directory: Path,
        schema: pa.Schema,
        number: int,
        generation: int,
        start: int,
        entries: list[Entry],
        buffer: pa.Buffer,
    ) -> None:
        """Read from `buffer`, which maps the data file at least to the end of the last batch."""
        self.directory, self.schema, self.number, self.generation = directory, schema, number, generation
        self.start, self.entries, self.buffer = start, entries, buffer
        self.sealed = False
        self.writers: list[list[Any]] = []
        self.dead: set[int] = set()
        self._dead_end = self._buried_bytes = self._reclaimable_bytes = 0
        self._batches: dict[int, pa.RecordBatch] = {}

    @property
    def path(self) -> Path:
        """The data file."""
        return data_path(self.directory, self.number, self.generation)

    @property
    def end(self) -> int:
        """Where the last batch ends."""
        return self.entries[-1].end if self.entries else self.start

    @property
    def content(self) -> pa.Buffer:
        """The file from its first byte to the end of its last batch."""
        return self.buffer.slice(0, self.end)

    @property
    def all_dead(self) -> bool:
        """Whether nothing in it is needed."""
        return len(self.dead) == len(self.entries)

    @property
    def live_bytes(self) -> int:
        """Of batches that are needed."""
        return self.end - self.start - self._buried_bytes

    @property
    def reclaimable_share(self) -> float:
        """Of its bytes, 0 to 1: of rows that are not needed and still there."""
        return self._reclaimable_bytes / max(1, self.end - self.start)

    def read(self, number: int) -> pa.RecordBatch:
        """A live batch; its columns are views of the mapped file.

        Raises:
            KeyError: it is dead, or was never there.
        """
        batch = self._batches.get(number)
        if batch is None:
            entry = self.live_entry(number)
            batch = decode(self.buffer.slice(entry.offset, entry.length), self.schema)
            if len(self._batches) >= _CACHED:
                self._batches.clear()
            self._batches[number] = batch
        return batch

    def live_entry(self, number: int) -> Entry:
        """Where a live batch lies.

        Raises:
            KeyError: it is dead, or was never there.
        """
        if number in self.dead or not 0 <= number < len(self.entries):
            raise KeyError(f"batch {number} of segment {self.number} is not live: it was dropped, or never stored")
        return self.entries[number]

    def live_entries(self) -> list[Entry]:
        """Where its live batches lie, in order."""
        return [entry for number, entry in enumerate(self.entries) if number not in self.dead]

    def live(self) -> Iterator[tuple[int, Entry, dict[str, Any]]]:
        """Index, entry and meta of each live batch, in order."""
        for number, (entry, (_, meta)) in enumerate(zip(list(self.entries), decode_all(self.content), strict=True)):
            if number not in self.dead:
                yield number, entry, meta

    def load_dead(self) -> list[str]:
        """Read which batches are dead; gives what a crash cut short, one line each.

        Raises:
            StoreCorrupt: a record is not what was written.
        """
        dead = read_dead(self.directory, self.number)
        # Compaction takes the rows of dead batches only; the record of a drop may be gone with the machine.
        dead.numbers.update(number for number, entry in enumerate(self.entries) if not entry.rows)
        self._count_dead(number for number in dead.numbers if number < len(self.entries))
        self._dead_end = dead.end
        return dead.notes

    def trim_dead(self) -> None:
        """Take away a drop that was cut short."""
        trim_dead(self.directory, self.number, self._dead_end)

    def bury(self, numbers: Iterable[int], durable: bool) -> None:
        """Note that batches are no longer needed.

        Raises:
            OSError: the disk is full; they are still live.
        """
        if new := sorted(number for number in set(numbers) - self.dead if number < len(self.entries)):
            self._dead_end = append_dead(self.directory, self.number, new, self._dead_end, durable)
            self._count_dead(new)
            for number in new:
                self._batches.pop(number, None)

    def replace(self, copy: Copy) -> None:
        """Read from another data file from now on; what was read before keeps the old one mapped."""
        self.generation, self.start, self.entries, self.buffer = copy
        self._batches.clear()
        self._buried_bytes = self._reclaimable_bytes = 0
        self.dead = {number for number in self.dead if number < len(self.entries)}
        self._count_dead(self.dead)

    def unmap(self) -> None:
        """Let go of the file; what was read keeps it."""
        self._batches.clear()
        self.buffer = pa.py_buffer(b"")

    def _count_dead(self, numbers: Iterable[int]) -> None:
        dead = [(number, self.entries[number]) for number in numbers]
        self.dead.update(number for number, _ in dead)
        self._buried_bytes += sum(entry.length for _, entry in dead)
        self._reclaimable_bytes += sum(entry.length for _, entry in dead if entry.rows)
