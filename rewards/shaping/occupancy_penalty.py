"""`OccupancyPenalty`: a reward is worth less where the base policy never went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class OccupancyPenalty(Reshape):
    """r − λ e^d / √χ², d = log μ_π / μ_0 the log-ratio of how often the policy and the base policy are here.

    That is the gradient of J(π) − λ √χ²(μ_π ‖ μ_0), which bounds from below what a proxy that correlates with the true
    reward under the base policy can lose of it; χ² = E_π[e^d] − 1 is estimated from the batch. `kl` is r − λ d.

    A NULL in either column is NULL, and is not in the estimate. Where the policies are nearly the same, χ² counts as
    `smallest`; d is limited to ±20.

    Source: Laidlaw, Singhal and Dragan, Correlated Proxies (ORPO, occupancy-regularised); d comes from a discriminator
    (`learners.objectives.occupancy`).

    Attributes:
        log_ratio: name of the column of d, of steps.
        coefficient: λ, in units of the reward; by the bound, the proxy's deviation under μ_0 times √(1 − corr²).
        divergence: which one.
        smallest: least χ².
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "stays"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"orpo": {"divergence": "chi2"}, "kl": {"divergence": "kl"}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "coefficient": 0.1}

    part: Literal["occupancy_penalty"] = "occupancy_penalty"
    log_ratio: str = "log_ratio"
    coefficient: float = Field(ge=0, allow_inf_nan=False)
    divergence: Literal["chi2", "kl"] = "chi2"
    smallest: float = Field(1e-2, gt=0, allow_inf_nan=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Rewards, and log-ratios of occupancies."""
        return (self.of, self.log_ratio)

    def apply(self, table: Table, state: State) -> Column:
        """The reward less the penalty."""
        column, ratio = table[self.of], table.at(self.log_ratio, table.levels[self.of])
        known = column.valid & ratio.valid
        d = np.clip(np.where(known, ratio.values, 0.0).astype(np.float64), -20.0, 20.0)
        if self.divergence == "kl":
            penalty = d
        else:
            chi2 = float(np.exp(d[known]).mean()) - 1 if known.any() else 0.0
            penalty = np.exp(d) / np.sqrt(max(chi2, self.smallest))
        values = np.where(known, column.values, 0.0) - self.coefficient * penalty
        return Column(values.astype(np.float32), known)

    def formula(self, term: str) -> str:
        """The penalty."""
        d = self.log_ratio
        return f"{term} − {self.coefficient:g}·" + (d if self.divergence == "kl" else f"exp({d})/√χ²")
