"""`ParetoFront`: only from answers that no other of the group beats in everything is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, require_within


class ParetoFront(Reshape):
    """The advantage of members that are not dominated; NULL, and so out of the loss, for the others.

    A member is dominated if another of its group has at least as much of every reward, and more of one. Who lacks one
    of the rewards is compared with nobody, and its advantage is NULL. With one reward the best of the group are left.

    Source: Parrot (Lee et al. 2024), batch-wise Pareto-optimal selection.

    Attributes:
        rewards: names of the columns that are compared, of the level of `of` or coarser.
    """

    stage: ClassVar[Stage] = "advantage"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    linear: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"parrot": {}}
    example: ClassVar[Mapping[str, Any]] = {"of": "advantage", "rewards": ("a", "b")}

    part: Literal["pareto_front"] = "pareto_front"
    of: str = "advantage"
    rewards: tuple[str, ...] = Field(min_length=1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The advantage, and the rewards."""
        return (self.of, *(name for name in self.rewards if name != self.of))

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of the advantage, which must be within a group.

        Raises:
            ValueError: it is a column of groups, or a reward is finer.
        """
        own = levels[self.of]
        if own == "group":
            raise ValueError(f"got {self.of!r}, a column of each group; expected a finer one: a group has no rival")
        for name in self.rewards:
            require_within(name, levels[name], own)
        return own

    def apply(self, table: Table, state: State) -> Column:
        """Advantages of the front."""
        own, column = table.levels[self.of], table[self.of]
        group = table.nested(self).owner(own, "group")
        columns = [table.at(name, own) for name in self.rewards]
        known = np.logical_and.reduce([c.valid for c in columns]) & column.valid
        front = np.zeros(len(known), np.bool_)
        order = np.flatnonzero(known)[np.argsort(group[known], kind="stable")]
        for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
            points = np.stack([c.values[members] for c in columns], 1)
            least = (points[:, None] >= points[None]).all(-1)  # [i, j]: i has at least as much as j
            front[members] = ~(least & (points[:, None] > points[None]).any(-1)).any(0)
        return column.map(column.values, front)

    def formula(self, term: str) -> str:
        """Who is left."""
        return f"{term} on front({', '.join(self.rewards)})"
