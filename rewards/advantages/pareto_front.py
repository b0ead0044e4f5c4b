"""`ParetoFront`: only from answers that no other of the group beats in everything is learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.keys import ordered
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, require_within

PAIRS_AT_ONCE = 2**22
"""Pairs of points that are compared in one go."""


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
        front[known] = ~dominated(np.stack([c.values[known] for c in columns]), group[known])
        return column.map(column.values, front)

    def formula(self, term: str) -> str:
        """Who is left."""
        return f"{term} on front({', '.join(self.rewards)})"


def dominated(points: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which points another of their group dominates `[N]`: it has at least as much of everything, and more of one.

    Args:
        points: `[K, N]`, more being better, no NaN.
        group: of each point `[N]`, from 0 on.
    """
    if not len(group):
        return np.zeros(0, np.bool_)
    return _of_two(points, group) if len(points) <= 2 else _of_many(points, group)


def _of_two(points: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of at most two rewards: by one sort, then by the highest second reward among those that have more of the first.

    Numbers that begin with the group are compared in its place: a later group's are higher than all before.
    """
    first, second = ordered(-points[0]), ordered(points[-1])
    order = np.argsort((group << 32) + first, kind="stable")
    group, first, height = group[order], first[order], (group[order] << 32) + second[order]
    new = np.append(True, (group[1:] != group[:-1]) | (first[1:] != first[:-1]))  # a new level of the first reward
    start = np.flatnonzero(new)
    level = np.cumsum(new) - 1
    highest = np.maximum.reduceat(height, start)
    before = np.append(-1, np.maximum.accumulate(highest)[:-1])  # of those with more of the first, or of earlier groups
    found = np.empty(len(group), np.bool_)
    found[order] = (height < highest[level]) | ((before[level] >> 32 == group) & (height <= before[level]))
    return found


def _of_many(points: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of any number of rewards: each with each of its group, as many groups at once as fit."""
    order = np.argsort(group, kind="stable")
    points, count = points[:, order], np.bincount(group)
    start = np.cumsum(count) - count
    found = np.empty(len(group), np.bool_)
    for size in np.unique(count[count > 0]).tolist():  # groups of one size are one block
        groups = np.flatnonzero(count == size)
        for some in np.array_split(groups, -(-len(groups) * size * size // PAIRS_AT_ONCE)):
            members = start[some][:, None] + np.arange(size)
            own = points[:, members]  # [K, groups, size]
            least, more = np.ones((len(some), size, size), np.bool_), np.zeros((len(some), size, size), np.bool_)
            for reward in own:  # [i, j]: i has at least as much as j of all, and more of one
                least &= reward[:, :, None] >= reward[:, None]
                more |= reward[:, :, None] > reward[:, None]
            found[order[members]] = (least & more).any(1)
    return found
