"""One copy of a library's code in memory, for libraries that are loaded once for each environment.

NLE loads a copy of NetHack for each game, because the game lives in global variables. What differs between the copies
are these variables; their 2.6 MB of code and constants are the same. Games that take turns push each other's out of the
processor's cache: with 64 games in a process a step took 71 µs, and 44 µs where the code is shared.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_SAME: set[tuple[str, int, int]] = set()  # stretches of libraries that were found to be as in the file
_READ, _EXECUTE, _PRIVATE, _FIXED = 1, 4, 2, 16  # of Linux's mmap


def share_code(copy: int, library: str) -> int:
    """Map what a loaded copy of a library never changes from the library's own file, which all copies then share.

    Only stretches that cannot be written, and in the first copy were equal to the file's byte by byte, are mapped anew.
    Elsewhere than on Linux nothing is done.

    Args:
        copy: file descriptor of the copy that was loaded; nothing in it may be running.
        library: path of what it is a copy of.

    Returns:
        How many bytes are shared now.
    """
    if not sys.platform.startswith("linux"):
        return 0
    inode, shared = os.fstat(copy).st_ino, 0
    with open(library, "rb") as file:
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, access, offset_text, _, found, *_ = line.split(maxsplit=5)
            if int(found) != inode or "w" in access or "r" not in access:
                continue
            begin, end = (int(number, 16) for number in span.split("-"))
            offset, size = int(offset_text, 16), end - begin
            if (library, offset, size) not in _SAME:
                file.seek(offset)
                if file.read(size) != ctypes.string_at(begin, size):
                    continue
                _SAME.add((library, offset, size))
            shared += _map(begin, size, "x" in access, file.fileno(), offset)
    return shared


def _map(begin: int, size: int, executable: bool, file: int, offset: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    protection = _READ | (_EXECUTE if executable else 0)
    return size if libc.mmap(begin, size, protection, _PRIVATE | _FIXED, file, offset) == begin else 0
