"""`Anneal`: a factor that changes while a run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, FiniteFloat

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class Anneal(Reshape):
    """r' = w r, w from `start` to `end` in a straight line over `period` batches, and `end` from then on. NULL stays.

    The first batch that is learnt from has `start`, the batch after the `period`-th has `end`.

    Sources: Atom-Searcher, R = α r_process + (1 − α) r_outcome with α from 1/2 to 0, as two such parts and a
    `weighted_sum` (a straight line is how it is remembered); ToolRL's scales, 2 to 1 for the format and 2 to 3 for what
    is called.

    Attributes:
        start: w at first.
        end: w at last.
        period: batches between.
    """

    linear: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "atom_searcher_process": {"start": 0.5, "end": 0.0},
        "atom_searcher_outcome": {"start": 0.5, "end": 1.0},
        "toolrl_format": {"start": 2.0, "end": 1.0, "period": 150},
        "toolrl_correct": {"start": 2.0, "end": 3.0, "period": 150},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "start": 1.0, "end": 0.0, "period": 10}

    part: Literal["anneal"] = "anneal"
    start: FiniteFloat
    end: FiniteFloat
    period: int = Field(100, ge=1)

    def initial_state(self) -> State:
        """No batch seen."""
        return {"batches": 0}

    def update(self, table: Table, state: State) -> State:
        """One batch more."""
        return {"batches": state["batches"] + 1}

    def weight(self, batches: int) -> float:
        """W in the batch of that number, counted from 1."""
        return self.start + min(max(batches - 1, 0) / self.period, 1.0) * (self.end - self.start)

    def apply(self, table: Table, state: State) -> Column:
        """Values times w."""
        column = table[self.of]
        return column.map(column.values * np.float32(self.weight(state.get("batches", 0))))

    def formula(self, term: str) -> str:
        """Values times w."""
        return f"({self.start:g}→{self.end:g} in {self.period})·{term}"
