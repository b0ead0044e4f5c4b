"""Which items make room when the replay is full. One more way is one more class, and one line in `REMOVERS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learners.replay.orders import Queue
from learners.replay.sum_tree import MinTree
from learners.replay.tables import Slots

Floats = NDArray[np.float64]


class Remover(Protocol):
    """A set of items, by slot, with an order in which they would have to go."""

    def add(self, slots: Slots, priorities: Floats) -> None:
        """Items came."""
        ...

    def remove(self, slots: Slots) -> None:
        """Items went."""
        ...

    def prioritise(self, slots: Slots, priorities: Floats) -> None:
        """Items have other priorities."""
        ...

    def sampled(self, slots: Slots, times: NDArray[np.int64]) -> None:
        """Items have now been sampled so many times."""
        ...

    def pick(self, number: int) -> Slots:
        """Those that go next, at most `number` and at least one where there is any; they stay until removed."""
        ...


class OldestFirst:
    """In the order of arrival."""

    def __init__(self) -> None:
        """No items."""
        self._items = Queue()

    def add(self, slots: Slots, priorities: Floats) -> None:
        """Items came."""
        self._items.add(slots)

    def remove(self, slots: Slots) -> None:
        """Items went."""
        self._items.remove(slots)

    def prioritise(self, slots: Slots, priorities: Floats) -> None:
        """Priorities mean nothing here."""

    def sampled(self, slots: Slots, times: NDArray[np.int64]) -> None:
        """Nor does how often an item was sampled."""

    def pick(self, number: int) -> Slots:
        """The oldest items."""
        return self._items.oldest(number)


class LowestPriority:
    """The one of the lowest priority."""

    def __init__(self) -> None:
        """No items."""
        self._tree = MinTree()

    def add(self, slots: Slots, priorities: Floats) -> None:
        """Items came."""
        self._tree.set(slots, priorities)

    def remove(self, slots: Slots) -> None:
        """Items went."""
        self._tree.set(slots, np.inf)

    def prioritise(self, slots: Slots, priorities: Floats) -> None:
        """Items have other priorities."""
        self._tree.set(slots, priorities)

    def sampled(self, slots: Slots, times: NDArray[np.int64]) -> None:
        """How often an item was sampled means nothing here."""

    def pick(self, number: int) -> Slots:
        """The item of the lowest priority, one at a time."""
        return np.array([self._tree.lowest()] if self._tree.root < np.inf else [], np.int64)


class MostSampled(LowestPriority):
    """The one that was sampled most often."""

    def add(self, slots: Slots, priorities: Floats) -> None:
        """Items came, never sampled."""
        self._tree.set(slots, 0.0)

    def prioritise(self, slots: Slots, priorities: Floats) -> None:
        """Priorities mean nothing here."""

    def sampled(self, slots: Slots, times: NDArray[np.int64]) -> None:
        """Items have now been sampled so many times."""
        self._tree.set(slots, -times.astype(np.float64))


REMOVERS: dict[str, Callable[[], Remover]] = {
    "fifo": OldestFirst,
    "lowest_priority": LowestPriority,
    "most_sampled": MostSampled,
}
"""Remover by name."""
