"""`HotSegment`: the segment that is being written."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from envs.storage import sealing
from envs.storage.files import Bytes, crc32, open_file, reserve, sync_directory, sync_file, write_at
from envs.storage.index import HEADER_BYTES, RECORD_BYTES, Entry, Header, pack_header, pack_record
from envs.storage.messages import header
from envs.storage.segment import Copy, Segment, map_file
from envs.storage.segment_files import data_path, index_path
from envs.storage.writers import Key


class HotSegment(Segment):
    """A segment with the descriptors to write it.

    All writes go through the operating system, never through the mapping, so that a full disk is an `OSError`. What
    fails is taken back at once: the files end with the last whole batch and its record.

    Attributes:
        capacity: size of the data file while it is written; batches end below.
    """

    def __init__(
        self,
        directory: Path,
        schema: pa.Schema,
        number: int,
        generation: int,
        start: int,
        entries: list[Entry],
        capacity: int,
    ) -> None:
        """Go on with files that are there."""
        data = data_path(directory, number, generation)
        self._data = open_file(data, os.O_RDWR)
        self._index = open_file(index_path(directory, number), os.O_RDWR)
        self._open = [self._data, self._index]
        os.ftruncate(self._data, max(capacity, os.fstat(self._data).st_size))
        super().__init__(directory, schema, number, generation, start, entries, map_file(data, capacity))
        self.capacity, self._synced, self._grown, self._broken = capacity, 0, True, False

    @classmethod
    def reopen(cls, segment: Segment, capacity: int) -> HotSegment:
        """Go on with one that a crash left, without what lies behind its last whole batch."""
        hot = cls(
            segment.directory,
            segment.schema,
            segment.number,
            segment.generation,
            segment.start,
            segment.entries,
            capacity,
        )
        hot.load_dead()
        hot.cut()
        return hot

    @classmethod
    def create(cls, directory: Path, schema: pa.Schema, number: int, capacity: int) -> HotSegment:
        """New files, on disk before the first batch is.

        Raises:
            OSError: the disk is full; there are no new files.
        """
        first = header(schema)
        about = pack_header(Header(number, capacity, len(first), crc32([first])))
        files = [(index_path(directory, number), about, len(about)), (data_path(directory, number, 0), first, capacity)]
        made = []
        try:
            for path, content, size in files:
                descriptor = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                made.append(path)
                try:
                    reserve(descriptor, size)
                    write_at(descriptor, [content], 0)
                    sync_file(descriptor)
                finally:
                    os.close(descriptor)
            sync_directory(directory)
            return cls(directory, schema, number, 0, len(first), [], capacity)
        except BaseException:
            for path in reversed(made):  # the index goes last: without it, other files are damage
                path.unlink()
            raise

    def append(self, key: Key, rows: int, message: Sequence[Bytes], durable: bool) -> int:
        """Write a batch, then its record; it is stored when the record is.

        Args:
            key: who wrote it.
            rows: in it.
            message: its bytes, in parts.
            durable: whether to wait for the disk.

        Returns:
            Its index.

        Raises:
            OSError: the disk is full or failed; nothing changed.
        """
        if self._broken:
            raise OSError(
                errno.EIO, f"{self.path}: an earlier write failed and could not be taken back; open the store anew"
            )
        number, offset = len(self.entries), self.end
        try:
            if not self._grown:
                os.ftruncate(self._data, self.capacity)
                self._grown = True
            end = write_at(self._data, message, offset)
            if end > self.capacity:
                raise RuntimeError(f"{self.path}: got a batch up to byte {end}; expected at most {self.capacity}")
            entry = Entry(offset, end - offset, rows, *key, crc32(message))
            record = pack_record(entry, self._synced)
            write_at(self._index, [record], HEADER_BYTES + number * RECORD_BYTES)
            if durable:
                self.sync()
                self._synced = number + 1
        except BaseException:
            self.cut()
            raise
        self.entries.append(entry)
        return number

    def cut(self) -> None:
        """Take away what lies behind the last whole batch and its record."""
        try:
            os.ftruncate(self._index, HEADER_BYTES + len(self.entries) * RECORD_BYTES)
            os.ftruncate(self._data, self.end)
            self._grown = False
        except OSError:
            self._broken = True
            raise

    def sync(self) -> None:
        """Wait until the disk has all batches that are stored by now."""
        stored = len(self.entries)
        sync_file(self._data)
        sync_file(self._index)
        self._synced = max(self._synced, stored)

    def seal(self, without_dead: bool = False) -> Copy | None:
        """End it: nothing more is appended, and it becomes an Arrow IPC file.

        Args:
            without_dead: whether to write the live batches alone, to another file.

        Returns:
            That file, to go on with.

        Raises:
            OSError: the disk is full or failed; nothing is lost, and it can be tried again.
        """
        copy = sealing.seal(self, self._data, without_dead)
        self.close()
        return copy

    def discard(self) -> None:
        """Take the files away of a segment to which nothing was ever appended."""
        self.close()
        for path in (self.path, index_path(self.directory, self.number)):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the descriptors back; the batches stay readable."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()
