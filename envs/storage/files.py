"""Files of a store: opened without following links, replaced in one piece, each byte under a checksum."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zlib_ng.zlib_ng import crc32 as _crc32  # the CRC-32 of zlib, ten times as fast

from envs.storage.errors import StoreCorrupt

Bytes = bytes | bytearray | memoryview

_PREFIX, _SUFFIX = b'{"crc32": "', b'",\n'
_HEAD = len(_PREFIX) + 8 + len(_SUFFIX)


def crc32(parts: Sequence[Bytes]) -> int:
    """CRC-32 (as in zlib, PNG and Ethernet) of the parts one behind another."""
    value = 0
    for part in parts:
        value = int(_crc32(part, value))
    return value


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a regular file.

    Args:
        path: of a file that the store named itself.
        flags: as of `os.open`; links are never followed, and opening never blocks.

    Raises:
        StoreCorrupt: it is a link, a folder, a pipe or a device.
        OSError: it is missing or may not be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError:
        if path.is_symlink():
            raise StoreCorrupt(f"{path}: got a symbolic link; expected a regular file of the store") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreCorrupt(f"{path}: got a folder, a pipe or a device; expected a regular file of the store")
    return descriptor


def read_file(path: Path) -> bytes:
    """All bytes of a regular file."""
    with open(open_file(path, os.O_RDONLY), "rb") as file:
        return file.read()


def write_at(descriptor: int, parts: Sequence[Bytes], offset: int) -> int:
    """Write the parts one behind another, whole.

    Returns:
        The offset behind them.

    Raises:
        OSError: the disk is full, or another limit is reached; some of it may have been written.
    """
    for part in parts:
        view = memoryview(part).cast("B")
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
    return offset


def sync_file(descriptor: int) -> None:
    """Wait until the disk has the content of a file."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # macOS: fsync leaves it in the drive's cache
    else:
        os.fdatasync(descriptor)


def reserve(descriptor: int, size: int) -> None:
    """Grow an empty file to its size, with room on the disk where there is enough: writing takes a third less then.

    Raises:
        OSError: not even an empty file can be so large.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError:  # too little room, or no such thing on this disk: each write finds out by itself
            os.ftruncate(descriptor, 0)
    os.ftruncate(descriptor, size)


def content_end(descriptor: int, offset: int) -> int:
    """Where the content behind `offset` ends; `offset` where there are only zeros, such as a file grown in advance."""
    end, size = offset, os.fstat(descriptor).st_size
    while offset < size:
        try:
            offset = os.lseek(descriptor, offset, os.SEEK_DATA)  # steps over holes unread
        except OSError:
            break  # nothing but a hole
        chunk = os.pread(descriptor, 2**20, offset)
        if content := chunk.rstrip(b"\0"):
            end = offset + len(content)
        offset += len(chunk)
    return end


def sync_directory(directory: Path) -> None:
    """Make names durable: files that were created, renamed or deleted in the directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, parts: Sequence[Bytes]) -> None:
    """Write a file in one piece: it has its old content (or is missing), or all of the new one, durably.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    partial = path.with_name(f"{path.name}.partial")
    descriptor = open_file(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        try:
            write_at(descriptor, parts, 0)
            sync_file(descriptor)
        finally:
            os.close(descriptor)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """A JSON object whose first member is the CRC-32 of all bytes after the first line.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    rest = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))[1:].encode() + b"\n"
    replace_file(path, [_PREFIX, b"%08x" % crc32([rest]), _SUFFIX, rest])


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote, without its checksum.

    Raises:
        StoreCorrupt: a byte is not what was written.
        OSError: the file is missing or may not be opened.
    """
    data = read_file(path)
    head, rest = data[:_HEAD], data[_HEAD:]
    if head != _PREFIX + b"%08x" % crc32([rest]) + _SUFFIX:
        raise StoreCorrupt(f"{path}: {len(data)} bytes do not match their checksum; restore the file from a copy")
    value: dict[str, Any] = json.loads(b"{" + rest)
    return value
