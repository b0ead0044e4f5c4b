"""`OutcomeMass`: how much of its group an answer has behind it, for tasks without a verifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.keys import pairs
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, Terms


class OutcomeMass(Reshape):
    """q(c) ∝ m(c) exp(η r(c)) over the modes c of a group, each answer that of its own mode.

    A mode is a set of answers that say the same; m(c) is its share of the group's answers, r(c) the mean reliability of
    the evidence for them. The masses of the modes of a group sum to 1. An answer whose mode or reliability is NULL is
    in no mode.

    Source: SIOP: Self-Induced Outcome Potential, η = 1.

    Attributes:
        of: name of a column of whole numbers that say which mode an answer is of, within its group.
        reliability: name of the column of r; empty for none.
        eta: η.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"siop": {"reliability": "reliability", "eta": 1.0}}
    example: ClassVar[Mapping[str, Any]] = {"of": "mode", "reliability": "r"}
    levels: ClassVar[Mapping[str, Level]] = {"mode": "episode", "r": "episode"}

    part: Literal["outcome_mass"] = "outcome_mass"
    reliability: str = ""
    eta: float = Field(1.0, allow_inf_nan=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Modes, and how reliable the evidence is."""
        return (self.of, self.reliability) if self.reliability else (self.of,)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Episodes.

        Raises:
            ValueError: the modes are of something else.
        """
        if (own := super().level(levels)) != "episode":
            raise ValueError(f"got {self.of!r}, a column of each {own}; expected one of each episode: an answer")
        return own

    def apply(self, table: Table, state: State) -> Column:
        """The mass of each answer's mode."""
        column, group = table[self.of], table.nested(self).group
        reliable = table.at(self.reliability, "episode") if self.reliability else column
        known = column.valid & reliable.valid
        if not known.any():
            return column.map(np.zeros(len(group), np.float32), known)
        mode = pairs(group[known], column.values[known])
        number = np.bincount(mode).astype(np.float64)
        within = np.zeros(len(number), np.int64)
        within[mode] = group[known]
        trust = np.bincount(mode, reliable.values[known]) / number if self.reliability else np.zeros(len(number))
        values = np.zeros(len(group), np.float32)
        values[known] = softmax_within(np.log(number) + self.eta * trust, within)[mode]
        return column.map(values, known)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """All the part's own doing: a mode is a name, not an amount."""
        return {}

    def formula(self, term: str) -> str:
        """The mass of the mode."""
        return f"m({term})" + (f"·exp({self.eta:g}·{self.reliability})/Z" if self.reliability else "")


def softmax_within(logits: NDArray[np.float64], within: NDArray[np.int64]) -> NDArray[np.float64]:
    """Softmax of logits among those of the same number."""
    highest = np.full(int(within.max()) + 1, -np.inf)
    np.maximum.at(highest, within, logits)
    weight = np.exp(logits - highest[within])
    found: NDArray[np.float64] = weight / np.bincount(within, weight)[within]
    return found
