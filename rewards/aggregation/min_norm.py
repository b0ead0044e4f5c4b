"""`MinNorm`: of several advantages, the one number that is good for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rewards.aggregation.several import Floats, Several
from rewards.views.part import Stage, State, Table, Terms


class MinNorm(Several):
    """s = the point of [min_k A_k, max_k A_k] that is nearest to 0. NULL where one advantage is.

    The min-norm point of the advantages' convex hull: 0 where they disagree in sign, the least of positive ones, the
    largest of negative ones. It bounds the min-norm combination of the objectives' gradients (MGDA), which would need
    all of them. With `positive`, advantages below 0 count as 0 first (Noon PPO): only what is better for every
    objective is reinforced, and nothing is unlearnt.

    Source: PAMA, Pareto Multi-Objective Alignment (He and Maghsudi 2025).

    Attributes:
        positive: whether negative advantages count as 0.
    """

    stage: ClassVar[Stage] = "advantage"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"pama": {"positive": True}, "mgda": {"positive": False}}
    example: ClassVar[Mapping[str, Any]] = {"of": ("a", "b")}

    part: Literal["min_norm"] = "min_norm"
    to: str = "advantage"
    positive: bool = True

    def combined(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """The point nearest to 0."""
        found = np.maximum(values, 0.0) if self.positive else values
        nearest: Floats = np.clip(0.0, found.min(0), found.max(0))
        return nearest

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """All of it to the objective whose advantage it is; of equals, to the first."""
        values, _ = self.stacked(table)
        made = np.nan_to_num(self.apply(table, state).values.astype(np.float64))
        decides = np.abs(values - made).argmin(0)
        return {name: np.where(decides == k, made, 0.0) for k, name in enumerate(self.of)}

    def describe(self, terms: Mapping[str, str]) -> str:
        """The point nearest to 0."""
        each = ", ".join(f"[{terms[name]}]₊" if self.positive else terms[name] for name in self.of)
        return f"nearest_to_0(min({each}), max({each}))"
