"""`LengthContrast`: right answers gain by being short for a right one, wrong ones by being long for a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, FiniteFloat

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class LengthContrast(Reshape):
    """r + e^(−α z) − 1 where right, r + 1 − e^(−β z) where wrong; z = (length − mean) / std of such in a group.

    Which answers are right is another column's to say, so that r may be any reward. Exponents are limited to ± 5. NULL
    where the reward, the length or the verdict is; such answers are in no mean.

    Source: AutoThink's third stage (α = β = 0.05 in its released code).

    Attributes:
        right: name of the column that says whether an answer is right, at least `least`.
        length: name of the column of lengths.
        alpha: α, of right answers.
        beta: β, of wrong ones.
        least: at which an answer is right.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "stays"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"autothink_length": {"alpha": 0.05, "beta": 0.05}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "right": "right", "length": "n"}

    part: Literal["length_contrast"] = "length_contrast"
    right: str = "right"
    length: str = "length"
    alpha: float = Field(0.05, ge=0, allow_inf_nan=False)
    beta: float = Field(0.05, ge=0, allow_inf_nan=False)
    least: FiniteFloat = 0.5

    @property
    def inputs(self) -> tuple[str, ...]:
        """The reward, the verdict and the length; a column may be both of the first."""
        return tuple(dict.fromkeys((self.of, self.right, self.length)))

    def apply(self, table: Table, state: State) -> Column:
        """Rewards, and what their length adds."""
        own, column = table.levels[self.of], table[self.of]
        verdict, lengths = table.at(self.right, own), table.at(self.length, own)
        known = column.valid & verdict.valid & lengths.valid
        right = known & (verdict.values >= self.least)
        owner = 2 * table.nested(self).owner(own, "group") + right
        size = int(owner.max(initial=-1)) + 1
        values = np.where(known, lengths.values, 0.0).astype(np.float64)
        count = np.maximum(np.bincount(owner, known, size), 1)
        apart = np.where(known, values - (np.bincount(owner, values, size) / count)[owner], 0.0)
        deviation = np.sqrt(np.bincount(owner, apart**2, size) / count)[owner]
        z = apart / np.where(deviation > 1e-6, deviation, np.inf)
        rate = np.where(right, self.alpha, self.beta)
        fading = np.exp(np.clip(-rate * z, -5.0, 5.0)) - 1
        added = np.where(right, fading, -fading)
        return Column((np.where(known, column.values, 0.0) + added).astype(np.float32), known)

    def formula(self, term: str) -> str:
        """What length adds."""
        return f"{term} ± (e^(−{self.alpha:g}|{self.beta:g}·z({self.length})) − 1)"
