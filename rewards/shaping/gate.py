"""`Gate`: paid only where something that matters more was good enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class Gate(Reshape):
    """r · 1[by ≥ least]. NULL where either is: whether a gate is open that nobody has judged is not known.

    For a hierarchy of rewards, gate each by the one above it; a closed gate then closes those below if they are gated
    by what it let through.

    Source: G-RA: Stabilizing Long-term Multi-turn Reinforcement Learning with Gated Rewards, where immediate rewards
    count only in episodes whose outcome reaches δ.

    Attributes:
        by: name of the column that opens the gate, of the same level or a coarser one.
        least: δ, at which it opens.
    """

    linear: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"g_ra": {"by": "outcome", "least": 1.0}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "by": "outcome", "least": 0.5}

    part: Literal["gate"] = "gate"
    by: str
    least: float = Field(allow_inf_nan=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is paid, and what opens the gate."""
        return (self.of, self.by)

    def apply(self, table: Table, state: State) -> Column:
        """Values where the gate is open, 0 where it is closed."""
        column, by = table[self.of], table.at(self.by, table.levels[self.of])
        return column.map(column.values * (by.values >= self.least), by.valid)

    def formula(self, term: str) -> str:
        """Values times the gate."""
        return f"{term}·1[{self.by} ≥ {self.least:g}]"
