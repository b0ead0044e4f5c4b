"""`MinForm`: a solution is worth what its worst step is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, Terms, require_order


class MinForm(Reshape):
    """r*_i = w_i r_i with w = softmax(−r / temperature) over the steps of an episode.

    Their sum is the least reward of the episode for temperature → 0, so that what computes returns by summing computes
    them by the minimum: good steps in plenty do not make up for a bad one, and earn nothing by being many.

    Who is NULL is in no softmax. Source: PURE: Stop Summation, temperature 0.1.

    Attributes:
        temperature: of the softmax.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"pure": {"temperature": 0.1}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r"}

    part: Literal["min_form"] = "min_form"
    temperature: float = Field(0.1, gt=0, allow_inf_nan=False)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens."""
        own = super().level(levels)
        require_order(self.of, own)
        return own

    def _weights(self, table: Table) -> NDArray[np.float64]:
        """w, 0 where NULL."""
        layout, own, column = table.nested(self), table.levels[self.of], table[self.of]
        owner, size = layout.owner(own, "episode"), layout.size("episode")
        values = np.where(column.valid, column.values, np.inf).astype(np.float64)
        least = np.full(size, np.inf)
        np.minimum.at(least, owner, values)
        above = np.where(column.valid, values - np.where(np.isfinite(least), least, 0.0)[owner], 0.0)
        weight = np.where(column.valid, np.exp(-above / self.temperature), 0.0)
        total = np.bincount(owner, weight, size)
        found: NDArray[np.float64] = weight / np.where(total > 0, total, 1.0)[owner]
        return found

    def apply(self, table: Table, state: State) -> Column:
        """Rewards times their weight."""
        column = table[self.of]
        return column.map((column.values * self._weights(table)).astype(np.float32))

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Each term, times the weight of its step."""
        weight = self._weights(table)
        return {name: values * weight for name, values in terms[self.of].items()}

    def formula(self, term: str) -> str:
        """Rewards times their weight."""
        return f"softmax_episode(−{term}/{self.temperature:g})·{term}"
