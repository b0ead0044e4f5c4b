"""`Normalise`: divide by the running deviation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.running import RunningMoments
from rewards.views.part import Reshape, State, Table, Terms


class Normalise(Reshape):
    """Divide by the standard deviation of all valid values seen, the current ones included.

    NULL stays NULL and leaves the statistics alone. Where all values seen were (nearly) the same, divides by `smallest`
    at least; before any value was seen, by 1.

    Attributes:
        centre: subtract the mean as well; changes which outcomes are rewards and which penalties.
        smallest: least divisor.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "centre": True}

    part: Literal["normalise"] = "normalise"
    centre: bool = False
    smallest: float = Field(1e-3, gt=0)

    def initial_state(self) -> State:
        """Nothing seen."""
        return RunningMoments().state_dict()

    def update(self, table: Table, state: State) -> State:
        """See the valid values."""
        moments = _moments(state)
        moments.update(table[self.of].values[table[self.of].valid])
        return moments.state_dict()

    def apply(self, table: Table, state: State) -> Column:
        """Divide by the running standard deviation."""
        moments, column = _moments(state), table[self.of]
        centred = column.values - np.float32(moments.mean) if self.centre else column.values
        return column.map(centred / np.float32(max(float(moments.std), self.smallest)))

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Each term divided; what centring takes away is the part's own."""
        return self.model_copy(update={"centre": False}).passed(table, terms[self.of], state)

    def formula(self, term: str) -> str:
        """Divide by the running standard deviation."""
        return f"({term} − mean({term}))/std({term})" if self.centre else f"{term}/std({term})"


def _moments(state: State) -> RunningMoments:
    moments = RunningMoments()
    moments.load_state_dict(state)
    return moments
