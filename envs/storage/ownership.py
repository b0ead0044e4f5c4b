"""Who owns a store: one process at a time, by a lock that the system takes back when the process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from envs.storage.errors import StoreBusy, StoreForeign


def claim(directory: Path) -> int:
    """Make the directory where it is missing, and be its only writer until the descriptor is closed.

    Raises:
        StoreForeign: it is a link, or no directory.
        StoreBusy: it has a writer.
    """
    if not os.path.lexists(directory):
        directory.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise StoreForeign(f"{directory}: got a link or a file; expected a directory of its own") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreBusy(
            f"{directory}: another writer has it open; expected one at a time: stop the other run"
        ) from None
    return descriptor
