"""`BestOfGroup`: learn from the best answer of each group, and from no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table


class BestOfGroup(Reshape):
    """A = 1 for the best of each group, 0 for the others: policy gradient is then supervised learning on the best.

    Of equals the first is taken. NULL is never the best and stays NULL.

    Sources: rejection-sampling fine-tuning, RAFT (Dong et al. 2023); DPA takes the best along a direction.
    """

    stage: ClassVar[Stage] = "advantage"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"raft": {}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r"}

    part: Literal["best_of_group"] = "best_of_group"
    to: str = "advantage"

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of the rewards, which must be within a group.

        Raises:
            ValueError: it is a column of groups.
        """
        own = super().level(levels)
        if own == "group":
            raise ValueError(f"got {self.of!r}, a column of each group; expected a finer one: a group has no rival")
        return own

    def apply(self, table: Table, state: State) -> Column:
        """1 for the best, 0 for others."""
        column, layout, own = table[self.of], table.nested(self), table.levels[self.of]
        group = layout.owner(own, "group")
        values = np.where(column.valid, column.values, -np.inf)
        highest = np.flatnonzero(values >= layout.extreme(values, own, "group", largest=True)[group])[::-1]
        first = np.full(layout.size("group"), -1)
        first[group[highest]] = highest  # of equals, the first is written last
        best = np.zeros(len(group), np.float32)
        best[first[first >= 0]] = 1.0
        return Column(best, column.valid)

    def formula(self, term: str) -> str:
        """The indicator of the best."""
        return f"1[{term} is the best of its group]"
