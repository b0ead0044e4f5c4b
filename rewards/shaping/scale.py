"""`Scale`: multiply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class Scale(Reshape):
    """Multiply. NULL stays NULL."""

    linear: ClassVar[bool] = True
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "factor": 2.0}

    part: Literal["scale"] = "scale"
    factor: float

    def apply(self, table: Table, state: State) -> Column:
        """Multiply by `factor`."""
        column = table[self.of]
        return column.map(column.values * np.float32(self.factor))

    def formula(self, term: str) -> str:
        """Multiply by `factor`."""
        return f"{self.factor:g}·{term}"
