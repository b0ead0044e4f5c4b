"""`Intervention`: what an expert takes over is the only reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, State, Table, Terms, require_order


class Intervention(Reshape):
    """r_t = −penalty at the policy's last step before an expert takes over, 0 at all other steps, whoever acts.

    There is no reward for the task: who maximises this avoids what makes an expert step in, and may so become better
    than the expert, which one who imitates him does not. The expert need only know when things go wrong.

    NULL where it is not known who acts at a step or at the next one; so, too, at the last step of an episode that was
    cut, unless the expert acts already.

    Source: RLIF: Interactive Imitation Learning as Reinforcement Learning (Luo et al. 2023), Algorithm 1, with
    penalty 1; learnt off-policy there, with prior data in half of each batch.

    Attributes:
        of: name of the column that says who acts: 1 (at least a half) is the expert, 0 the policy.
        penalty: what a step that brings the expert in costs.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"rlif": {"penalty": 1.0}}
    example: ClassVar[Mapping[str, Any]] = {"of": "intervened", "to": "reward"}

    part: Literal["intervention"] = "intervention"
    penalty: float = Field(1.0, gt=0, allow_inf_nan=False)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens."""
        own = super().level(levels)
        require_order(self.of, own)
        return own

    def apply(self, table: Table, state: State) -> Column:
        """−penalty where the next step is the first of an expert's."""
        layout, own, column = table.nested(self), table.levels[self.of], table[self.of]
        expert = column.valid & (column.values >= 0.5)
        ended = layout.ended[layout.owner(own, "episode")]
        last = layout.last(own, "episode")
        known_after = np.where(last, ended | expert, layout.after(column.valid, True, own) | expert)
        taken = ~expert & layout.after(expert, False, own)
        return Column(np.where(taken, np.float32(-self.penalty), np.float32(0.0)), column.valid & known_after)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """All of it is the part's own: who acts is no reward."""
        return {}

    def formula(self, term: str) -> str:
        """The onset of an intervention."""
        return f"−{self.penalty:g}·1[{term}[t] = 0, {term}[t+1] = 1]"
