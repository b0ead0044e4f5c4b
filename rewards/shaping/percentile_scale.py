"""`PercentileScale`: where a number lies between two percentiles of the latest ones, for costs in any unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table

Floats = NDArray[np.float64]
SMALLEST = 1e-8
"""Least distance of two percentiles that tell numbers apart."""


class PercentileScale(Reshape):
    """r' = clip((f(x) − p_low) / (p_high − p_low), 0, 1), or 1 − that; ½ where the percentiles are one.

    The percentiles are of f(x) over the latest `window` values, those of the batch included. So a price list in another
    currency changes nothing, a call that costs a hundred times the usual counts no more than one at p_high, and as the
    policy moves to cheaper calls the scale goes with it. NULL stays NULL and is in no percentile.

    Source: Router-R1, whose reward of a cheap answer is this of price · output tokens with the root for f; its released
    code adds each call to the window by itself, here a batch is added before any of it is scaled.

    Attributes:
        low: share of the window that lies below 0.
        high: share of the window that lies below 1.
        window: values that are remembered.
        transform: f; "root" for numbers of at least 0 that range over orders of magnitude.
        falling: whether little is worth much, as of costs.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "router_r1": {"low": 0.05, "high": 0.95, "window": 1000, "transform": "root", "falling": True}
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r"}

    part: Literal["percentile_scale"] = "percentile_scale"
    low: float = Field(0.05, ge=0, le=1)
    high: float = Field(0.95, ge=0, le=1)
    window: int = Field(1000, ge=1)
    transform: Literal["none", "root"] = "none"
    falling: bool = False

    @model_validator(mode="after")
    def _apart(self) -> PercentileScale:
        if self.low >= self.high:
            raise ValueError(f"got low {self.low:g} and high {self.high:g}; expected low below high")
        return self

    def initial_state(self) -> State:
        """Nothing seen."""
        return {"latest": []}

    def update(self, table: Table, state: State) -> State:
        """Remember the valid values, and forget the oldest."""
        column = table[self.of]
        return {"latest": [*state["latest"], *self._f(column.values[column.valid]).tolist()][-self.window :]}

    def apply(self, table: Table, state: State) -> Column:
        """Values between 0 and 1.

        Raises:
            ValueError: a root is to be taken of a number below 0.
        """
        column = table[self.of]
        place = self._f(np.where(column.valid, column.values, 0.0))
        low, high = np.quantile(state["latest"], [self.low, self.high]) if state["latest"] else (0.0, 0.0)
        if high - low < SMALLEST:
            return column.map(np.full(column.values.shape, np.float32(0.5)))
        scaled = np.clip((place - low) / (high - low), 0.0, 1.0)
        return column.map((1.0 - scaled if self.falling else scaled).astype(np.float32))

    def _f(self, values: NDArray[Any]) -> Floats:
        found = values.astype(np.float64)
        if self.transform == "none":
            return found
        if (found < 0).any():
            raise ValueError(f"got {self.of} of {found.min():g}; expected at least 0, or transform: none")
        return np.sqrt(found)

    def formula(self, term: str) -> str:
        """The share of the way between the percentiles."""
        x, p = (f"√{term}", f"p(√{self.of})") if self.transform == "root" else (term, f"p({self.of})")
        share = f"clip(({x} − {p}_{self.low:g})/({p}_{self.high:g} − {p}_{self.low:g}), 0, 1)"
        return f"1 − {share}" if self.falling else share
