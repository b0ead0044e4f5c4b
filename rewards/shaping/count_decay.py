"""`CountDecay`: what was seen often in an episode is worth less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class CountDecay(Reshape):
    """Divide by a power of how often the same was seen in this episode, the current time included: r / N^β.

    NULL where the value or the count is NULL. Counts below 1, which steps without a caption have, divide by 1.
    Source: ONI (Zheng et al. 2024), β = 3.

    Attributes:
        count: name of the column of counts.
        beta: β; 0 switches the decay off.
    """

    linear: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"oni": {"beta": 3.0}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "count": "n"}

    part: Literal["count_decay"] = "count_decay"
    count: str = "caption_count"
    beta: float = Field(3.0, ge=0)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The value and the count."""
        return (self.of, self.count)

    def apply(self, table: Table, state: State) -> Column:
        """Divide by N^β."""
        column, counts = table[self.of], table.at(self.count, table.levels[self.of])
        decay = np.maximum(counts.values, np.float32(1.0)) ** np.float32(-self.beta)
        return column.map(column.values * decay, counts.valid)

    def formula(self, term: str) -> str:
        """Divide by N^β."""
        return f"{term}/{self.count}^{self.beta:g}"
