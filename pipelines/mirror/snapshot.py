"""A run directory as it is at one instant, in a folder beside it: what does not change is linked, the rest copied.

Stores of rows and verdicts are copied by who owns them (`Store.copy_to`), and what remains by whoever writes it, the
run itself, in the same moment. So a snapshot holds no more and no less than the run would if it were killed then.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from envs.storage.copying import copy_unowned
from pipelines.run_directory import LOGS, MODELS, RunDirectory

STAGING = ".mirror"
STORES = ("replay", "verdicts")


def copy_rest(directory: RunDirectory, to: Path, logs: bool) -> None:
    """All of a run but its stores, which somebody else copies.

    Args:
        directory: of the run.
        to: the snapshot.
        logs: whether to copy logs, which change from one snapshot to the next and which nobody needs to go on.

    Raises:
        OSError: the disk is full, or failed.
    """
    for entry in os.scandir(directory.root):
        if entry.name in STORES or _left_out(entry.name) or (entry.name == LOGS and not logs):
            continue
        if entry.is_dir(follow_symlinks=False):
            _copy_folder(Path(entry.path), to / entry.name, link=entry.name in (directory.checkpoints.name, MODELS))
        elif entry.is_file(follow_symlinks=False):
            shutil.copyfile(entry.path, to / entry.name)


def copy_unowned_stores(directory: RunDirectory, to: Path) -> None:
    """The stores of a run whose processes have ended.

    Raises:
        StoreBusy: one of them has not.
        OSError: the disk is full, or failed.
    """
    if (directory.verdicts / "store.json").is_file():
        copy_unowned(directory.verdicts, to / "verdicts")
    for rows in directory.shards():
        share = to / "replay" / rows.parent.name
        copy_unowned(rows, share / "rows")
        _copy_folder(rows.parent / "decisions", share / "decisions", link=False)


def _copy_folder(source: Path, to: Path, link: bool) -> None:
    """A folder; what is never written to again is linked where the file system can do that."""
    to.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(source):
        if _left_out(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            _copy_folder(Path(entry.path), to / entry.name, link)
        elif entry.is_file(follow_symlinks=False):
            if link:
                try:
                    os.link(entry.path, to / entry.name, follow_symlinks=False)
                    continue
                except OSError:  # a file system without hard links
                    pass
            shutil.copyfile(entry.path, to / entry.name)


def _left_out(name: str) -> bool:
    return name.startswith(".") or name.endswith((".tmp", ".partial"))
