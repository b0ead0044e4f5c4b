"""Structured logs: each role of a run writes JSON lines to a file of its own, rotated, without secrets.

```
{"time": "2026-01-31T12:00:00.125Z", "level": "INFO", "run": "rooms", "role": "env-actor-3", "pid": 4711,
 "logger": "pipelines.environment.roles", "message": "rollout", "trajectory": "3-0-118", "frames": 512}
```

A process opens its log once (`open_log`): the driver for itself, a host for the role that it hosts. What is said
through `logging` goes there: all of ours from INFO on, of libraries what is a warning. `about` says which trajectory
or request what follows is about. Processes of one role may share a file: a line is one write, and who finds the file
too large renames it under a lock.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.secrecy import redacted

OURS = ("actors", "cluster", "envs", "learners", "pipelines", "rewards")
LONGEST = 20_000  # characters of a message or a traceback
LOCK_S = 0.2  # how long a line waits for another process that begins a new file
RETRY_S = 5.0  # and how long nobody waits after that was in vain: lines go into the full file meanwhile

_about: ContextVar[Mapping[str, Any]] = ContextVar("about", default={})  # noqa: B039  # never changed in place
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@dataclass(frozen=True)
class LogPlace:
    """Where the roles of a run log.

    Attributes:
        folder: of the files; made where it is missing. On a node that does not share it, it is that node's own.
        run: name of the run.
        level: of our own messages; libraries' are kept from WARNING on.
        max_mb: size at which a file is renamed to `ROLE.jsonl.1`, and so on.
        kept: files of a role besides the one that is written.
    """

    folder: str
    run: str
    level: str = "INFO"
    max_mb: float = 10.0
    kept: int = 3


_place: LogPlace | None = None


def place_of_logs() -> LogPlace | None:
    """Where this process logs, for the roles that it starts; None: nowhere."""
    return _place


@contextmanager
def about(**ids: Any) -> Iterator[None]:
    """What is logged in the block, in this thread or task, carries these fields, such as `trajectory` or `request`."""
    token = _about.set({**_about.get(), **ids})
    try:
        yield
    finally:
        _about.reset(token)


def open_log(place: LogPlace | None, role: str) -> None:
    """From now on this process logs as a role; with None it does not.

    A place that cannot be written costs the log and not the role: it is said on standard error, once.
    """
    global _place
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, JsonLines)]:
        root.removeHandler(handler)
        handler.close()
    _place = place
    if place is None:
        return
    try:
        added = JsonLines(place, role)
    except OSError as error:
        print(f"guerdon: {role} does not log: {place.folder}: {error.strerror}", file=sys.stderr)
        return
    root.addHandler(added)
    for name in OURS:
        logging.getLogger(name).setLevel(place.level)


def ident(key: Sequence[int]) -> str:
    """The id of a trajectory, by who wrote it: actor, epoch and sequence number."""
    return "-".join(map(str, key))


@contextmanager
def logging_as(place: LogPlace, role: str) -> Iterator[None]:
    """This process, and the roles that it starts, log there for the duration of the block."""
    open_log(place, role)
    try:
        yield
    finally:
        open_log(None, role)


class JsonLines(logging.Handler):
    """Appends records to a file that several processes may share."""

    def __init__(self, place: LogPlace, role: str) -> None:
        """Open the file of a role.

        Raises:
            OSError: it cannot be written.
        """
        super().__init__(logging.DEBUG)
        self._place, self._role = place, role
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", role)[:100] or "role"
        self.path = Path(place.folder) / f"{name}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lost = 0  # records that could not be written
        self._next_try = 0.0  # when a full file that another process holds is looked at again
        self._file = self._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as one line; what cannot be written is counted and lost."""
        if record.levelno < logging.WARNING and record.name.partition(".")[0] not in OURS:
            return
        try:
            line = self.format(record).encode()
            self._rotate(len(line))
            os.write(self._file, line)
        except (OSError, ValueError, TypeError):
            self.lost += 1

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        milliseconds = int(record.created * 1000)
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
        line: dict[str, Any] = {
            "time": f"{when}.{milliseconds % 1000:03d}Z",
            "level": record.levelname,
            "run": self._place.run,
            "role": self._role,
            "pid": record.process,
            "logger": record.name,
            "message": _clean(record.getMessage()),
        }
        # What begins with an underscore is a library's own, such as Ray's stamp on every record.
        extra = {key: value for key, value in vars(record).items() if key not in _PLAIN and not key.startswith("_")}
        line |= {key: _plain(value) for key, value in {**_about.get(), **extra}.items() if key not in line}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = _clean(logging.Formatter().formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False) + "\n"

    def close(self) -> None:
        """Close the file."""
        super().close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self.path, flags, 0o644)

    def _rotate(self, coming: int) -> None:
        """Go on in a new file where this one is full, or where another process has done so."""
        if self._is_current() and os.fstat(self._file).st_size + coming <= self._place.max_mb * 2**20:
            return
        if not self._locked():
            return
        try:
            if self._is_current():  # nobody was faster
                for number in range(self._place.kept, 0, -1):
                    source = self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
                    with suppress(FileNotFoundError):
                        os.replace(source, self.path.with_name(f"{self.path.name}.{number}"))
                if not self._place.kept:
                    self.path.unlink()
            opened = self._open()
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)
        self._file = opened

    def _locked(self) -> bool:
        """Take the lock of who begins a new file; one who stands still with it is waited for shortly, and seldom."""
        if time.monotonic() < self._next_try:
            return False
        deadline = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self._next_try = time.monotonic() + RETRY_S
                    return False
                time.sleep(0.001)

    def _is_current(self) -> bool:
        try:
            there, mine = os.stat(self.path), os.fstat(self._file)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _clean(text: str) -> str:
    return redacted(text[:LONGEST])


def _plain(value: Any) -> Any:
    """A field as JSON has it; NaN and infinity are none there."""
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Mapping):
        return {_clean(str(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return _clean(str(value))
