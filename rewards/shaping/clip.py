"""`Clip`: limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class Clip(Reshape):
    """Limit to `[low, high]`. NULL stays NULL.

    No view clips unless it is told to: a goal reward of 50 that is clipped to 10 is another task.
    """

    example: ClassVar[Mapping[str, Any]] = {"of": "r", "low": 0.2, "high": 0.7}

    part: Literal["clip"] = "clip"
    low: float = Field(allow_inf_nan=True)  # an infinite one limits on the other side alone
    high: float = Field(allow_inf_nan=True)

    @model_validator(mode="after")
    def _ordered(self) -> Clip:
        if not self.low < self.high:
            raise ValueError(f"got a clip to [{self.low}, {self.high}]; expected low < high")
        return self

    def apply(self, table: Table, state: State) -> Column:
        """Limit to `[low, high]`."""
        column = table[self.of]
        return column.map(np.clip(column.values, np.float32(self.low), np.float32(self.high)))

    def formula(self, term: str) -> str:
        """Limit to `[low, high]`."""
        return f"clip({term}, {self.low:g}, {self.high:g})"
