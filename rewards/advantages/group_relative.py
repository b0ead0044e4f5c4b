"""`GroupRelative`: how much better than the others that answered the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, Terms

Floats = NDArray[np.float64]


class GroupRelative(Reshape):
    """A = (r − baseline) / scale, among those of a group, or of the batch, whose reward is known.

    Who has no reward is in no baseline and no scale, and its advantage is NULL: a judge that failed said nothing. So is
    that of a group with fewer than `least` known rewards, which is in no scale either. In a group of equals it is
    exactly 0.

    Attributes:
        baseline: the group's mean; the mean of its other members (RLOO, Ahmadian et al. 2024); the batch's; or none.
        scale: the group's standard deviation with n − 1 degrees of freedom (GRPO, Shao et al. 2024, section 4.1); none
            (Dr. GRPO, Liu et al. 2025); or the batch's, of what is left after the baseline (REINFORCE++, Hu 2025).
            CGPO's CRPG takes the batch's mean and no scale.
        least: known rewards that a group must have.
        epsilon: added to a scale that is not 0; what has none is 0 already.
        within: standard deviations of the batch's advantages beyond which one is NULL: where nearly all verdicts are
            right, the few wrong ones would outweigh all others (StableReinforce, Zhang et al. 2025, whose released
            code makes them 0). None: all are kept.
    """

    stage: ClassVar[Stage] = "advantage"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "grpo": {"baseline": "group", "scale": "group"},
        "dr_grpo": {"baseline": "group", "scale": "none"},
        "rloo": {"baseline": "others", "scale": "none"},
        "reinforce_pp": {"baseline": "batch", "scale": "batch", "least": 1},
        "reinforce_pp_baseline": {"baseline": "group", "scale": "batch"},
        "stable_reinforce": {"baseline": "batch", "scale": "batch", "least": 1, "within": 3.0},
        "crpg": {"baseline": "batch", "scale": "none", "least": 1},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r"}

    part: Literal["group_relative"] = "group_relative"
    to: str = "advantage"
    baseline: Literal["group", "others", "batch", "none"] = "group"
    scale: Literal["group", "batch", "none"] = "group"
    least: int = Field(2, ge=1)
    epsilon: float = Field(1e-6, ge=0)
    within: float | None = Field(None, gt=0)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of the rewards, which must be within a group.

        Raises:
            ValueError: it is a column of groups.
        """
        own = super().level(levels)
        if own == "group":
            raise ValueError(f"got {self.of!r}, a column of each group; expected a finer one: a group has no rival")
        return own

    def _apart(self, values: Floats, known: NDArray[np.bool_], group: NDArray[np.int64]) -> Floats:
        """Values less their baseline; exactly 0 in a group of equals."""
        held = np.where(known, values, 0.0)
        if self.baseline == "none":
            return held
        if self.baseline == "batch":
            all_of_it = held[known]
            equal = len(all_of_it) == 0 or all_of_it.min() == all_of_it.max()
            return np.zeros_like(held) if equal else np.where(known, held - all_of_it.mean(), 0.0)
        size = int(group.max(initial=0)) + 1
        count = np.bincount(group, known, size)
        mean = np.bincount(group, held, size) / np.maximum(count, 1)
        one, differ = np.zeros(size), np.zeros(size, np.bool_)
        one[group[known]] = held[known]  # any of the group's
        differ[group[known & (held != one[group])]] = True
        # Equals differ from their own mean by rounding, which a division would blow up.
        apart: Floats = np.where(known & differ[group], held - mean[group], 0.0)
        if self.baseline == "others":  # r − mean of the others = (r − mean) · n / (n − 1)
            apart = apart * (count / np.maximum(count - 1, 1))[group]
        return apart

    def _divisor(self, apart: Floats, known: NDArray[np.bool_], group: NDArray[np.int64]) -> Floats:
        """What each is divided by."""
        if self.scale == "none":
            return np.ones_like(apart)
        if self.scale == "batch":
            all_of_it = apart[known]
            deviation = float(all_of_it.std(ddof=1)) if len(all_of_it) > 1 else 0.0
            return np.full(len(apart), deviation + self.epsilon if deviation > 0 else 1.0)
        size = int(group.max(initial=0)) + 1
        count = np.bincount(group, known, size)
        centre = np.bincount(group, apart, size) / np.maximum(count, 1)
        squares = np.bincount(group, np.where(known, (apart - centre[group]) ** 2, 0.0), size)
        found: Floats = np.sqrt(squares / np.maximum(count - 1, 1))
        return np.where(found > 0, found + self.epsilon, 1.0)[group]

    def _groups(self, table: Table) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Group of each, which rewards are known, and which advantages are."""
        column, group = table[self.of], table.nested(self).owner(table.levels[self.of], "group")
        enough = np.bincount(group, column.valid) >= self.least
        return group, column.valid, column.valid & enough[group]

    def apply(self, table: Table, state: State) -> Column:
        """Advantages, of the level of the rewards."""
        group, known, valid = self._groups(table)
        apart = self._apart(table[self.of].values.astype(np.float64), known, group)
        advantage = apart / self._divisor(apart, valid, group)
        return Column(advantage.astype(np.float32), valid & self._usual(advantage, valid))

    def _usual(self, advantage: Floats, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which advantages are not further from the mean of all than `within` says."""
        if self.within is None or not valid.any():
            return valid
        centre, deviation = advantage[valid].mean(), advantage[valid].std()
        # What stands exactly there, as one wrong verdict among ten does at 3, is kept whatever the rounding.
        return np.asarray(np.abs(advantage - centre) <= self.within * deviation * (1 + 1e-9))

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Each term less its own baseline, over the scale of the whole."""
        group, known, valid = self._groups(table)
        apart = self._apart(table[self.of].values.astype(np.float64), known, group)
        divisor = self._divisor(apart, valid, group)
        return {name: self._apart(values, known, group) / divisor for name, values in terms[self.of].items()}

    def formula(self, term: str) -> str:
        """The difference over the scale."""
        less = {"group": f" − mean_group({term})", "others": f" − mean_others({term})", "batch": f" − mean({term})"}
        over = {"group": "/std_group", "batch": "/std", "none": ""}[self.scale]
        kept = "" if self.within is None else f", where |z| ≤ {self.within:g}"
        return f"({term}{less.get(self.baseline, '')}){over}{kept}"
