"""Trees over slots: by priority in proportion (`SumTree`), and by the lowest value (`MinTree`).

Wide and flat rather than binary: with 128 children a node, a million leaves need two inner levels, and a batch of
draws or changes is a handful of NumPy calls. Inner nodes are computed anew from their children and never by
differences, so that no rounding piles up.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FAN = 128
Floats = NDArray[np.float64]
Slots = NDArray[np.int64]


class _Tree:
    """Leaves by slot, each inner node the reduction of its `FAN` children.

    Attributes:
        root: the reduction of all leaves.
    """

    def __init__(self, reduce: np.ufunc, empty: float) -> None:
        self._reduce, self._empty = reduce, empty
        self._levels: list[Floats] = [np.full(FAN, empty)]
        self.root = empty

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
        self._levels[0][slots] = values
        nodes = slots
        for below, above in pairwise(self._levels):
            nodes = np.unique(nodes // FAN)
            above[nodes] = self._reduce.reduce(below.reshape(-1, FAN)[nodes], axis=1)
        self.root = float(self._reduce.reduce(self._levels[-1]))

    def _grow(self, slots: int) -> None:
        size = FAN * -(-max(slots, 2 * len(self._levels[0])) // FAN)
        leaves = np.full(size, self._empty)
        leaves[: len(self._levels[0])] = self._levels[0]
        self._levels = [leaves]
        while len(self._levels[-1]) > FAN:
            values = self._reduce.reduce(self._levels[-1].reshape(-1, FAN), axis=1)
            padded = np.full(FAN * -(-len(values) // FAN), self._empty)
            padded[: len(values)] = values
            self._levels.append(padded)


class SumTree(_Tree):
    """Draws slots in proportion to their values."""

    def __init__(self) -> None:
        """All values 0."""
        super().__init__(np.add, 0.0)

    def draw(self, number: int, rng: np.random.Generator) -> Slots:
        """Draw slots, one from each of `number` equal parts of the sum (Schaul et al. 2016, appendix B.2.1).

        Args:
            number: how many, with replacement.
            rng: where chance comes from.

        Raises:
            ValueError: no slot has a value above 0.
        """
        sums = np.cumsum(self._levels[-1])
        if not sums[-1] > 0:
            raise ValueError("got a tree whose values are all 0; expected one above 0 to draw from")
        points = (np.arange(number) + rng.random(number)) * (sums[-1] / number)
        # A point that rounding puts at the end belongs to the last child with any mass.
        nodes: Slots = np.minimum(sums.searchsorted(points, side="right"), sums.argmax())
        points -= sums[nodes] - self._levels[-1][nodes]
        for level in reversed(self._levels[:-1]):
            children = level.reshape(-1, FAN)[nodes]
            sums = children.cumsum(axis=1)
            child = np.minimum((sums <= points[:, None]).sum(axis=1), sums.argmax(axis=1))
            index = np.arange(number)
            points -= sums[index, child] - children[index, child]
            nodes = nodes * FAN + child
        return nodes


class MinTree(_Tree):
    """Finds the slots of the lowest values."""

    def __init__(self) -> None:
        """No slot has a value."""
        super().__init__(np.minimum, np.inf)

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
