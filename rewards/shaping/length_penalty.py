"""`LengthPenalty`: among right answers, the shorter are worth more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class LengthPenalty(Reshape):
    """r = correct · (1 − α σ(z)), z = (length − mean) / std over the right answers of the same group.

    Only in the `share` of the batch's groups that are right most often: where a task is not mastered yet, length is
    left alone and r = correct. Wrong answers always earn 0. NULL stays NULL, and is in no mean and no share.

    Source: GRPO-λ; that the share is 20 % of the batch and α 0.2 is chosen here.

    Attributes:
        length: name of the column of lengths.
        alpha: α, the most that is taken away.
        share: λ; 0 leaves every group alone, 1 none.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "stays"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "grpo_lambda": {"alpha": 0.2, "share": 0.2},
        "always": {"share": 1.0},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "length": "n"}

    part: Literal["length_penalty"] = "length_penalty"
    length: str = "length"
    alpha: float = Field(0.2, ge=0, le=1)
    share: float = Field(0.2, ge=0, le=1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Whether it is right, and how long it is."""
        return (self.of, self.length)

    def apply(self, table: Table, state: State) -> Column:
        """Right answers, less what their length costs."""
        own = table.levels[self.of]
        column, lengths = table[self.of], table.at(self.length, own)
        group = table.nested(self).owner(own, "group")
        known = column.valid & lengths.valid
        right = known & (column.values > 0)
        size = int(group.max(initial=-1)) + 1
        answers, hits = np.bincount(group, known, size), np.bincount(group, right, size)
        chosen = self._mastered(hits / np.maximum(answers, 1), answers > 0)
        values = np.where(right, lengths.values, 0.0).astype(np.float64)
        mean = np.bincount(group, values, size) / np.maximum(hits, 1)
        apart = np.where(right, values - mean[group], 0.0)
        std = np.sqrt(np.bincount(group, apart**2, size) / np.maximum(hits, 1))
        z = apart / np.where(std > 0, std, 1.0)[group]
        penalty = self.alpha / (1 + np.exp(-z)) * (right & chosen[group])
        return column.map(column.values * (1 - penalty).astype(np.float32), lengths.valid)

    def _mastered(self, ratio: NDArray[np.float64], asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The share of groups that are right most often; of equals, the first."""
        number = int(np.ceil(self.share * asked.sum() - 1e-9))
        order = np.argsort(np.where(asked, -ratio, np.inf), kind="stable")
        chosen = np.zeros(len(ratio), np.bool_)
        chosen[order[:number]] = True
        return chosen

    def formula(self, term: str) -> str:
        """The penalty of length."""
        return f"{term}·(1 − {self.alpha:g}·σ(z({self.length}))·1[best {self.share:.0%} of groups])"
