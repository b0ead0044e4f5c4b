"""`Tallies`: how often items and rows were sampled, and how many samples hold an item, many samples counted at once.

To count the items of one sample takes as long as to draw it. So what is to be counted is noted, and counted before
anybody looks at the columns `times` and `pins`.
"""

from __future__ import annotations

import numpy as np

from learners.replay.tables import Slots, Table

_MOST = 256  # samples that are noted and not counted


class Tallies:
    """What is to be counted in the tables of items and rows."""

    def __init__(self, items: Table, rows: Table) -> None:
        """Nothing is to be counted.

        Args:
            items: whose columns `times` and `pins` count.
            rows: whose column `times` counts.
        """
        self._items, self._rows = items, rows
        self._sampled: list[Slots] = []
        self._touched: list[Slots] = []
        self._released: list[Slots] = []

    def sampled(self, items: Slots, rows: Slots) -> None:
        """A sample is made of these; one that is named twice counts twice."""
        self._sampled.append(items)
        self._touched.append(rows)
        if len(self._sampled) >= _MOST:
            self.settle()

    def released(self, items: Slots) -> None:
        """A sample of these holds them no more."""
        self._released.append(items)

    def settle(self) -> None:
        """Count what was noted; before it the columns are behind, and before any slot changes hands it must be done."""
        if self._sampled:
            items = np.concatenate(self._sampled)
            np.add.at(self._items["times"], items, 1)
            np.add.at(self._items["pins"], items, 1)
            np.add.at(self._rows["times"], np.concatenate(self._touched), 1)
            self._sampled.clear()
            self._touched.clear()
        if self._released:
            np.subtract.at(self._items["pins"], np.concatenate(self._released), 1)
            self._released.clear()
