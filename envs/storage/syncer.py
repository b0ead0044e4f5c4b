"""`Syncer`: brings what was written to disk in the background, so that `append` does not wait for it.

One thread, which is idle for as long as there is nothing to do. Segments are sealed strictly in their order: the table
of writers in a manifest never knows of a batch before those that came earlier are on disk.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from envs.storage.hot_segment import HotSegment

_MOST_UNSEALED = 4  # a writer that is faster than the disk waits for it here


class Syncer:
    """Syncs the hot segment some time after an append, and seals the full ones."""

    def __init__(self, interval_s: float | None) -> None:
        """Sync `interval_s` after the first append that is not synced; None: only seal."""
        self._interval_s = interval_s
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="store-sync")
        self._hot: HotSegment | None = None
        self._full: deque[HotSegment] = deque()
        self._sealing: deque[Future[None]] = deque()
        self._due = False
        self._hurry = threading.Event()
        self._failure: OSError | None = None

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
        if self._interval_s is not None and not self._due:
            self._due = True
            self._worker.submit(self._sync)

    def seal(self, full: HotSegment) -> None:
        """Seal a segment to which nothing more is appended; waits where too many are not sealed yet."""
        self._full.append(full)
        self._sealing.append(self._worker.submit(self._seal))
        self._hurry.set()  # sealing stands in line behind a sync that waits for its time
        while len(self._sealing) > _MOST_UNSEALED:
            self._sealing.popleft().result()

    def recover(self, hots: Sequence[HotSegment]) -> None:
        """Seal what an earlier process left; where the disk is full, later.

        Raises:
            OSError: the disk failed.
        """
        self._full.extend(hots)
        self._seal()
        self.check()

    def flush(self, hot: HotSegment | None) -> None:
        """Wait until the disk has the segments that are not sealed yet, `hot` among them.

        Raises:
            OSError: the disk failed.
        """
        self._hurry.set()
        self._worker.submit(self._flush, hot).result()
        self.check()

    def close(self) -> None:
        """Finish what is under way, try once more what failed, and end the thread."""
        self._worker.submit(self._seal)
        self._hurry.set()
        self._worker.shutdown(wait=True)
        while self._full:  # as long as the disk is full they stay hot; the next `Store` seals them
            self._full.popleft().close()

    def _sync(self) -> None:
        self._hurry.wait(self._interval_s)
        self._hurry.clear()
        self._due = False  # what is appended from here on may come too late for this time
        hot = self._hot
        try:
            if hot is not None and not hot.sealed:
                hot.sync()
        except OSError as error:
            self._failure = error

    def _flush(self, hot: HotSegment | None) -> None:
        try:
            for segment in [*self._full, *([hot] if hot else [])]:
                segment.sync()
        except OSError as error:
            self._failure = error

    def _seal(self) -> None:
        while self._full:
            full = self._full[0]
            try:
                full.sync()
            except OSError as error:
                self._failure = error
                return
            try:
                full.seal()
            except OSError:
                return  # no room for footer and manifest: later
            self._full.popleft()
