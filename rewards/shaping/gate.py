"""`Gate`: paid only where something that matters more was good enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table, Terms


class Gate(Reshape):
    """r where by ≥ least, and `otherwise` elsewhere. NULL where either is: a gate that nobody has judged is not known.

    For a hierarchy of rewards, gate each by the one above it; a closed gate then closes those below if they are gated
    by what it let through.

    Sources: G-RA: Stabilizing Long-term Multi-turn Reinforcement Learning with Gated Rewards, where immediate rewards
    count only in episodes whose outcome reaches δ; Tool-Star, where a bonus needs a right answer, and an answer that is
    not in its form earns −1.

    Attributes:
        by: name of the column that opens the gate, of the same level or a coarser one.
        least: δ, at which it opens.
        otherwise: what is paid where it is closed.
    """

    linear: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "g_ra": {"by": "outcome", "least": 1.0},
        "if_right": {"by": "right", "least": 0.5},
        "form_or_minus_one": {"by": "form", "least": 0.5, "otherwise": -1.0},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "by": "outcome", "least": 0.5}

    part: Literal["gate"] = "gate"
    by: str
    least: float = Field(allow_inf_nan=False)
    otherwise: float = Field(0.0, allow_inf_nan=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is paid, and what opens the gate."""
        return (self.of, self.by)

    def apply(self, table: Table, state: State) -> Column:
        """Values where the gate is open, `otherwise` where it is closed."""
        column, by = table[self.of], table.at(self.by, table.levels[self.of])
        return column.map(np.where(by.values >= self.least, column.values, np.float32(self.otherwise)), by.valid)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """What the gate lets through; what is paid at a closed one is the part's own."""
        return self.model_copy(update={"otherwise": 0.0}).passed(table, terms[self.of], state)

    def formula(self, term: str) -> str:
        """Values times the gate."""
        open_ = f"{term}·1[{self.by} ≥ {self.least:g}]"
        return f"{open_} + {self.otherwise:g}·1[{self.by} < {self.least:g}]" if self.otherwise else open_
