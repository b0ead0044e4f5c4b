"""`Expression`: components put together by a formula, such as a model composes when it designs rewards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rewards.aggregation.several import Floats, Several
from rewards.columns import LARGEST, Column
from rewards.formulas import read
from rewards.views.part import Stage, State, Table


class Expression(Several):
    """R = formula(g1 + shift, …, gK + shift), with g1 the first of the columns: numbers, + − * / and parentheses.

    NULL where one of the columns is, and where the formula has no value: it divides by 0, or is too large.

    Attributes:
        formula: the text, such as `g1 * (g2 + 0.5)`; see `rewards.formulas`.
        shift: added to each column; a little keeps what is paid 0 or 1 from being divided by as 0.

    Source: DERL, Differentiable Evolutionary Reinforcement Learning (Cheng et al. 2025), whose primitives are 10⁻⁶
    or 1 + 10⁻⁶. Its released code hands formulas to Python's `eval`, and pays 0 where one has no value; here they are
    only read, and such rows are NULL.
    """

    stage: ClassVar[Stage] = "aggregation"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"derl": {"shift": 1e-6}}
    example: ClassVar[Mapping[str, Any]] = {"of": ("a", "b"), "formula": "g1 * (g2 + 0.5) - g2 / 2"}

    part: Literal["expression"] = "expression"
    formula: str
    shift: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _readable(self) -> Expression:
        read(self.formula, self.names)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called in the formula."""
        return tuple(f"g{k}" for k in range(1, len(self.of) + 1))

    def combined(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """What the formula makes of them; NaN where it has no value that a reward can have."""
        found = read(self.formula, self.names)(dict(zip(self.names, values + self.shift, strict=True)))
        return np.where(np.abs(found) <= LARGEST, found, np.nan)

    def apply(self, table: Table, state: State) -> Column:
        """What the formula makes of them; NULL where one is, or where it has no value."""
        values, known = self.stacked(table)
        found = self.combined(values, known)
        return Column(found.astype(np.float32), np.logical_and.reduce(known, axis=0) & np.isfinite(found))

    def describe(self, terms: Mapping[str, str]) -> str:
        """The formula, and what its names stand for."""
        named = ", ".join(f"{name} = {terms[of]}" for name, of in zip(self.names, self.of, strict=True))
        return f"{self.formula} where {named}{f', each + {self.shift:g}' if self.shift else ''}"
