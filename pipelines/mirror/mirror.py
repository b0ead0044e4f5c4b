"""`Mirror`: keeps a copy of a run at a URI, in a thread of its own: a failure there costs the copy and not the run.

```
checkpoint ──snapshot (links)──→ at most one waits ──→ objects ──→ manifest
                                      ↑  a newer one replaces it  │ what fails is tried again, later and later
                                      └───────────────────────────┘
```
"""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from envs.storage.errors import StoreBusy
from pipelines import checkpoint
from pipelines.mirror.remote import one_line
from pipelines.mirror.snapshot import STAGING, copy_rest, copy_unowned_stores
from pipelines.mirror.writing import Fenced, Writer
from pipelines.run_directory import RunDirectory

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
END_S = 300.0  # how long the end of a run waits until all is sent
_random = random.Random()  # its own: a thread must not draw from the generator that the run has seeded


class _Taken(NamedTuple):
    folder: Path
    time: float


class Mirror:
    """The mirror of one run, from its claim to its last manifest."""

    def __init__(
        self,
        directory: RunDirectory,
        writer: Writer,
        uri: str,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = _random.random,
    ) -> None:
        """Begin to send.

        Args:
            directory: of the run; locked by the caller.
            writer: of this generation.
            uri: for people.
            clock: seconds since 1970.
            jitter: from 0 to 1; the share of the longest pause that is waited.
        """
        self.uri, self._directory, self._writer, self._clock, self._jitter = uri, directory, writer, clock, jitter
        self.copy_verdicts: Callable[[Path], None] = lambda folder: None  # of who owns them
        self.failures = self.superseded = self.snapshots = 0
        self.fenced, self._last, self._problem = False, False, ""
        self._staging = directory.root.resolve() / STAGING
        shutil.rmtree(self._staging, ignore_errors=True)
        self._number = 0
        self._confirmed = clock()  # when the newest snapshot that is there was taken; before there is one, the start
        self._state = threading.Condition()
        self._waiting: _Taken | None = None
        self._sending = self._ended = False
        self._news: deque[tuple[str, str]] = deque(maxlen=64)
        self._thread = threading.Thread(target=self._send, name="mirror", daemon=True)
        self._thread.start()

    # The run's side -------------------------------------------------------------------------------------------------

    @contextmanager
    def snapshot(self) -> Iterator[Path | None]:
        """Take a snapshot now: who owns shares of the replay copies them into the folder, the rest is done here.

        What fails is counted and shown, and the run goes on. Gives None where nothing is taken any more.
        """
        if self.fenced:
            yield None
            return
        self._number += 1
        taken = _Taken(self._staging / f"{self._number:06d}", self._clock())
        try:
            taken.folder.mkdir(parents=True)
            yield taken.folder
            self.copy_verdicts(taken.folder / "verdicts")
            copy_rest(self._directory, taken.folder, logs=self._last)
        except (OSError, ValueError, StoreBusy) as error:  # of the disk, or of a store
            self._failed(f"no snapshot: {one_line(error)}")
            self._drop(taken)
        except BaseException:
            self._drop(taken)
            raise
        else:
            self._offer(taken)

    def close(self, wait_s: float = END_S, say: Callable[[str], None] = lambda text: None) -> str | None:
        """Send the run as it lies there now, whose processes have ended, and stop; gives what could not be sent.

        Args:
            wait_s: how long that may take.
            say: told that it is waited for.
        """
        began, problem = self._clock(), None
        if not self.fenced and checkpoint.numbers(self._directory.checkpoints):
            self.copy_verdicts, self._last = lambda folder: None, True
            with self.snapshot() as folder:
                if folder is not None:
                    copy_unowned_stores(self._directory, folder)
            with self._state:
                if not self._state.wait_for(self._idle, min(wait_s, 2.0)):
                    say(f"sending the run to {self.uri}")
                    self._state.wait_for(self._idle, max(0.0, wait_s - 2.0))
            if not self.fenced and self._confirmed < began:
                why = f": {self._problem}" if self._problem else ""
                there = f"the run as it was {self.age_s:.0f} s ago" if self.snapshots else "nothing of this part of it"
                problem = f"{self.uri} holds {there}, the rest was not sent{why}"
        with self._state:
            self._ended = True
            self._state.notify_all()
        self._thread.join(1.0)  # one that hangs in a call is left behind
        shutil.rmtree(self._staging, ignore_errors=True)
        return problem

    @property
    def age_s(self) -> float:
        """Seconds since the newest snapshot that is at the URI was taken; until there is one, since the start."""
        return max(0.0, self._clock() - self._confirmed)

    def numbers(self) -> dict[str, float]:
        """For metrics."""
        return {
            "storage/age_s": self.age_s,
            "storage/snapshots": float(self.snapshots),
            "storage/failures": float(self.failures),
            "storage/sent_mb": self._writer.sent_bytes / 1e6,
        }

    def line(self) -> dict[str, str]:
        """For people."""
        state = "another process goes on with this run" if self.fenced else f"{self.age_s:.0f} s behind"
        failed = f", {self.failures} failures" if self.failures else ""
        return {"storage": f"{self.uri}: {state}, {self._writer.sent_bytes / 1e6:,.1f} MB sent{failed}"}

    def news(self) -> list[tuple[str, str]]:
        """What has happened since this was asked last: what, and why."""
        found = []
        with suppress(IndexError):
            while True:
                found.append(self._news.popleft())
        return found

    def _offer(self, taken: _Taken) -> None:
        with self._state:
            before, self._waiting = self._waiting, taken
            self.superseded += before is not None
            self._state.notify_all()
        if before is not None:
            self._drop(before)

    def _idle(self) -> bool:
        return self.fenced or (self._waiting is None and not self._sending)

    def _drop(self, taken: _Taken) -> None:
        shutil.rmtree(taken.folder, ignore_errors=True)

    def _failed(self, why: str) -> None:
        self.failures, self._problem = self.failures + 1, why
        self._news.append(("not mirrored", f"{self.uri}: {why}"))

    # The thread's side ----------------------------------------------------------------------------------------------

    def _send(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            with self._state:
                self._state.wait_for(lambda: self._waiting is not None or self._ended)
                taken, self._waiting = self._waiting, None
                if taken is None or self._ended:
                    return
                self._sending = True
            failed = self._sent(taken)
            with self._state:
                self._sending = False
                keeps = failed and self._waiting is None
                if keeps:
                    self._waiting = taken
                self._state.notify_all()
                if failed:  # full jitter: many runs that lost one server do not come back at one moment
                    self._state.wait_for(lambda: self._ended, self._jitter() * pause)
            if not keeps:
                self._drop(taken)
            pause = min(LONGEST_PAUSE_S, 2 * pause) if failed else FIRST_PAUSE_S

    def _sent(self, taken: _Taken) -> bool:
        """Send one snapshot; gives whether that failed."""
        try:
            self._writer.publish(taken.folder, taken.time)
        except Fenced as error:
            self.fenced = True
            self._news.append(("mirror given up", f"{self.uri}: {error}; another process goes on with this run"))
            return False
        except Exception as error:  # whatever a file system raises must never end a run
            self._failed(one_line(error))
            return True
        self._problem = ""
        self._confirmed, self.snapshots = taken.time, self.snapshots + 1
        return False


class NoMirror:
    """Keeps no copy."""

    fenced = False
    copy_verdicts: Callable[[Path], None]

    @contextmanager
    def snapshot(self) -> Iterator[Path | None]:
        """Take none."""
        yield None

    def close(self, wait_s: float = END_S, say: Callable[[str], None] = lambda text: None) -> str | None:
        """Do nothing."""
        return None

    def numbers(self) -> dict[str, float]:
        """None."""
        return {}

    def line(self) -> dict[str, str]:
        """None."""
        return {}

    def news(self) -> list[tuple[str, str]]:
        """None."""
        return []
