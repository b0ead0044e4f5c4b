"""Which items are sampled next. One more way is one more class, and one line in `SAMPLERS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learners.replay.orders import Bag, Queue
from learners.replay.sum_tree import SumTree
from learners.replay.tables import Slots

Floats = NDArray[np.float64]


class Sampler(Protocol):
    """A set of items, by slot, from which some are drawn; drawing takes none out."""

    def __len__(self) -> int:
        """Items that can be drawn."""
        ...

    def add(self, slots: Slots, priorities: Floats) -> None:
        """Items came."""
        ...

    def remove(self, slots: Slots) -> None:
        """Items can be drawn no more."""
        ...

    def prioritise(self, slots: Slots, priorities: Floats) -> None:
        """Items have other priorities."""
        ...

    def draw(self, number: int, rng: np.random.Generator, samples: int = 1) -> tuple[Slots, Floats]:
        """Items and how probable each was; fewer than `number` where there are not so many, or none.

        Args:
            number: of items in a sample.
            rng: where chance comes from.
            samples: that are drawn; the items of one come behind those of another.
        """
        ...


class Fifo:
    """The oldest first; with `max_times_sampled=1` a queue from which each item is taken once."""

    def __init__(self) -> None:
        """No items."""
        self._items = Queue()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, slots: Slots, priorities: Floats) -> None:
        """Items came."""
        self._items.add(slots)

    def remove(self, slots: Slots) -> None:
        """Items can be drawn no more."""
        self._items.remove(slots)

    def prioritise(self, slots: Slots, priorities: Floats) -> None:
        """Priorities mean nothing here."""

    def draw(self, number: int, rng: np.random.Generator, samples: int = 1) -> tuple[Slots, Floats]:
        """The oldest items, oldest first, certain; the same in each sample."""
        slots = np.tile(self._choose(number), samples)
        return slots, np.ones(len(slots))

    def _choose(self, number: int) -> Slots:
        return self._items.oldest(number)


class Lifo(Fifo):
    """The newest first."""

    def _choose(self, number: int) -> Slots:
        return self._items.newest(number)


class Uniform:
    """All alike, with replacement."""

    def __init__(self) -> None:
        """No items."""
        self._items = Bag()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, slots: Slots, priorities: Floats) -> None:
        """Items came."""
        self._items.add(slots)

    def remove(self, slots: Slots) -> None:
        """Items can be drawn no more."""
        self._items.remove(slots)

    def prioritise(self, slots: Slots, priorities: Floats) -> None:
        """Priorities mean nothing here."""

    def draw(self, number: int, rng: np.random.Generator, samples: int = 1) -> tuple[Slots, Floats]:
        """Items by chance, each with the same probability."""
        slots = self._items.draw(number * samples, rng)
        return slots, np.full(len(slots), 1 / len(self._items))


class Prioritised:
    """In proportion to priority to the power of `alpha` (Schaul et al. 2016, eq. 1)."""

    def __init__(self, alpha: float) -> None:
        """No items.

        Args:
            alpha: 0: uniform; 1: in proportion.
        """
        self._alpha = alpha
        self._tree = SumTree()

    def __len__(self) -> int:
        return self._tree.used

    def add(self, slots: Slots, priorities: Floats) -> None:
        """Items came; those of priority 0 are not there to be drawn."""
        self.prioritise(slots, priorities)

    def remove(self, slots: Slots) -> None:
        """Items can be drawn no more."""
        self._tree.set(slots, 0.0)

    def prioritise(self, slots: Slots, priorities: Floats) -> None:
        """Items have other priorities."""
        self._tree.set(slots, np.where(priorities > 0, priorities, 0.0) ** self._alpha * (priorities > 0))

    def draw(self, number: int, rng: np.random.Generator, samples: int = 1) -> tuple[Slots, Floats]:
        """Items by chance, stratified."""
        slots = self._tree.draw(number, rng, samples)
        return slots, self._tree[slots] / self._tree.root


SAMPLERS: dict[str, Callable[[float], Sampler]] = {
    "fifo": lambda alpha: Fifo(),
    "lifo": lambda alpha: Lifo(),
    "uniform": lambda alpha: Uniform(),
    "prioritised": Prioritised,
}
"""Sampler by name, made from alpha."""
