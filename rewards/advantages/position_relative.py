"""`PositionRelative`: how much better than what others of the group did at the same place in the order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rewards.advantages.group_relative import GroupRelative
from rewards.views.keys import pairs
from rewards.views.layout import Level
from rewards.views.part import Table, require_order


class PositionRelative(GroupRelative):
    """`GroupRelative` among steps (or tokens) of a group with the same number, counted from the start of the episode.

    Source: TP-GRPO, where the first denoising steps of a group are compared with each other, then the second, and on;
    CM2, where turns of an agent are, and a place that at most four of a group have reached is left out; RubricEM
    (SS-GRPO), where the stages of an attempt (plan, research, review, answer) are, each by the rubric of its stage.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "tp_grpo": {"baseline": "group", "scale": "group"},
        "cm2": {"baseline": "group", "scale": "group", "least": 5},
        "ss_grpo": {"baseline": "group", "scale": "group"},
        "centred": {"baseline": "group", "scale": "none"},
    }

    part: Literal["position_relative"] = "position_relative"  # type: ignore[assignment]

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens."""
        own = super().level(levels)
        require_order(self.of, own)
        return own

    def _groups(self, table: Table) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        layout, own, column = table.nested(self), table.levels[self.of], table[self.of]
        group = pairs(layout.owner(own, "group"), layout.place(own))
        enough = np.bincount(group, column.valid) >= self.least
        return group, column.valid, column.valid & enough[group]
