"""`HypervolumeGuided`: a weighted sum that is worth more while it widens the front of what was reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import FiniteFloat, model_validator

from rewards.aggregation.weighted_sum import WeightedSum
from rewards.columns import Column
from rewards.views.part import State, Table, Terms


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Volume that points `[N, K]` dominate above a reference `[K]`, larger being better; exact, by slices.

    Raises:
        ValueError: shapes that do not fit.
    """
    found, floor = np.asarray(points, np.float64), np.asarray(reference, np.float64)
    if found.ndim != 2 or floor.shape != found.shape[1:]:
        raise ValueError(f"got points of shape {found.shape} and a reference of {floor.shape}; expected [N, K] and [K]")
    return _sliced(found[(found > floor).all(1)] - floor)


def _sliced(points: NDArray[np.float64]) -> float:
    """Volume of the union of boxes from 0 to each point."""
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    total, below = 0.0, 0.0
    for height in np.unique(points[:, -1]):
        total += (height - below) * _sliced(points[points[:, -1] >= height][:, :-1])
        below = float(height)
    return total


class HypervolumeGuided(WeightedSum):
    """R = m Σ_k w_k r_k, m = low + (high − low) · tanh(max(ΔHV, 0)), ΔHV what the last batch added to the hypervolume.

    After each batch the means of all rewards are a point; if it enlarges the hypervolume of the points before it, it is
    kept, and the reward grows up to `high`; else it shrinks to `low`. An advantage that divides by the deviation of the
    group would undo that: use `dr_grpo` or `rloo`. In the paper the point is of validation data; here, of the batch.

    Source: Dynamic Reward Weighting (Lu et al. 2025), hypervolume-guided; m from 0.5 to 2 as in the released code. Its
    other scheme, by gradients, is `learners.objectives.influence`.

    Attributes:
        reference: the point from which volumes are measured, one number a coefficient.
        low: m without progress.
        high: m of endless progress.
        most: points that are kept; dominated ones go first, then the oldest.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"hypervolume": {"low": 0.5, "high": 2.0}}
    example: ClassVar[Mapping[str, Any]] = {"coefficients": {"a": 1.0, "b": 0.5}, "reference": (0.0, 0.0)}

    part: Literal["hypervolume_guided"] = "hypervolume_guided"  # type: ignore[assignment]
    reference: tuple[FiniteFloat, ...]
    low: FiniteFloat = 0.5
    high: FiniteFloat = 2.0
    most: int = 64

    @model_validator(mode="after")
    def _fits(self) -> HypervolumeGuided:
        if len(self.reference) != len(self.coefficients):
            raise ValueError(f"got a reference of {len(self.reference)} numbers for {list(self.coefficients)}")
        if not 0 < self.low <= self.high or self.most < 1:
            raise ValueError(
                f"got low={self.low}, high={self.high}, most={self.most}; expected 0 < low ≤ high, most ≥ 1"
            )
        return self

    def initial_state(self) -> State:
        """No point yet."""
        return {"front": [], "multiplier": 1.0}

    def update(self, table: Table, state: State) -> State:
        """See whether the batch widens the front; one of which a reward is NULL throughout says nothing."""
        means = []
        for name in self.inputs:
            column = table[name]
            if not column.valid.any():
                return state
            means.append(float(column.values[column.valid].astype(np.float64).mean()))
        front: list[Sequence[float]] = list(state["front"])
        before = hypervolume(np.reshape(front, (-1, len(means))), self.reference)
        gain = hypervolume(np.array([*front, means]), self.reference) - before
        if gain > 0:
            front = [point for point in front if any(p > m for p, m in zip(point, means, strict=True))] + [means]
        return {
            "front": front[-self.most :],
            "multiplier": self.low + (self.high - self.low) * float(np.tanh(max(gain, 0.0))),
        }

    def apply(self, table: Table, state: State) -> Column:
        """The sum, times what progress makes of it."""
        found = super().apply(table, {})
        return found.map(found.values * np.float32(state["multiplier"]))

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """The terms of all components, times their coefficients and the multiplier."""
        found = super().attribute(table, terms, {})
        return {name: state["multiplier"] * values for name, values in found.items()}

    def describe(self, terms: Mapping[str, str]) -> str:
        """The sum and its multiplier."""
        return f"m(ΔHV)·({super().describe(terms)})"
