"""The index of a segment that is being written: a header, then one record of fixed size for each batch.

A batch is stored once its record is. Each record bears a checksum of itself and one of its batch, and says how many
batches before it were on disk for certain when it was written: what is damaged below that was not cut short by a crash.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from envs.storage.files import crc32
from envs.storage.writers import Key

MAGIC = b"GUERDIX1"
_HEADER = struct.Struct("<8sQQII")
_RECORD = struct.Struct("<QQQQQQQII")
HEADER_BYTES = _HEADER.size + 4
RECORD_BYTES = _RECORD.size


class Entry(NamedTuple):
    """Where a batch lies in its segment, whose it is, and what its bytes must give."""

    offset: int
    length: int
    rows: int
    actor: int
    epoch: int
    sequence: int
    crc32: int

    @property
    def key(self) -> Key:
        """Who wrote it."""
        return Key(self.actor, self.epoch, self.sequence)

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + self.length


class Header(NamedTuple):
    """What holds for the whole segment: its number, the size of its file while it is written, and its first bytes."""

    number: int
    capacity: int
    length: int
    crc32: int


def pack_header(header: Header) -> bytes:
    """The beginning of an index."""
    packed = _HEADER.pack(MAGIC, *header)
    return packed + struct.pack("<I", crc32([packed]))


def pack_record(entry: Entry, synced: int) -> bytes:
    """One record; `synced` batches of the segment are on disk for certain."""
    packed = _RECORD.pack(*entry[:6], synced, entry.crc32, 0)[:-4]
    return packed + struct.pack("<I", crc32([packed]))


def unpack_header(data: bytes) -> Header | None:
    """The header; None where it is not what was written."""
    packed, check = data[: _HEADER.size], data[_HEADER.size : HEADER_BYTES]
    if len(check) < 4 or struct.pack("<I", crc32([packed])) != check:
        return None
    magic, *values = _HEADER.unpack(packed)
    return Header(*values) if magic == MAGIC else None


def unpack_records(data: bytes) -> list[tuple[Entry, int] | None]:
    """Entry and `synced` of each whole record; None for one that is not what was written."""
    found: list[tuple[Entry, int] | None] = []
    for start in range(HEADER_BYTES, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
        packed = data[start : start + RECORD_BYTES]
        *values, synced, crc, check = _RECORD.unpack(packed)
        found.append((Entry._make([*values, crc]), synced) if crc32([packed[:-4]]) == check else None)
    return found
