"""`Shelf`: the rows themselves, in memory or mapped from the store; decisions about them are made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.storage.store import Position, Store
from learners.replay.gather import Arrays, Gatherer
from learners.replay.state import State
from learners.replay.units import Pieces


class Shelf:
    """Finds the rows of batches, and keeps those at hand that were read.

    Attributes:
        metas: what writers said of batches, which is small.
    """

    def __init__(self, state: State, schema: pa.Schema, store: Store | None) -> None:
        """Nothing at hand.

        Args:
            state: says which rows live, and where.
            schema: of the rows.
            store: that holds them; None: memory does.
        """
        self._state, self._schema, self._store = state, schema, store
        self._gatherer = Gatherer(schema, state.rows)
        self.metas: dict[int, Mapping[str, Any]] = {}
        self._batches: dict[int, pa.RecordBatch] = {}  # in memory, or mapped
        self._known: set[int] = set()  # batches of which the gatherer knows where their rows lie

    def put(self, batch: int, rows: pa.RecordBatch) -> None:
        """Keep a copy in memory: what the caller holds may be a slice of much more, or the object store's."""
        self._batches[batch] = pa.ipc.read_record_batch(rows.serialize(), self._schema)

    def read(self, batch: int) -> pa.RecordBatch:
        """All rows of a batch, without a copy; they stay valid for as long as they are held."""
        if batch not in self._batches:
            assert self._store is not None
            self._batches[batch] = self._store.read(self.position(batch))
        return self._batches[batch]

    def gather(self, pieces: Pieces, longest: int | None) -> Arrays:
        """Copies of pieces, see `Gatherer.gather`."""
        is_new = len(self._known) < len(self._state.batches)
        for batch in {*self._state.rows["batch"][pieces.row].tolist()} - self._known if is_new else ():
            index = np.flatnonzero(self.lives(batch))
            self._gatherer.learn(self.read(batch), self._state.batch_rows[batch][index], index)
            self._known.add(batch)
        return self._gatherer.gather(pieces, longest)

    def position(self, batch: int) -> Position:
        """Where a batch is in the store."""
        columns = self._state.batches
        return Position(int(columns["segment"][batch]), int(columns["position"][batch]))

    def lives(self, batch: int) -> NDArray[np.bool_]:
        """Which rows of a batch live, `[R]`: slots of those that went may have others by now."""
        slots, rows = self._state.batch_rows[batch], self._state.rows
        first = int(self._state.batches["first"][batch])
        lives: NDArray[np.bool_] = (
            (slots >= 0) & rows.is_used(slots) & (rows["number"][slots] == first + np.arange(len(slots)))
        )
        return lives

    def forget(self, batch: int) -> None:
        """Have a batch at hand no more; what is in the store is read anew if it is ever looked at."""
        self._batches.pop(batch, None)
        self._known.discard(batch)

    def drop(self, batches: list[int]) -> None:
        """Take batches out of the store, and let go of its old files.

        Raises:
            OSError: the disk is full; some may still be there.
        """
        if batches and self._store is not None:
            moved = self._store.drop([self.position(batch) for batch in batches])
            owners = self._state.batches["segment"]
            # Holding what compaction has moved would hold all of the old file.
            for batch in [batch for batch in self._batches if moved and int(owners[batch]) in moved]:
                self.forget(batch)
        for batch in batches:
            self.forget(batch)
            self.metas.pop(batch, None)
