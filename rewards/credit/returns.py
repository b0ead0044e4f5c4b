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

    With `through`, a step where that is below ½ passes nothing on to those before it, and receives nothing:

        G_t = r_t + γ G_{t+1} where step t and the next are through, r_t elsewhere

    UI-S1, where what follows a patch is not owed to what stood before it: γ = ½ over steps that match the expert's.
    A `through` that is NULL makes the returns NULL that depend on it.

    Attributes:
        gamma: γ, for each step or token.
        on_null: what a NULL does.
        through: name of the column that says where credit flows, of the same level or a coarser one; empty: everywhere.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    linear: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "hi_grpo": {"gamma": 1.0},
        "ui_s1": {"gamma": 0.5, "through": "match"},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "gamma": 0.9}

    part: Literal["returns"] = "returns"
    gamma: float = Field(1.0, ge=0, le=1)
    on_null: Literal["stop", "omit"] = "stop"
    through: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rewards, and where credit flows."""
        return (self.of, self.through) if self.through else (self.of,)

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
        flows, told = np.ones_like(known), np.ones_like(known)
        if self.through:
            through = table.at(self.through, own)
            told = layout.padded(through.valid, own, fill=True)
            flows = layout.padded(through.values >= 0.5, own, fill=True) | ~told
        following, all_known = np.zeros(rewards.shape[1]), np.ones(rewards.shape[1], np.bool_)
        returns, valid = np.empty_like(rewards), np.empty_like(known)
        for t in range(len(rewards) - 1, -1, -1):
            returns[t] = rewards[t] + np.where(flows[t], self.gamma * following, 0.0)
            valid[t] = known[t] & told[t] & (all_known | ~flows[t])
            following, all_known = np.where(flows[t], returns[t], 0.0), valid[t] | ~flows[t]
        return Column(layout.flat(returns, own).astype(np.float32), layout.flat(valid, own))

    def formula(self, term: str) -> str:
        """The sum to the end, or to where credit stops."""
        until = f" while {self.through} ≥ 0.5" if self.through else ""
        return f"Σ_k {self.gamma:g}^k·{term}[t+k]{until}" if self.gamma != 1 else f"Σ_k {term}[t+k]{until}"
