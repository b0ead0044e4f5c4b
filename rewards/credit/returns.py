"""`Returns`: what is still to come, from each step or token to the end of its episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, require_order


class Returns(Reshape):
    """The discounted sum from here on: G_t = r_t + γ G_{t+1}, within an episode.

    Where a reward is NULL, so are all returns that look through it, unless `on_null` is "omit": then it is passed over.
    An episode that was cut (see `Layout.ended`) is summed as far as it is known.

    Hi-GRPO, where an outline is also paid for what became of it (R_high + λ R_low), is this with γ = λ over its stages;
    λ = 1 is chosen here.

    Attributes:
        gamma: γ, for each step or token.
        on_null: what a NULL does.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    linear: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"hi_grpo": {"gamma": 1.0}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "gamma": 0.9}

    part: Literal["returns"] = "returns"
    gamma: float = Field(1.0, ge=0, le=1)
    on_null: Literal["stop", "omit"] = "stop"

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens.

        Raises:
            ValueError: the column is of episodes or groups, which have nothing after them.
        """
        own = super().level(levels)
        require_order(self.of, own)
        return own

    def apply(self, table: Table, state: State) -> Column:
        """The sums, backwards, all episodes at once."""
        layout, own, column = table.nested(self), table.levels[self.of], table[self.of]
        rewards = layout.padded(np.where(column.valid, column.values, 0.0).astype(np.float64), own)
        known = layout.padded(column.valid | (self.on_null == "omit"), own, fill=True)
        total, all_known = np.zeros(rewards.shape[1]), np.ones(rewards.shape[1], np.bool_)
        returns, valid = np.empty_like(rewards), np.empty_like(known)
        for t in range(len(rewards) - 1, -1, -1):
            total = rewards[t] + self.gamma * total
            all_known = known[t] & all_known
            returns[t], valid[t] = total, all_known
        return Column(layout.flat(returns, own).astype(np.float32), layout.flat(valid, own))

    def formula(self, term: str) -> str:
        """The sum to the end."""
        return f"Σ_k {self.gamma:g}^k·{term}[t+k]" if self.gamma != 1 else f"Σ_k {term}[t+k]"
