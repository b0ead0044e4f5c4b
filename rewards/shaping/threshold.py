"""`Threshold`: keep what is large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class Threshold(Reshape):
    """Keep what exceeds `above`; what does not is worth 0. NULL stays NULL."""

    example: ClassVar[Mapping[str, Any]] = {"of": "r", "above": 0.5}

    part: Literal["threshold"] = "threshold"
    above: float

    def apply(self, table: Table, state: State) -> Column:
        """Values above `above`, 0 elsewhere."""
        column = table[self.of]
        return column.map(np.where(column.values > np.float32(self.above), column.values, np.float32(0.0)))

    def formula(self, term: str) -> str:
        """Values above `above`, 0 elsewhere."""
        return f"{term}·1[{term} > {self.above:g}]"
