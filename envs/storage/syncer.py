"""`Syncer`: all that a store does behind its writer's back, so that `append` and `drop` do not wait for the disk.

One thread, which is idle for as long as there is nothing to do, and one more that makes the files of the segment to
come. The first syncs the segment that is being written, seals the full ones, and compacts or deletes those that little
needs. Full segments wait until they have to be on disk: of what
is dropped before, no byte is written. They are sealed strictly in their order: the table of writers in a manifest
never knows of a batch before those that came earlier are on disk.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from envs.storage import sealing
from envs.storage.hot_segment import HotSegment
from envs.storage.segment import Copy, Segment

MOST_UNSEALED = 16
"""Full segments that may wait for the disk; a writer that is faster waits with them."""


class Syncer:
    """Syncs the hot segment some time after an append, and looks after the others."""

    def __init__(
        self, interval_s: float, syncs: bool, compact_below: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing to do yet.

        Args:
            interval_s: seconds from an append until it is synced, as part of a full segment that is sealed then.
            syncs: whether to sync segments before they are full.
            compact_below: of a full segment of which a smaller share is live, the live batches alone are kept.
            clock: in seconds.
        """
        self._interval_s, self._syncs, self._most_waste, self._clock = interval_s, syncs, 1 - compact_below, clock
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="store-sync")
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="store-make")
        self._hot: HotSegment | None = None
        self._since_s: float | None = None  # when the first of its batches came that is not synced
        self._full: deque[tuple[float, HotSegment]] = deque()  # with the time at which each is to be sealed
        self._chores: deque[Future[None]] = deque(maxlen=64)
        self._done: deque[tuple[Segment, Copy | None]] = deque()
        self._watches, self._awake = False, threading.Event()
        self._asked = self._answered = 0  # the first counts in the owner's thread, the second in the worker
        self._failure: OSError | None = None

    # The owner's side -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise what failed in the background.

        Raises:
            OSError: the disk did not take what it was given; what has been acknowledged since is in doubt.
        """
        if self._failure is not None:
            raise OSError(
                self._failure.errno, f"the disk failed to keep what was written ({self._failure}); open the store anew"
            ) from self._failure

    def appended(self, hot: HotSegment) -> None:
        """See to it that what was just appended is synced in time."""
        self._hot = hot
        if self._since_s is None:
            self._since_s = self._clock()
        if self._syncs:
            self._watch()

    def dropped(self) -> None:
        """See whether a full segment need not be synced any more."""
        if self._full:
            self._watch()
            self._awake.set()

    def make(self, create: Callable[[], HotSegment]) -> Future[HotSegment]:
        """Make files for the segment to come, while the one before is written."""
        return self._maker.submit(create)

    def seal(self, full: HotSegment) -> None:
        """Seal a segment to which nothing more is appended, in time; waits where too many are not sealed yet."""
        since_s = self._clock() if self._since_s is None else self._since_s
        self._hot = self._since_s = None
        self._full.append((since_s + self._interval_s, full))
        self._watch()
        if len(self._full) > MOST_UNSEALED:
            self._ask(self._seal, 1).result()

    def recover(self, hots: Sequence[HotSegment]) -> None:
        """Seal what an earlier process left; where the disk is full, later.

        Raises:
            OSError: the disk failed.
        """
        self._full.extend((0.0, hot) for hot in hots)
        self._seal(len(hots))
        self.check()

    def compact(self, segment: Segment) -> None:
        """Write a sealed segment anew without what is dead; `done` gives the copy, or None where there was no room."""
        self._chores.append(self._ask(self._compact, segment))

    def delete(self, segment: Segment) -> None:
        """Delete a sealed segment; what is left of it when that fails, the next `Store` removes."""
        self._chores.append(self._ask(sealing.delete, segment))

    def remove(self, path: Path) -> None:
        """Delete a file that is nobody's; where that fails, the next `Store` does."""
        self._chores.append(self._ask(path.unlink))

    def done(self) -> Iterator[tuple[Segment, Copy | None]]:
        """The segments that were sealed or compacted since it was asked last, and what to read from now."""
        while self._done:
            yield self._done.popleft()

    def settle(self) -> bool:
        """Wait until all that makes room is done; whether there was anything."""
        before = len(self._chores) + len(self._full)
        self._chores.clear()
        self._ask(self._seal).result()  # the worker has let go of what came before, too
        return len(self._full) < before

    def flush(self, hot: HotSegment | None) -> None:
        """Wait until the disk has the segments that are not sealed yet, `hot` among them.

        Raises:
            OSError: the disk failed.
        """
        self._ask(self._flush, hot).result()
        self.check()

    def quietly(self, task: Callable[[], None]) -> None:
        """Have a task done while neither the worker nor the owner, who waits for it, touches a file."""
        self._ask(task).result()

    def finish(self) -> None:
        """Wait until all full segments are sealed, as far as the disk has room."""
        self._ask(self._seal, len(self._full)).result()

    def close(self) -> None:
        """Finish what is under way, and end the threads."""
        for chore in self._chores:
            with suppress(OSError):
                chore.result()
        self._asked += 1  # nothing is waited for any more
        self._awake.set()
        self._worker.shutdown(wait=True)
        self._maker.shutdown(wait=True)
        while self._full:  # as long as the disk is full they stay hot; the next `Store` seals them
            self._full.popleft()[1].close()

    def _watch(self) -> None:
        if not self._watches:
            self._watches = True
            self._worker.submit(self._wait, self._clock() + self._interval_s)

    def _ask(self, task: Callable[..., None], *arguments: Any) -> Future[None]:
        """Have a task done now; what waits for its time stands behind it."""

        def answer() -> None:
            self._answered += 1
            task(*arguments)

        self._asked += 1
        self._awake.set()
        return self._worker.submit(answer)

    # The worker's side ----------------------------------------------------------------------------------------------

    def _wait(self, due_s: float) -> None:
        while self._asked == self._answered and self._clock() < due_s:
            next_s = min(due_s, self._full[0][0]) if self._full else due_s
            self._awake.wait(next_s - self._clock())
            self._awake.clear()
            self._seal()
        if self._clock() < due_s:  # others ask
            with suppress(RuntimeError):  # there is no next time
                self._worker.submit(self._wait, due_s)
            return
        self._watches, self._since_s = False, None  # what is appended from here on may come too late for this time
        hot = self._hot
        if hot is not None and self._syncs:
            self._synced(hot)
        self._seal()
        if self._full:
            with suppress(RuntimeError):
                self._watch()

    def _flush(self, hot: HotSegment | None) -> None:
        for segment in [*(full for _, full in self._full), *([hot] if hot else [])]:
            self._synced(segment)

    def _synced(self, segment: HotSegment) -> bool:
        try:
            segment.sync()
        except OSError as error:
            self._failure = error
            return False
        return True

    def _seal(self, least: int = 0) -> None:
        """Seal the full segments whose time has come or that are mostly waste, and at least so many."""
        while self._full:
            due_s, full = self._full[0]
            is_waste = full.reclaimable_share > self._most_waste
            if least <= 0 and not is_waste and self._clock() < due_s:
                return
            try:
                if not is_waste and not self._synced(full):
                    return
                copy = full.seal(without_dead=is_waste)
            except OSError as error:
                if error.errno == errno.EIO:
                    self._failure = error
                return  # no room for footer and manifest: later
            finally:
                self._full[0] = self._clock() + self._interval_s, full  # where it failed, it is tried again then
            self._full.popleft()
            self._done.append((full, copy))
            least -= 1

    def _compact(self, segment: Segment) -> None:
        copy = None
        try:
            copy = sealing.compact(segment)
        except OSError:
            pass  # no room for the copy: later
        finally:
            self._done.append((segment, copy))
