"""`run=NAME`: a run that is made where it is not there, and gone on with where it is.

The same command started again, after a crash, a pre-emption or on purpose, continues at the frontier of the newest
whole checkpoint.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.run_directory import NAME, RunBusy, RunDirectory

LET_GO_S = 90.0  # how long a driver that lost its cluster may take to die


def continued(
    runs: Path,
    name: str,
    wait_s: float = LET_GO_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """The run to go on with, by its path; None where it is to be made.

    What was begun and never saved is moved aside, not deleted.

    Args:
        runs: folder of runs.
        name: of the run.
        wait_s: how long another process may still write there.
        clock: in seconds.
        sleep: waits that many seconds.

    Raises:
        UserError: it is no name, or another process writes there.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"got run={name!r}; expected letters, digits, '.', '_' and '-'")
    root = runs / name
    if not root.exists() and not root.is_symlink():
        return None
    with when_let_go(root, wait_s, clock, sleep) as directory:
        if directory.config.is_file() and checkpoint.numbers(directory.checkpoints):
            return str(root)
        move_aside(root, "unsaved")
        return None


@contextmanager
def when_let_go(
    root: Path,
    wait_s: float = LET_GO_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[RunDirectory]:
    """A run that is there, locked as soon as nobody else writes to it; unlocked at the end of the block.

    Raises:
        UserError: it is a link, or another process writes there for longer than `wait_s`.
    """
    if root.is_symlink():
        raise UserError(f"{root} is a link; expected a folder, or nothing: name the run itself")
    directory, deadline = RunDirectory(root), clock() + wait_s
    while True:
        try:
            directory.lock()
            break
        except RunBusy:
            if clock() > deadline:
                raise
            sleep(1.0)
    try:
        yield directory
    finally:
        directory.unlock()


def move_aside(root: Path, why: str) -> Path:
    """Rename a run to `NAME.WHY-1`, or the next number that is free; gives where it is now."""
    number = 1
    while (aside := root.with_name(f"{root.name}.{why}-{number}")).exists():
        number += 1
    os.rename(root, aside)
    return aside
