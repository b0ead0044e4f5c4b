"""`Peaks`: what stands out within an episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, State, Table, require_order


class Peaks(Reshape):
    """Stretch to [0, 1] within each episode; what is above `above`, and of that the `most` largest, is kept.

        u_t = (x_t − min)/(max − min)        u_t where u_t > above and few are larger, else 0

    Of equals the first are kept. Where all values of an episode are equal nothing stands out, and all are 0. NULL stays
    NULL and is in no minimum, maximum or count.

    Source: RLFR (Zhang et al. 2025): 0.6 and 15 tokens, taken off the reward with weight 0.01.

    Attributes:
        above: least share of the way from the smallest to the largest.
        most: how many steps or tokens of an episode may stand out; None: any number.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"rlfr": {"above": 0.6, "most": 15}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "most": 2}

    part: Literal["peaks"] = "peaks"
    above: float = Field(0.6, ge=0, lt=1)
    most: int | None = Field(None, ge=1)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens.

        Raises:
            ValueError: values of what is in no episode.
        """
        own = super().level(levels)
        require_order(self.of, own)
        return own

    def apply(self, table: Table, state: State) -> Column:
        """What stands out, 0 elsewhere."""
        layout, own, column = table.nested(self), table.levels[self.of], table[self.of]
        owner, values = layout.owner(own, "episode"), np.where(column.valid, column.values, 0.0).astype(np.float64)
        low, high = (
            layout.extreme(np.where(column.valid, values, end), own, "episode", largest)[owner]
            for end, largest in ((np.inf, False), (-np.inf, True))
        )
        flat = ~column.valid | (high <= low)
        share = np.where(flat, 0.0, (values - np.where(flat, 0.0, low)) / np.where(flat, 1.0, high - low))
        kept = column.valid & (share > self.above)
        if self.most is not None:
            order = np.lexsort(
                (np.arange(len(share)), -np.where(kept, share, -1.0), owner)
            )  # by episode, largest first
            rank = np.empty(len(share), np.int64)
            rank[order] = layout.place(own)  # owners rise, so the sorted rows of an episode have the same places
            kept &= rank < self.most
        return column.map(np.where(kept, share, 0.0).astype(np.float32))

    def formula(self, term: str) -> str:
        """What stands out."""
        few = "" if self.most is None else f", the {self.most} largest"
        return f"peaks({term} > {self.above:g} of its range{few})"
