"""Sets of slots with an order: `Queue` by arrival, `Bag` by none, so that drawing from it is one lookup."""

from __future__ import annotations

import numpy as np

from learners.replay.tables import Slots


def _room(array: Slots, size: int) -> Slots:
    """The array, or a copy that is at least twice as large and holds `size`; filled up with -1."""
    if size <= len(array):
        return array
    larger = np.full(max(size, 2 * len(array)), -1, np.int64)
    larger[: len(array)] = array
    return larger


class Queue:
    """Slots in the order in which they came; those taken out leave holes that are closed now and then."""

    def __init__(self) -> None:
        """Empty."""
        self._order = np.full(64, -1, np.int64)
        self._place = np.full(64, -1, np.int64)
        self._head = self._tail = self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, slots: Slots) -> None:
        """Put slots at the end."""
        if not len(slots):
            return
        if self._tail + len(slots) > len(self._order):
            self._close_holes(len(slots))
        self._place = _room(self._place, int(slots.max()) + 1)
        self._order[self._tail : self._tail + len(slots)] = slots
        self._place[slots] = np.arange(self._tail, self._tail + len(slots))
        self._tail += len(slots)
        self._length += len(slots)

    def remove(self, slots: Slots) -> None:
        """Take slots out, wherever they stand."""
        self._order[self._place[slots]] = -1
        self._length -= len(slots)
        while self._head < self._tail and self._order[self._head] < 0:
            self._head += 1

    def oldest(self, number: int) -> Slots:
        """The first slots, at most `number`, oldest first."""
        return self._first(self._order[self._head : self._tail], number)

    def newest(self, number: int) -> Slots:
        """The last slots, at most `number`, newest first."""
        return self._first(self._order[self._head : self._tail][::-1], number)

    def _first(self, order: Slots, number: int) -> Slots:
        reach, found = number, order
        while True:  # most often there are no holes, and what is asked for lies right there
            found = order[:reach]
            found = found[found >= 0]
            if len(found) >= number or reach >= len(order):
                first: Slots = found[:number].copy()
                return first
            reach *= 2

    def _close_holes(self, more: int) -> None:
        kept = self.oldest(self._length)
        self._order = _room(self._order, 2 * (len(kept) + more))
        self._order[: len(kept)] = kept
        self._place[kept] = np.arange(len(kept))
        self._head, self._tail = 0, len(kept)


class Bag:
    """Slots without gaps between them, in no order that means anything."""

    def __init__(self) -> None:
        """Empty."""
        self._slots = np.full(64, -1, np.int64)
        self._place = np.full(64, -1, np.int64)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, slots: Slots) -> None:
        """Put slots in."""
        if not len(slots):
            return
        end = self._length + len(slots)
        self._slots = _room(self._slots, end)
        self._place = _room(self._place, int(slots.max()) + 1)
        self._slots[self._length : end] = slots
        self._place[slots] = np.arange(self._length, end)
        self._length = end

    def remove(self, slots: Slots) -> None:
        """Take slots out; the last ones fill the gaps."""
        end = self._length - len(slots)
        places = self._place[slots]
        tail = self._slots[end : self._length]
        stays = np.ones(len(tail), bool)
        stays[places[places >= end] - end] = False
        movers = tail[stays]
        gaps = places[places < end]
        self._slots[gaps] = movers
        self._place[movers] = gaps
        self._length = end

    def draw(self, number: int, rng: np.random.Generator) -> Slots:
        """Slots by chance, independent of each other."""
        drawn: Slots = self._slots[rng.integers(0, self._length, number)]
        return drawn
