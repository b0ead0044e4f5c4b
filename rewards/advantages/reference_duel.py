"""`ReferenceDuel`: better or worse than one of the group, drawn as its yardstick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table


class ReferenceDuel(Reshape):
    """A = +1 where an answer is preferred to the group's reference in at least `least` of the votes, else −1.

    The reference is one of the group's own answers, drawn at random, so that it grows better with the policy; it has no
    opponent, and its column says NULL. Whose judgement failed is NULL too. A group whose mean advantage is beyond
    ± `skew` is NULL as a whole: its reference is an outlier that tells nobody apart. Nothing is divided.

    Source: Writing-Zero, BRPO (groups of 16, skew 0.6, all votes must agree).

    Attributes:
        least: share of votes that a win takes.
        skew: largest |mean A| of a group.
    """

    stage: ClassVar[Stage] = "advantage"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"brpo": {"least": 1.0, "skew": 0.6}}
    example: ClassVar[Mapping[str, Any]] = {"of": "preferred"}

    part: Literal["reference_duel"] = "reference_duel"
    of: str = "preferred"
    to: str = "advantage"
    least: float = Field(1.0, gt=0, le=1)
    skew: float = Field(0.6, gt=0, le=1)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of the votes, which must be within a group.

        Raises:
            ValueError: it is a column of groups.
        """
        own = super().level(levels)
        if own == "group":
            raise ValueError(f"got {self.of!r}, a column of each group; expected a finer one: a group has no rival")
        return own

    def apply(self, table: Table, state: State) -> Column:
        """±1, in groups that tell."""
        column = table[self.of]
        group = table.nested(self).owner(table.levels[self.of], "group")
        sign = np.where(column.values >= np.float32(self.least), 1.0, -1.0)
        size = int(group.max(initial=0)) + 1
        mean = np.bincount(group, np.where(column.valid, sign, 0.0), size) / np.maximum(
            np.bincount(group, column.valid, size), 1
        )
        return column.map(sign.astype(np.float32), np.abs(mean[group]) <= self.skew + 1e-9)

    def formula(self, term: str) -> str:
        """Won or lost."""
        return f"±1[{term} ≥ {self.least:g}] where |mean_group| ≤ {self.skew:g}"
