"""How a view makes one reward of several components, and what it does where one of them is NULL."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards.columns import Column

OnNull = Literal["omit", "mask"]
Contributions = dict[str, NDArray[np.float32]]


class WeightedSum(BaseModel):
    """The sum of components times coefficients.

    Attributes:
        coefficients: by component; they may be negative (a cost) or 0 (recorded, without effect).
        on_null: by component, what a NULL does. "omit": the component contributes nothing to that step. "mask": the
            step is excluded from the loss. Components not named here are masked: the safe choice, since the reward of
            such a step is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["weighted_sum"] = "weighted_sum"
    coefficients: dict[str, float] = Field(min_length=1)
    on_null: dict[str, OnNull] = {}

    @model_validator(mode="after")
    def _consistent(self) -> WeightedSum:
        for name, coefficient in self.coefficients.items():
            if not math.isfinite(coefficient):
                raise ValueError(f"coefficients.{name}: got {coefficient}; expected a finite number")
        if unknown := sorted(set(self.on_null) - set(self.coefficients)):
            raise ValueError(f"on_null: got {unknown}; expected components of the sum: {sorted(self.coefficients)}")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns it reads, in the order they are summed."""
        return tuple(self.coefficients)

    def apply(self, columns: Mapping[str, Column]) -> tuple[Contributions, NDArray[np.float32]]:
        """Each component's contribution `[N]`, and the weight of each step in the loss `[N]`, 0 or 1."""
        contributions: Contributions = {}
        weight: NDArray[np.float32] = np.ones(columns[self.inputs[0]].values.shape, np.float32)
        for name, coefficient in self.coefficients.items():
            column = columns[name]
            contributions[name] = np.where(column.valid, column.values * np.float32(coefficient), np.float32(0.0))
            if self.on_null.get(name, "mask") == "mask":
                weight = weight * column.valid
        return contributions, weight

    def formula(self, terms: Mapping[str, str]) -> str:
        """The sum, with the formula of each component put in."""
        summands = [
            terms[name] if coefficient == 1 else f"{coefficient:g}·[{terms[name]}]"
            for name, coefficient in self.coefficients.items()
        ]
        return " + ".join(summands)
