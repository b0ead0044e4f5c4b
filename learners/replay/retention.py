"""`Retention`: when batches that nothing needs any more leave the store, and which of them are kept."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from envs.storage.store import Store
from learners.replay.journal import Journal
from learners.replay.shelf import Shelf
from learners.replay.snapshots import snapshot
from learners.replay.state import State

SWEEP = 64  # batches of which nothing lives are dropped from the store so many at a time
_NOW: Future[None] = Future()
_NOW.set_result(None)


class Leaving(NamedTuple):
    """Batches that are about to be dropped.

    Attributes:
        number: of them; the oldest that nothing needs.
        known: done when the disk has the decision that nothing needs them.
    """

    number: int
    known: Future[None]


class Retention:
    """Tidies up behind the decisions of a replay."""

    def __init__(self, state: State, shelf: Shelf, store: Store | None, journal: Journal | None, keep_mb: int) -> None:
        """Nothing to tidy up.

        Args:
            state: says what nothing needs.
            shelf: holds it.
            store: that holds it on disk; None: memory does.
            journal: of the decisions beside the store.
            keep_mb: MiB of rows in the store that stay, the newest, though nothing needs them.
        """
        self._state, self._shelf, self._store, self._journal = state, shelf, store, journal
        self._room = keep_mb * 2**20 if store is not None else 0
        self._kept = 0  # batches that nothing needs and that are kept
        self._leaving: Leaving | None = None

    def tidy(self, sweep: bool = False) -> None:
        """Drop rows that nothing needs and that are not to be kept; begin the journal anew where it has grown.

        Args:
            sweep: at once, whatever it costs; else many together, when the disk knows that they are needed no more.

        Raises:
            OSError: the disk is full, or failed.
        """
        garbage = self._state.garbage
        if self._leaving is not None and (sweep or self._leaving.known.done()):
            self._drop(*self._leaving)
        if self._leaving is None and garbage and (sweep or self._store is None or len(garbage) >= self._kept + SWEEP):
            self._kept = self._worth_keeping(garbage)
            known = _NOW if self._journal is None else self._journal.begin_sync()
            self._leaving = Leaving(len(garbage) - self._kept, known)
            if sweep or known.done():
                self._drop(*self._leaving)
        if self._journal is not None and self._journal.has_grown:
            self._journal.begin_anew(snapshot(self._state))

    def _drop(self, number: int, known: Future[None]) -> None:
        """Drop the oldest batches that nothing needs, once the decision that it does not is on the disk."""
        known.result()
        dropped = self._state.garbage[:number]
        self._shelf.drop(dropped)
        for batch in dropped:
            self._state.forget_batch(batch)
        del self._state.garbage[:number]
        self._leaving = None

    def _worth_keeping(self, garbage: Sequence[int]) -> int:
        """How many batches that nothing needs are kept: the newest, as far as there is room."""
        room = self._room
        for number, batch in enumerate(reversed(garbage)):
            if room <= 0:
                return number
            assert self._store is not None
            room -= self._store.extent(self._shelf.position(batch))[1]
            self._shelf.forget(batch)
        return len(garbage)
