"""How a run begins, goes on from what it saved, is asked to stop, and what is said of its failure."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import yaml
from pydantic import BaseModel

from cluster.events import RoleFailing
from envs.contract import ContractViolation
from envs.storage.errors import StoreBusy, StoreCorrupt, StoreForeign
from learners.descent import LearningDiverged
from pipelines.display import Display
from pipelines.errors import Unfinished, UserError
from pipelines.run_directory import RunDirectory

DRAIN = "the drain of the driver's node"
"""Why a run stops where nobody asked it to."""


class Restored(NamedTuple):
    """What a run goes on from.

    Attributes:
        roles: state of each role.
        frontier: of each share of the replay, the number of the next draw that the learner has not learnt from.
        mlflow_run: to go on with.
    """

    roles: Mapping[str, Any]
    frontier: tuple[int, ...]
    mlflow_run: str | None


class Stoppable(Protocol):
    """A run that can be asked to stop.

    Attributes:
        stopping: the name of the signal that asked, or why else it is to stop; None: it goes on.
        display: what people see.
    """

    stopping: str | None
    display: Display


class Resumable(Protocol):
    """A run that can go on from its newest checkpoint."""

    directory: RunDirectory
    display: Display

    def restore(self) -> Restored:
        """Read it."""


def restored_or_left(run: Resumable) -> Restored:
    """What a run goes on from; where it cannot, its directory is left as it is, before anything was written.

    Raises:
        UserError: there is no checkpoint, or it is of another experiment.
    """
    try:
        return run.restore()
    except BaseException:
        run.display.close()
        run.directory.unlock()
        raise


def told_of_disk(error: OSError, directory: RunDirectory) -> UserError | None:
    """What a person can mend of a disk that failed while a run went on; None where it is something else."""
    go_on = f"go on with resume={directory.root}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"no space is left below {directory.root}; make room and {go_on}")
    if error.errno in (errno.EIO, errno.ESTALE, errno.EROFS):
        what = f"{error.filename or directory.root}: {error.strerror}"
        return UserError(f"the disk of the run, or the server behind it, fails ({what}); mend or mount it and {go_on}")
    if error.errno in (errno.EACCES, errno.EPERM):
        what = error.filename or f"something below {directory.root}"
        return UserError(f"{what} cannot be read or written: {error.strerror}; mend that and {go_on}")
    return None


def raise_for_people(error: Exception, directory: RunDirectory) -> None:
    """Say what a person can mend in one line, with the remedy; whatever else is no error of theirs, and is left.

    Args:
        error: that ended the run.
        directory: of the run.

    Raises:
        UserError: instead of the error.
    """
    if isinstance(error, (StoreBusy, StoreCorrupt, StoreForeign)):
        raise UserError(f"{error}; `guerdon replay verify {directory.root}` says more") from error
    if isinstance(error, (ContractViolation, LearningDiverged, RoleFailing, ConnectionError)):
        raise UserError(str(error)) from error
    if isinstance(error, OSError) and (told := told_of_disk(error, directory)) is not None:
        raise told from error


def write_config(experiment: BaseModel, directory: RunDirectory) -> None:
    """Write the resolved experiment, at once or not at all: without it a run is lost."""
    temporary = directory.config.with_suffix(".tmp")
    temporary.write_text(yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False))
    os.replace(temporary, directory.config)


@contextmanager
def graceful_stop(run: Stoppable) -> Iterator[None]:
    """SIGTERM and Ctrl-C ask the run to save and stop; a Ctrl-C after that is obeyed at once.

    A second SIGTERM asks for what is under way: a supervisor and those above it may each send one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        if run.stopping is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        run.stopping = name = signal.Signals(number).name
        # Said by a thread: whatever the display is at when the signal comes, it can finish first.
        text = f"{name}: the run saves and stops; Ctrl-C now, and it stops at once"
        threading.Thread(target=run.display.say, args=(text,), name="stopping", daemon=True).start()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell_stop(run: Stoppable, saved_at: str, directory: RunDirectory, say: Callable[[str], None]) -> None:
    """Say that a run was stopped before its end, and how to go on; nothing where it was not.

    Args:
        run: that has ended, and is saved.
        saved_at: how far it was.
        directory: of the run.
        say: tells it.

    Raises:
        Unfinished: nobody asked it to stop.
    """
    if run.stopping is None:
        return
    text = f"stopped by {run.stopping}; saved at {saved_at}: go on with resume={directory.root}"
    if run.stopping == DRAIN:
        raise Unfinished(text)
    say(text)
