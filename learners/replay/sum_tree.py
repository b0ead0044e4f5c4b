"""Trees over slots: by priority in proportion (`SumTree`), and by the lowest value (`MinTree`).

Wide and flat rather than binary: with 128 children a node, a million leaves need two inner levels, and a batch of
draws or changes is a handful of NumPy calls. Inner nodes are computed anew from their children and never by
differences, so that no rounding piles up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

FAN = 128
_FEW = 128  # points up to which looking at all children of their nodes costs less than bisecting
Floats = NDArray[np.float64]
Slots = NDArray[np.int64]


class _Tree(ABC):
    """Leaves by slot, each inner node the reduction of its `FAN` children.

    Attributes:
        root: the reduction of all leaves.
        used: leaves that have a value.
    """

    def __init__(self, empty: float) -> None:
        self._empty = empty
        self._levels: list[Floats] = [np.full(FAN, empty)]
        self.root, self.used = empty, 0

    def __getitem__(self, slots: Slots) -> Floats:
        values: Floats = self._levels[0][slots]
        return values

    def set(self, slots: Slots, values: Floats | float) -> None:
        """Give leaves new values.

        Args:
            slots: distinct, from 0; the tree grows to hold them.
            values: one a slot, or one for all.
        """
        if not len(slots):
            return
        if (highest := int(slots.max())) >= len(self._levels[0]):
            self._grow(highest + 1)
        leaves = self._levels[0]
        self.used -= np.count_nonzero(leaves[slots] != self._empty)
        leaves[slots] = values
        self.used += np.count_nonzero(leaves[slots] != self._empty)
        nodes = slots
        for level in range(len(self._levels)):
            nodes = np.unique(nodes // FAN)
            reduced = self._reduce(level, nodes)
            if level + 1 < len(self._levels):
                self._levels[level + 1][nodes] = reduced
        self.root = float(reduced[0])

    @abstractmethod
    def _reduce(self, level: int, nodes: Slots) -> Floats:
        """What nodes come to, from their children in `level`."""

    def _children(self, level: int, nodes: Slots) -> Floats:
        children: Floats = self._levels[level].reshape(-1, FAN)[nodes]
        return children

    def _grow(self, slots: int) -> None:
        size = FAN * -(-max(slots, 2 * len(self._levels[0])) // FAN)
        leaves = np.full(size, self._empty)
        leaves[: len(self._levels[0])] = self._levels[0]
        self._levels = [leaves]
        while len(self._levels[-1]) > FAN:
            values = self._reduce(len(self._levels) - 1, np.arange(len(self._levels[-1]) // FAN))
            padded = np.full(FAN * -(-len(values) // FAN), self._empty)
            padded[: len(values)] = values
            self._levels.append(padded)


class SumTree(_Tree):
    """Draws slots in proportion to their values."""

    def __init__(self) -> None:
        """All values 0."""
        super().__init__(0.0)
        self._sums = [np.zeros((1, FAN))]  # by level, of the children of each node up to and with each of them

    def draw(self, number: int, rng: np.random.Generator, samples: int = 1) -> Slots:
        """Draw slots, one from each of `number` equal parts of the sum (Schaul et al. 2016, appendix B.2.1).

        Args:
            number: how many, with replacement.
            rng: where chance comes from.
            samples: that are drawn, independent of each other; their slots come one sample behind another.

        Raises:
            ValueError: no slot has a value above 0.
        """
        if not self.root > 0:
            raise ValueError("got a tree whose values are all 0; expected one above 0 to draw from")
        points = ((np.arange(number) + rng.random((samples, number))) * (self.root / number)).ravel()
        sums = self._sums[-1][0]
        nodes: Slots = sums.searchsorted(points, side="right")
        if nodes.max() == FAN:  # a point that rounding puts at the end belongs to the last child with any mass
            nodes = np.minimum(nodes, sums.argmax())
        points -= sums[nodes - 1] * (nodes > 0)
        for level in range(len(self._levels) - 2, -1, -1):
            child = self._child(level, nodes, points)
            if child.max() == FAN:
                child = np.minimum(child, self._sums[level][nodes].argmax(axis=1))
            first = nodes * FAN
            points -= self._sums[level].ravel()[first + child - 1] * (child > 0)
            nodes = first + child
        return nodes

    def _child(self, level: int, nodes: Slots, points: Floats) -> Slots:
        """How many children of each node end before its point."""
        child: Slots
        if len(points) <= _FEW:  # a handful of calls, each on all children
            child = (self._sums[level][nodes] <= points[:, None]).sum(axis=1)
            return child
        sums, first, child = self._sums[level].ravel(), nodes * FAN, np.zeros(len(points), np.int64)
        step = FAN // 2
        while step:  # one call more for each halving, on one child of each node
            child += step * (sums[first + (child + (step - 1))] <= points)
            step //= 2
        child += sums[first + child] <= points
        return child

    def _reduce(self, level: int, nodes: Slots) -> Floats:
        sums = self._children(level, nodes).cumsum(axis=1)
        if FAN * len(nodes) == len(self._levels[level]):
            self._sums[level : level + 1] = [sums]  # also of a level that is new
        else:
            self._sums[level][nodes] = sums
        total: Floats = sums[:, -1]
        return total


class MinTree(_Tree):
    """Finds the slots of the lowest values."""

    def __init__(self) -> None:
        """No slot has a value."""
        super().__init__(np.inf)

    def lowest(self) -> int:
        """The slot of the lowest value; the first of several.

        Raises:
            ValueError: no slot has a value.
        """
        node = int(self._levels[-1].argmin())
        if self._levels[-1][node] == np.inf:
            raise ValueError("got a tree without values; expected one at least")
        for level in reversed(self._levels[:-1]):
            node = node * FAN + int(level[node * FAN : (node + 1) * FAN].argmin())
        return node

    def _reduce(self, level: int, nodes: Slots) -> Floats:
        least: Floats = self._children(level, nodes).min(axis=1)
        return least
