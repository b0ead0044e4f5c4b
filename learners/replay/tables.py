"""`Table`: a struct of NumPy arrays whose slots are handed out and taken back, many at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.int64]


class Table:
    """Columns that grow together. Do not keep a column across `add`: it may have grown elsewhere."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        """An empty table.

        Args:
            columns: NumPy type by name.
        """
        self._columns: dict[str, NDArray[Any]] = {name: np.zeros(64, dtype) for name, dtype in columns.items()}
        self._used = np.zeros(64, bool)
        self._free: list[int] = []
        self._top = 0

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    def __len__(self) -> int:
        return self._top - len(self._free)

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return list(self._columns)

    @property
    def size(self) -> int:
        """Slots there are, used or not."""
        return len(self._used)

    def add(self, number: int) -> Slots:
        """Slots for `number` new entries; what stands in their columns is left over."""
        reused = self._free[max(0, len(self._free) - number) :]
        del self._free[len(self._free) - len(reused) :]
        fresh = number - len(reused)
        if self._top + fresh > len(self._used):
            self._grow(max(2 * len(self._used), self._top + fresh))
        slots = np.array([*reused, *range(self._top, self._top + fresh)], np.int64)
        self._top += fresh
        self._used[slots] = True
        return slots

    def free(self, slots: Slots) -> None:
        """Take slots back."""
        self._used[slots] = False
        self._free.extend(slots.tolist())

    def is_used(self, slots: Slots) -> NDArray[np.bool_]:
        """Which slots are in use."""
        used: NDArray[np.bool_] = self._used[slots]
        return used

    def used(self) -> Slots:
        """Slots in use, ascending."""
        return np.flatnonzero(self._used)

    def _grow(self, size: int) -> None:
        def grown(column: NDArray[Any]) -> NDArray[Any]:
            larger = np.zeros(size, column.dtype)
            larger[: len(column)] = column
            return larger

        self._columns = {name: grown(column) for name, column in self._columns.items()}
        self._used = grown(self._used)
