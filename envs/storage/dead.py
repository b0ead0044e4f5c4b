"""Which batches of a segment are no longer needed: a file of small records beside it, deleted together with it."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from envs.storage.errors import StoreCorrupt
from envs.storage.files import crc32, open_file, read_file, sync_directory, sync_file, write_at
from envs.storage.segment_files import dead_path

_RECORD = struct.Struct("<II")


class Dead(NamedTuple):
    """The dead batches of a segment by index, where the file's last whole record ends, and what a crash cut short."""

    numbers: set[int]
    end: int
    notes: list[str]


def read_dead(directory: Path, segment: int) -> Dead:
    """The dead batches of a segment.

    Raises:
        StoreCorrupt: a record is not what was written.
    """
    path = dead_path(directory, segment)
    try:
        data = read_file(path)
    except FileNotFoundError:
        data = b""
    numbers: set[int] = set()
    for start in range(0, len(data), _RECORD.size):
        if len(data) - start < _RECORD.size or not any(data[start:]):
            note = f"{path.name}: {len(data) - start} bytes behind the last whole record: a drop was cut short"
            return Dead(numbers, start, [note])
        number, check = _RECORD.unpack_from(data, start)
        if check != _check(segment, number):
            raise StoreCorrupt(
                f"{path}: the record at byte {start} does not match its checksum; restore it from a copy"
            )
        numbers.add(number)
    return Dead(numbers, len(data), [])


def trim_dead(directory: Path, segment: int, at: int) -> None:
    """Take away what lies behind the last whole record, at byte `at`."""
    try:
        descriptor = open_file(dead_path(directory, segment), os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        os.ftruncate(descriptor, at)
    finally:
        os.close(descriptor)


def append_dead(directory: Path, segment: int, numbers: Sequence[int], at: int, durable: bool) -> int:
    """Note dead batches behind the last whole record, at byte `at`.

    Returns:
        Where the last record ends now.

    Raises:
        OSError: the disk is full; none of them is noted.
    """
    descriptor = open_file(dead_path(directory, segment), os.O_WRONLY | os.O_CREAT)
    try:
        os.ftruncate(descriptor, at)
        try:
            records = [_RECORD.pack(number, _check(segment, number)) for number in numbers]
            end = write_at(descriptor, [b"".join(records)], at)
            if durable:
                sync_file(descriptor)
        except OSError:
            os.ftruncate(descriptor, at)
            raise
    finally:
        os.close(descriptor)
    if durable and at == 0:
        sync_directory(directory)
    return end


def _check(segment: int, number: int) -> int:
    return crc32([struct.pack("<QI", segment, number)])
