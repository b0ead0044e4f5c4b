"""`Journal`: the decisions of a replay on disk, so that they hold after a crash.

One file of frames: length, CRC-32, kind, whole numbers, arrays. Writing a frame is one system call and costs
microseconds. A frame that was cut short or changed ends the journal: it and what follows are cut off when it is
opened. When a file has grown, a new one is begun with a frame that holds everything, and takes its place at once.
"""

from __future__ import annotations

import os
import re
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.storage.files import crc32, open_file, read_file, replace_file, sync_directory, write_at

MAGIC = b"GRDNJRN1"
NAME = re.compile(r"journal-(\d{9})")
BEGIN_ANEW = 4 * 2**20
_HEAD, _ARRAY = struct.Struct("<II"), struct.Struct("<BI")
_TYPES = ("i8", "f8", "u1", "?")
_CODES = {np.dtype(name): code for code, name in enumerate(_TYPES)}


class Kind(IntEnum):
    """What a frame says."""

    SNAPSHOT = 0
    INSERT = 1
    REFUSE = 2
    SAMPLE = 3
    RELEASE = 4
    REMOVE = 5
    GIVE_UP = 6
    PRIORITISE = 7


class Frame(NamedTuple):
    """One decision.

    Attributes:
        kind: of decision.
        numbers: whole ones.
        arrays: of whole numbers, doubles, bytes or booleans, `[n]` each.
    """

    kind: Kind
    numbers: tuple[int, ...] = ()
    arrays: tuple[NDArray[Any], ...] = ()


class JournalForeign(ValueError):
    """A file that is no journal, or one of a newer version."""


@cache
def _numbers(count: int) -> struct.Struct:
    return struct.Struct(f"<BBB{count}q")


def encode(frame: Frame) -> bytes:
    """The bytes of a frame, its length and CRC before them."""
    kind, numbers, arrays = frame
    parts = [_numbers(len(numbers)).pack(kind, len(numbers), len(arrays), *numbers)]
    for array in arrays:
        parts += (_ARRAY.pack(_CODES[array.dtype], len(array)), array.tobytes())
    body = b"".join(parts)
    return _HEAD.pack(len(body), crc32([body])) + body


def decode(body: bytes) -> Frame:
    """What `encode` was given, from the bytes behind the CRC."""
    kind, numbers, arrays = struct.unpack_from("<BBB", body)
    values = struct.unpack_from(f"<{numbers}q", body, 3)
    at, found = 3 + 8 * numbers, []
    for _ in range(arrays):
        code, length = struct.unpack_from("<BI", body, at)
        array = np.frombuffer(body, _TYPES[code], length, at + 5)
        at += 5 + array.nbytes
        found.append(array)
    return Frame(Kind(kind), values, tuple(found))


def frames(data: bytes) -> Iterator[tuple[Frame, int]]:
    """The whole frames of a journal file, each with the offset behind it."""
    at = len(MAGIC)
    while at + _HEAD.size <= len(data):
        length, crc = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(body) < length or crc32([body]) != crc:
            return
        at += _HEAD.size + length
        yield decode(body), at


class Journal:
    """Appends frames to the newest journal file of a folder; one owner, who holds the lock of the store beside it."""

    def __init__(
        self,
        directory: Path,
        fsync: Literal["always", "interval", "none"] = "interval",
        fsync_interval_s: float = 1.0,
    ) -> None:
        """Open the journal, or begin one; `recovered` is what it holds.

        Args:
            directory: of the journal, made where it is missing.
            fsync: what `write` waits for.
            fsync_interval_s: with `interval`, seconds between a write and the sync that covers it.

        Raises:
            JournalForeign: a file there has a journal's name and is none.
        """
        self._directory, self._fsync, self._interval_s = directory, fsync, fsync_interval_s
        directory.mkdir(parents=True, exist_ok=True)
        numbers = sorted(int(match[1]) for path in directory.iterdir() if (match := NAME.fullmatch(path.name)))
        self._number = numbers[-1] if numbers else 0
        if not numbers:
            replace_file(self._path(0), [MAGIC])
        data = read_file(self._path(self._number))
        if data[: len(MAGIC)] != MAGIC:
            raise JournalForeign(
                f"{self._path(self._number)}: got a file that begins with {data[:8]!r}; expected {MAGIC!r}: it is no "
                "journal of this version, use the release that wrote it"
            )
        whole = list(frames(data))
        self.recovered: list[Frame] = [frame for frame, _ in whole]
        self._end = whole[-1][1] if whole else len(MAGIC)
        self.dropped_bytes = len(data) - self._end
        self._least = BEGIN_ANEW
        self._file = open_file(self._path(self._number), os.O_WRONLY)
        os.ftruncate(self._file, self._end)
        self._late = b""  # frames that found no room on the disk and can be found out again without it
        self._unsynced = False
        self._waits, self._hurry = False, threading.Event()  # whether a sync waits for its time, and is to wait no more
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="journal-sync")
        self._syncing: Future[None] = self._worker.submit(lambda: None)  # the sync that was begun last
        for number in numbers[:-1]:  # of a process that died between two steps of `begin_anew`
            self._path(number).unlink()

    def _path(self, number: int) -> Path:
        return self._directory / f"journal-{number:09d}"

    @property
    def has_grown(self) -> bool:
        """Whether it is time to begin anew."""
        return self._end > self._least

    def write(self, *decisions: Frame, may_be_late: bool = False) -> None:
        """Append frames.

        Args:
            decisions: hold to them only once this returns.
            may_be_late: they follow from the store, so that a disk without room for them is no reason to fail.

        Raises:
            OSError: the disk is full; the journal is as it was.
        """
        if self._syncing.done():
            self._syncing.result()
        data = self._late + b"".join(map(encode, decisions))
        try:
            self._end = write_at(self._file, [data], self._end)
        except OSError:
            if not may_be_late:
                raise
            self._late = data
            return
        self._late = b""
        self._unsynced = True
        if self._fsync == "always" and not may_be_late:
            self.sync()
        elif self._fsync == "interval" and not self._waits:
            self._waits = True
            self._hurry.clear()
            self._submit(self._interval_s)

    def begin_sync(self) -> Future[None]:
        """What is done when everything written so far is on the disk; with the policy `none`, at once."""
        if self._unsynced and self._fsync != "none":
            self._hurry.set()
            self._submit(0.0)
        self._unsynced = False
        return self._syncing

    def _submit(self, wait_s: float) -> None:
        """Have the worker sync what is written by then; one that waits leaves it to the next where that is begun."""
        file, before = self._file, self._syncing

        def sync() -> None:
            before.result()  # what failed once has failed for good: the disk may have lost what it was given
            if wait_s:
                hurried = self._hurry.wait(wait_s)
                self._waits = False  # what is written from here on may come too late for this sync
                if hurried:
                    return
            os.fsync(file)

        self._syncing = self._worker.submit(sync)

    def sync(self) -> None:
        """Wait until everything written is on the disk, unless the policy is `none`.

        Raises:
            OSError: the disk failed; which decisions it has is in doubt.
        """
        self.begin_sync().result()

    def begin_anew(self, snapshot: Frame) -> None:
        """Go on in a new file, which begins with `snapshot`.

        Args:
            snapshot: all that the frames so far come to.

        Raises:
            OSError: it could not be written; the old file goes on.
        """
        self.sync()
        data, old, fresh = MAGIC + encode(snapshot), self._path(self._number), self._path(self._number + 1)
        try:
            replace_file(fresh, [data])
            file = open_file(fresh, os.O_WRONLY)
        except OSError:
            fresh.unlink(missing_ok=True)  # or it would be taken for all there is when this is opened
            raise
        os.close(self._file)
        self._file, self._number = file, self._number + 1
        self._end, self._least, self._late = len(data), max(BEGIN_ANEW, 4 * len(data)), b""
        old.unlink()
        sync_directory(self._directory)

    def copy_to(self, directory: Path) -> None:
        """Copy what was written so far into a new directory; it opens as if this process had been killed now.

        Raises:
            OSError: the disk is full, or failed.
        """
        directory.mkdir(parents=True, exist_ok=True)
        (directory / self._path(self._number).name).write_bytes(read_file(self._path(self._number)))

    def close(self) -> None:
        """Sync and close; closing twice is harmless."""
        if self._file >= 0:
            try:
                if self._late:
                    self._end = write_at(self._file, [self._late], self._end)
                self.sync()
            finally:
                self._worker.shutdown(wait=True)
                os.close(self._file)
                self._file = -1
