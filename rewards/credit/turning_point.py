"""`TurningPoint`: what a step has added, and where it turned the tide, all that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, require_order, require_within


class TurningPoint(Reshape):
    """r_t = R_t − R_{t−1}, and at a turning point R_T − R_{t−1}.

    R_t is the reward of stopping to explore after step t: of what comes of it deterministically. With d_t = R_t −
    R_{t−1} and the trend s_t = sign(d_t) · sign(R_T − R_0), step t is a turning point if s_{t−1} < 0 < s_t and
    sign(d_t) = sign(R_T − R_t): the first one that goes where the whole went, and was followed. The first step is one
    if sign(d_1) = sign(R_T − R_1) ≠ 0.

    NULL where R_T, R_0, R_t or R_{t−1} is, as R_T is where an episode was cut; where only an earlier step is NULL, no
    trend turns.

    Source: TP-GRPO: Alleviating Sparse Rewards by Modeling Step-Wise and Long-Term Effects in Flow-Based GRPO.

    Attributes:
        before: name of the column of R_0, of episodes.
        balance: whether only as many turning points up as down are kept, of the batch, the largest first.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tp_grpo": {}, "balanced": {"balance": True}}
    example: ClassVar[Mapping[str, Any]] = {"of": "v", "before": "start"}
    levels: ClassVar[Mapping[str, Level]] = {"start": "episode"}

    part: Literal["turning_point"] = "turning_point"
    before: str = "start"
    balance: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """Rewards after each step, and before the first."""
        return (self.of, self.before)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens."""
        own = levels[self.of]
        require_order(self.of, own)
        require_within(self.before, levels[self.before], own)
        return own

    def apply(self, table: Table, state: State) -> Column:
        """Increments, and long-term effects at turning points."""
        layout, own, column = table.nested(self), table.levels[self.of], table[self.of]
        start = table.at(self.before, own)
        last, owner = layout.last(own, "episode"), layout.owner(own, "episode")
        ends = np.zeros(layout.size("episode"), np.int64)
        ends[owner[last]] = np.flatnonzero(last)
        end = ends[owner]
        values = np.where(column.valid, column.values, 0.0).astype(np.float64)
        first = np.where(start.valid, start.values, 0.0).astype(np.float64)
        before = layout.before(values, first, own)
        known = column.valid & layout.before(column.valid, start.valid, own) & layout.told(own)
        known = known & start.valid & column.valid[end] & layout.ended[owner]
        change, whole, rest = values - before, values[end] - first, values[end] - values
        trend = np.where(known, np.sign(change) * np.sign(whole), 0.0)
        followed = (np.sign(change) == np.sign(rest)) & (change != 0)
        begins = layout.before(np.zeros(len(values)), 1.0, own) > 0
        turned = (trend > 0) & (layout.before(trend, 0.0, own) < 0)
        points = known & followed & (turned | begins)
        effect = values[end] - before
        if self.balance:
            points = balanced(points, effect)
        return Column(np.where(points, effect, change).astype(np.float32), known)

    def formula(self, term: str) -> str:
        """The difference to the step before, or to the end."""
        return f"(turning ? {term}[T] : {term}) − {term}[t−1]"


def balanced(points: NDArray[np.bool_], effect: NDArray[np.float64]) -> NDArray[np.bool_]:
    """As many points of positive as of negative effect: the largest; of equals, the first."""
    up, down = points & (effect > 0), points & (effect < 0)
    number = int(min(up.sum(), down.sum()))
    kept = np.zeros_like(points)
    for side in (up, down):
        order = np.argsort(np.where(side, -np.abs(effect), np.inf), kind="stable")
        kept[order[:number]] = True
    return kept
