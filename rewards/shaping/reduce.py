"""`Reduce`: one value for an episode, a step or a group, from those of what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from rewards.columns import Column
from rewards.views.layout import LEVELS, Layout, Level
from rewards.views.part import Reshape, State, Table, Terms


class Reduce(Reshape):
    """Sum, mean, least, largest or last value within what is coarser.

    NULL values are left out; what has nothing else in it is NULL. With `strict`, one NULL makes the whole NULL. `last`
    is the value of the last one, and NULL where that is.

    Attributes:
        over: what there will be one value of.
        by: how.
        strict: whether all of it must be known.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "by": "mean"}

    part: Literal["reduce"] = "reduce"
    over: Level = "episode"
    by: Literal["sum", "mean", "min", "max", "last"] = "sum"
    strict: bool = False

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of what it reduces to; what it reads must be finer."""
        own = levels[self.of]
        if LEVELS.index(own) >= LEVELS.index(self.over):
            raise ValueError(f"got {self.of!r}, a column of each {own}; expected a finer one than {self.over}")
        return self.over

    def apply(self, table: Table, state: State) -> Column:
        """One value for each thing of level `over`."""
        layout, fine, column = table.nested(self), table.levels[self.of], table[self.of]
        known = layout.total(column.valid, fine, self.over)
        size = layout.total(np.ones(len(column.valid)), fine, self.over)
        valid = (known == size) & (size > 0) if self.strict else known > 0
        if self.by == "last":
            return self._last(layout, fine, column)
        values = np.where(column.valid, column.values, 0.0).astype(np.float64)
        if self.by in ("min", "max"):
            largest = self.by == "max"
            values = np.where(column.valid, values, -np.inf if largest else np.inf)
            found = layout.extreme(values, fine, self.over, largest)
        else:
            found = layout.total(values, fine, self.over)
            if self.by == "mean":
                found = found / np.maximum(known, 1)
        return Column(np.where(valid, found, np.nan).astype(np.float32), valid)

    def _last(self, layout: Layout, fine: Level, column: Column) -> Column:
        ends, owner = layout.last(fine, self.over), layout.owner(fine, self.over)
        values, valid = np.full(layout.size(self.over), np.nan, np.float32), np.zeros(layout.size(self.over), np.bool_)
        values[owner[ends]], valid[owner[ends]] = column.values[ends], column.valid[ends]
        return Column(values, valid)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Each term reduced alike; of a largest or least value, the terms of where it stands."""
        column = table[self.of]
        if self.by not in ("min", "max"):
            return self.passed(table, terms[self.of], state)
        layout, fine = table.nested(self), table.levels[self.of]
        owner, best = layout.owner(fine, self.over), self.apply(table, state)
        hit = np.flatnonzero(column.valid & (column.values == best.values[owner]))[::-1]
        where = np.zeros(layout.size(self.over), np.int64)
        where[owner[hit]] = hit  # the first of equals
        return {name: np.where(best.valid, values[where], 0.0) for name, values in terms[self.of].items()}

    def formula(self, term: str) -> str:
        """The operation over what is in it."""
        return f"{self.by}_{self.over}({term})"
