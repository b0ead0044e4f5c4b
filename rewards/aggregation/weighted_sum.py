"""`WeightedSum`: components times coefficients, and what a NULL does in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rewards.columns import Column
from rewards.views.layout import LEVELS, Level
from rewards.views.part import Part, Stage, State, Table, Terms

OnNull = Literal["omit", "mask"]


class WeightedSum(Part):
    """The sum of components times coefficients. It is of the finest level among them; coarser ones count in each.

    Attributes:
        coefficients: by component; they may be negative (a cost) or 0 (recorded, without effect).
        on_null: by component, what a NULL does. "omit": the component contributes nothing there. "mask": the sum is
            NULL, and the step is excluded from the loss. Components not named here are masked: the safe choice, since
            what such a step is worth is not known.
        to: name of the sum.
    """

    stage: ClassVar[Stage] = "aggregation"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    example: ClassVar[Mapping[str, Any]] = {"coefficients": {"a": 1.0, "b": -0.5}, "on_null": {"b": "omit"}}

    part: Literal["weighted_sum"] = "weighted_sum"
    coefficients: dict[str, float] = Field(min_length=1)
    on_null: dict[str, OnNull] = Field(default_factory=dict)
    to: str = "reward"

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

    @property
    def output(self) -> str:
        """Name of the sum."""
        return self.to

    def level(self, levels: Mapping[str, Level]) -> Level:
        """The finest of the components."""
        return min((levels[name] for name in self.inputs), key=LEVELS.index)

    def contributions(self, table: Table) -> dict[str, NDArray[np.float32]]:
        """What each component puts in, `[N]`; 0 where it is NULL."""
        level = self.level(table.levels)
        columns = {name: table.at(name, level) for name in self.inputs}
        return {
            name: np.where(column.valid, column.values * np.float32(self.coefficients[name]), np.float32(0.0))
            for name, column in columns.items()
        }

    def apply(self, table: Table, state: State) -> Column:
        """The sum; NULL where a component is that is not omitted."""
        level = self.level(table.levels)
        contributions = self.contributions(table)
        total = np.zeros_like(next(iter(contributions.values())))
        known = np.ones(total.shape, np.bool_)
        for name, contribution in contributions.items():
            total = total + contribution
            if self.on_null.get(name, "mask") == "mask":
                known &= table.at(name, level).valid
        return Column(total, known)

    def describe(self, terms: Mapping[str, str]) -> str:
        """The sum, with the formula of each component put in."""
        return " + ".join(
            terms[name] if coefficient == 1 else f"{coefficient:g}·[{terms[name]}]"
            for name, coefficient in self.coefficients.items()
        )

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """The terms of all components, times their coefficients."""
        level = self.level(table.levels)
        found: Terms = {}
        for name, coefficient in self.coefficients.items():
            for term, values in terms[name].items():
                found[term] = found.get(term, 0.0) + coefficient * table.spread(values, table.levels[name], level)
        return found
