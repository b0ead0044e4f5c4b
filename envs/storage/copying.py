"""A copy of a store as it is at one instant: full segments by hard links, what still grows byte by byte.

A store survives the death of its process at any instant, and so it survives being copied at one. What is needed is
that nothing moves meanwhile: the owner copies between two of its own steps (`Store.copy_to`), anybody else while
nobody owns it (`copy_unowned`).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from envs.storage.errors import StoreBusy
from envs.storage.files import content_end, open_file
from envs.storage.ownership import claim
from envs.storage.segment_files import is_final

_CHUNK = 2**20


def copy_files(directory: Path, to: Path) -> None:
    """Copy the files of a directory, none of its folders, into one that is new; nobody may write meanwhile.

    Zeros at the end of a file, which was grown in advance, are a hole in the copy.

    Raises:
        StoreCorrupt: a name is a link or no regular file.
        OSError: the disk is full, or failed.
    """
    if to.exists():
        shutil.rmtree(to)
    to.mkdir(parents=True)
    names = sorted(entry.name for entry in os.scandir(directory) if not entry.is_dir(follow_symlinks=False))
    for name in names:
        if name.endswith(".partial"):
            continue
        if is_final(name, names):
            try:
                os.link(directory / name, to / name, follow_symlinks=False)
                continue
            except OSError:  # a file system without hard links, or another one
                pass
        _copy(directory / name, to / name)


def copy_unowned(
    directory: Path,
    to: Path,
    wait_s: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """The same of a store that has no owner any more; who is just dying is waited for.

    Raises:
        StoreBusy: it still has one after `wait_s`.
        OSError: as above.
    """
    deadline = clock() + wait_s
    while True:
        try:
            lock = claim(directory)
            break
        except StoreBusy:
            if clock() > deadline:
                raise
            sleep(0.1)
    try:
        copy_files(directory, to)
    finally:
        os.close(lock)


def _copy(source: Path, to: Path) -> None:
    with open(open_file(source, os.O_RDONLY), "rb") as file, to.open("xb") as copy:
        size, rest = os.fstat(file.fileno()).st_size, content_end(file.fileno(), 0)
        file.seek(0)
        while rest > 0 and (chunk := file.read(min(_CHUNK, rest))):
            copy.write(chunk)
            rest -= len(chunk)
        copy.truncate(size)
