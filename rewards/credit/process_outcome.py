"""`ProcessOutcome`: scores of steps that cannot pay for an episode that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, require_order


class ProcessOutcome(Reshape):
    """r'_t = r_t + o − 1 for each step but the last of its episode, r'_T = o; over the deviation of the batch.

    With step scores r and outcomes o between 0 and 1, no step of a failed episode earns more than 0 and none of a right
    one less: a step that only looks good has nothing to gain from failing. NULL where the step's score or the outcome
    is; at the last step the outcome alone decides, and where an episode was cut no step is the last. What is NULL is in
    no deviation.

    Source: ReNorm of PPR, Hybrid Reward Normalization (Xu et al. 2025); the formula is as recalled. That the deviation
    is the population's over the batch, and that equal values are divided by 1, is chosen here.

    Attributes:
        outcome: name of the column of o, of the episode (or of steps).
        normalise: whether to divide.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"renorm": {"normalise": True}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r"}
    levels: ClassVar[Mapping[str, Level]] = {"outcome": "episode"}

    part: Literal["process_outcome"] = "process_outcome"
    outcome: str = "outcome"
    normalise: bool = True

    @property
    def inputs(self) -> tuple[str, ...]:
        """Scores of steps, and the outcome."""
        return (self.of, self.outcome)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens.

        Raises:
            ValueError: the scores are of what has no order.
        """
        own = super().level(levels)
        require_order(self.of, own)
        return own

    def apply(self, table: Table, state: State) -> Column:
        """Calibrated rewards."""
        own, column = table.levels[self.of], table[self.of]
        outcome, last = table.at(self.outcome, own), table.nested(self).final(own)
        known = outcome.valid & (column.valid | last)
        step = np.where(column.valid & ~last, column.values, np.float32(1.0)).astype(np.float64)
        found = np.where(known, step + np.where(outcome.valid, outcome.values, 0.0) - 1, 0.0)
        if self.normalise and known.any():
            deviation = float(found[known].std())
            found = found / (deviation if deviation > 1e-8 else 1.0)
        return Column(found.astype(np.float32), known)

    def formula(self, term: str) -> str:
        """Scores, calibrated by the outcome."""
        over = "/std" if self.normalise else ""
        return f"({term} + {self.outcome} − 1 | last: {self.outcome}){over}"
