"""`Store`: an append-only directory of Arrow batches that survives any crash and stores every batch once.

docs/storage.md describes the files, and what each fsync policy can lose.
"""

from __future__ import annotations

import errno
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from envs.storage.copying import copy_files
from envs.storage.description import describe, read_description
from envs.storage.files import Bytes
from envs.storage.hot_segment import HotSegment
from envs.storage.loading import Loaded, load
from envs.storage.messages import Encoder, header
from envs.storage.ownership import claim
from envs.storage.schema import require_same, require_storable
from envs.storage.segment import Segment
from envs.storage.syncer import Syncer
from envs.storage.writers import Ack, Key, Writers

_TRIES = 10  # to read a store that its writer changes meanwhile
_LARGEST = 2**63 - 1


class Position(NamedTuple):
    """Where a batch is. It stays the same for as long as the batch lives, also when its segment is compacted."""

    segment: int
    batch: int


class Config(BaseModel):
    """How a store writes.

    Attributes:
        segment_mb: size of a segment in MiB; a batch that is larger gets a larger one. Each segment holds a file
            descriptor, so take larger ones for stores of more than 50 GB.
        fsync: what `append` waits for, and so what a crash of the machine can lose (docs/storage.md).
        fsync_interval_s: with `interval`, seconds from an append until the disk is asked to keep it.
        compact_below: a sealed segment is rewritten where a smaller share of its bytes than this is live.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    segment_mb: int = Field(64, ge=1)
    fsync: Literal["always", "interval", "none"] = "interval"
    fsync_interval_s: float = Field(1.0, gt=0)
    compact_below: float = Field(0.25, ge=0, lt=1)


@dataclass(frozen=True)
class Recovery:
    """What opening found.

    Attributes:
        batches: that are live.
        rows: in them.
        dropped_bytes: behind the last whole batch of segments that a crash cut short.
        seconds: that opening took.
        notes: what a crash cut short, one line each.
    """

    batches: int
    rows: int
    dropped_bytes: int
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Stored:
    """A live batch, without its rows.

    Attributes:
        position: where it is.
        key: who wrote it.
        rows: in it.
        meta: what was stored beside it.
    """

    position: Position
    key: Key
    rows: int
    meta: Mapping[str, Any]


class Store:
    """Batches of one schema in a directory, written by one owner, read by any number of others.

    Not thread-safe. `with Store(…) as store:` closes it.

    Attributes:
        schema: of all batches.
        recovery: what opening found.
    """

    def __init__(
        self,
        directory: Path,
        schema: pa.Schema,
        config: Config | None = None,
        clock: Callable[[], float] = time.monotonic,
        read_only: bool = False,
    ) -> None:
        """Make a store, or go on with one after it was closed or its process died.

        Args:
            directory: that is missing, empty or a store.
            schema: of the batches: plain Arrow types; its metadata is part of it.
            config: how to write.
            clock: in seconds, for `recovery`.
            read_only: write nothing, and see what is stored now. Its writer may go on meanwhile.

        Raises:
            StoreCorrupt: what is there is not what was written.
            StoreForeign: it is no store, one of a newer version, or one of another schema.
            StoreBusy: it has a writer.
            ValueError: the schema cannot be stored.
            OSError: it cannot be read or written. In each of these cases it is left as it was.
        """
        began = clock()
        require_storable(schema)
        self.directory, self.schema, self.config = Path(directory), schema, config or Config()
        self._closed = False
        self._lock = None if read_only else claim(self.directory)
        try:
            if self._lock is not None:
                describe(self.directory, schema)
            require_same(schema, read_description(self.directory), f"{self.directory}")
            found = self._load()
            self._segments: dict[int, Segment] = {segment.number: segment for segment in found.segments}
            self._next = max(self._segments, default=-1) + 1
            self._unswept = set(self._segments)  # segments of which something may have died
            self._moving, self._moved = set[int](), set[int]()  # that are being compacted, and that have been
            self._hot: HotSegment | None = None
            self._coming: Future[HotSegment] | None = None  # the segment after the hot one; it holds no batch
            self._syncer: Syncer | None = None
            if not read_only:
                self._encoder = Encoder(schema)
                self._syncer = Syncer(
                    self.config.fsync_interval_s, self.config.fsync == "interval", self.config.compact_below
                )
                self._mend(found, self._syncer)
                self._sweep(self._syncer)
        except BaseException:
            self._release()
            raise
        self.recovery = Recovery(
            batches=len(self),
            rows=sum(entry.rows for segment in self._segments.values() for entry in segment.live_entries()),
            dropped_bytes=found.dropped_bytes,
            seconds=clock() - began,
            notes=tuple(found.notes),
        )

    def append(
        self, key: Key, batch: pa.RecordBatch, meta: Mapping[str, Any] | None = None
    ) -> tuple[Ack, Position | None]:
        """Store a batch, unless it is stored already or comes from a writer that was replaced.

        When it returns, the batch outlives this process; with `fsync` set to `always` also the machine.

        Args:
            key: who wrote it. Sequence numbers may come in any order.
            batch: of the store's schema, with rows.
            meta: plain JSON values to keep beside it; small.

        Returns:
            What became of it, and where it is if it was stored now.

        Raises:
            StoreForeign: the batch has another schema.
            ValueError: a number of the key is negative, there are no rows, or the meta is no JSON.
            OSError: the disk is full or failed. The batch is not stored, everything before is, and the next `append`
                works as soon as there is room.
        """
        syncer = self._writing()
        key = Key(*key)
        if not all(0 <= number <= _LARGEST for number in key):
            raise ValueError(f"got {key}; expected numbers from 0 to {_LARGEST}")
        if batch.num_rows == 0:
            raise ValueError(f"got a batch without rows under {key}; expected at least one row")
        require_same(batch.schema, self.schema, f"a batch under {key}")
        ack = self._writers.judge(key)
        if ack is not Ack.STORED:
            return ack, None
        syncer.check()
        message = self._encoder.encode(batch, key, meta or {})
        try:
            position = self._write(key, batch.num_rows, message)
        except OSError as error:
            if error.errno != errno.ENOSPC or not self._make_room(syncer):
                raise
            position = self._write(key, batch.num_rows, message)
        self._writers.add(key)
        assert self._hot is not None
        syncer.appended(self._hot)
        if self._coming is None and 2 * self._hot.end > self._hot.capacity:
            self._coming = syncer.make(partial(self._create_segment, self._next, self.config.segment_mb * 2**20))
        return ack, position

    def read(self, position: Position) -> pa.RecordBatch:
        """A live batch. Its columns are views of the mapped file; it stays valid when the batch is dropped meanwhile.

        Raises:
            KeyError: the batch is not live.
        """
        return self._segment(position.segment).read(position.batch)

    def extent(self, position: Position) -> tuple[int, int]:
        """Offset and length of a live batch's message in `mapped(position.segment)`.

        Raises:
            KeyError: the batch is not live.
        """
        entry = self._segment(position.segment).live_entry(position.batch)
        return entry.offset, entry.length

    def mapped(self, segment: int) -> memoryview:
        """The bytes of a segment up to the end of its last batch, mapped and read-only.

        The view stays valid for as long as it is held, also when the segment is deleted. Ask for it and for extents
        anew after `append`, `drop` and `sync`: there may be more batches, and compaction moves them.

        Raises:
            KeyError: no such segment.
        """
        return memoryview(self._segment(segment).content)

    def __iter__(self) -> Iterator[Stored]:
        """The live batches in the order in which they were appended."""
        for number, segment in list(self._segments.items()):
            for index, entry, meta in segment.live():
                yield Stored(Position(number, index), entry.key, entry.rows, meta)

    def __len__(self) -> int:
        """How many batches are live."""
        return sum(len(segment.entries) - len(segment.dead) for segment in self._segments.values())

    def drop(self, positions: Iterable[Position]) -> set[int]:
        """Give up batches that are no longer needed; dropping one again is harmless.

        A segment of which nothing is live is deleted, one of which little is live compacted, in the background.

        Returns:
            Segments that compaction has moved since the last call: what was read from them keeps the old file mapped.

        Raises:
            KeyError: there was never such a batch; none is dropped.
            OSError: the disk is full; some may still be live.
        """
        syncer = self._writing()
        numbers: dict[int, list[int]] = defaultdict(list)
        for position in positions:
            numbers[position.segment].append(position.batch)
        for number, batches in numbers.items():
            segment = self._segments.get(number)
            stored = len(segment.entries) if segment else 0
            if not 0 <= number < self._next or (stored and not 0 <= min(batches) <= max(batches) < stored):
                raise KeyError(f"got batches {batches} of segment {number}; expected some that were stored")
        for number, batches in numbers.items():
            if number in self._segments:
                self._segments[number].bury(batches, durable=self.config.fsync == "always")
                self._unswept.add(number)
        syncer.dropped()
        self._sweep(syncer)
        moved, self._moved = self._moved, set()
        return moved

    def sync(self) -> None:
        """Wait until the disk has everything.

        Raises:
            OSError: the disk failed; what was appended since the last sync is in doubt.
        """
        syncer = self._writing()
        syncer.flush(self._hot)
        self._sweep(syncer)

    def copy_to(self, directory: Path) -> None:
        """Copy the store as it is now, into a directory of its own on the same disk: full segments are linked.

        What is in the copy opens as if this process had been killed at this moment.

        Raises:
            OSError: the disk is full, or failed.
        """
        syncer = self._writing()
        if self._coming is not None:
            wait([self._coming])
        syncer.quietly(lambda: copy_files(self.directory, directory))

    def close(self) -> None:
        """Wait until the disk has everything, and seal what is not sealed; batches that were read stay valid.

        Raises:
            OSError: the disk failed; what was appended since the last sync is in doubt.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._syncer is not None:
                if self._hot is not None:
                    self._end_segment(self._hot)
                self._syncer.finish()
                self._take_coming(_LARGEST)  # takes its files away
                self._make_room(self._syncer)
                self._syncer.close()
                self._syncer.check()
        finally:
            self._segments = {}  # a mapped file keeps its room on the disk, also when it is deleted
            self._release()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def bytes_live(self) -> int:
        """Of batches that are live."""
        return sum(segment.live_bytes for segment in self._segments.values())

    @property
    def bytes_on_disk(self) -> int:
        """Of all batches whose rows are still there."""
        return sum(segment.end for segment in self._segments.values())

    def _writing(self) -> Syncer:
        if self._closed or self._syncer is None:
            state = "closed" if self._closed else "read-only"
            raise ValueError(f"{self.directory}: got a store that is {state}; expected one that is open for writing")
        return self._syncer

    def _segment(self, number: int) -> Segment:
        segment = self._segments.get(number)
        if segment is None and self._closed:
            raise ValueError(f"{self.directory}: got a store that is closed; expected an open one")
        if segment is None:
            raise KeyError(f"segment {number} is not there: it was deleted, or never made")
        return segment

    def _write(self, key: Key, rows: int, message: Sequence[Bytes]) -> Position:
        hot, length = self._hot, sum(map(len, message))
        if hot is None or hot.end + length > hot.capacity:
            hot = self._begin_segment(length)
        return Position(hot.number, hot.append(key, rows, message, durable=self.config.fsync == "always"))

    def _make_room(self, syncer: Syncer) -> bool:
        """Wait until what was dropped has left the disk; whether anything has."""
        made_room = False
        for _ in range(3):  # seal, then delete and compact, then let go of what was copied
            made_room = syncer.settle() or made_room
            self._sweep(syncer)
        return made_room

    def _begin_segment(self, length: int) -> HotSegment:
        if self._hot is not None:
            self._end_segment(self._hot)
        capacity = max(self.config.segment_mb * 2**20, len(header(self.schema)) + length)
        self._hot = self._take_coming(capacity) or self._create_segment(self._next, capacity)
        self._segments[self._next] = self._hot
        self._next += 1
        return self._hot

    def _create_segment(self, number: int, capacity: int) -> HotSegment:
        return HotSegment.create(self.directory, self.schema, number, capacity)

    def _take_coming(self, capacity: int) -> HotSegment | None:
        """The segment whose files were made ahead; None, and no files, where there is none or none so large."""
        coming, self._coming = self._coming, None
        if coming is None:
            return None
        try:
            made = coming.result()
        except OSError:  # there was no room; perhaps there is by now
            return None
        if made.capacity >= capacity:
            return made
        made.discard()
        return None

    def _end_segment(self, hot: HotSegment) -> None:
        hot.writers, self._hot = self._writers.rows(), None
        assert self._syncer is not None
        self._syncer.seal(hot)
        self._sweep(self._syncer)

    def _load(self) -> Loaded:
        for _ in range(_TRIES):
            try:
                return load(self.directory, self.schema)
            except FileNotFoundError as error:
                missing = error  # the writer has sealed or deleted a segment meanwhile
        raise missing

    def _mend(self, found: Loaded, syncer: Syncer) -> None:
        """Finish what a crash interrupted: remove what is left over, cut the tails of hot segments, seal them."""
        for path in found.leftovers:
            path.unlink()
        writers, hots = Writers(), []
        for segment in found.segments:
            segment.trim_dead()
            if segment.sealed:
                writers = Writers(segment.writers)
                continue
            hot = HotSegment.reopen(segment, found.capacities[segment.number])
            for entry in hot.entries:
                writers.add(entry.key)
            hot.writers = writers.rows()
            hots.append(hot)
            self._segments[hot.number] = hot
        syncer.recover(hots)
        self._writers = writers

    def _sweep(self, syncer: Syncer) -> None:
        """Delete the sealed segments of which nothing is live, compact those of which little is; the syncer does it."""
        for segment, copy in syncer.done():
            segment.sealed = True
            self._moving.discard(segment.number)
            if copy is not None:
                old = segment.path
                segment.replace(copy)
                self._moved.add(segment.number)
                syncer.remove(old)  # it is not mapped any more: else its pages would be freed here, later
        sealed = {number for number, segment in self._segments.items() if segment.sealed}
        for number in sorted((self._unswept & sealed) - self._moving):
            segment = self._segments[number]
            if segment.all_dead and number < max(sealed):  # the newest one keeps the table of writers
                del self._segments[number]
                self._unswept.discard(number)
                segment.unmap()
                syncer.delete(segment)
            elif segment.reclaimable_share > 1 - self.config.compact_below:
                self._moving.add(number)
                syncer.compact(segment)
            elif not segment.all_dead:
                self._unswept.discard(number)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def open_store(directory: Path) -> Store:
    """An existing store, to be read; its schema comes from disk.

    Raises:
        StoreCorrupt: what is there is not what was written.
        StoreForeign: it is no store, or one of a newer version.
        OSError: it cannot be read.
    """
    return Store(directory, read_description(Path(directory)), read_only=True)
