"""`FirstKnown`: the best source that has something to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rewards.aggregation.several import Floats, Several
from rewards.columns import Column
from rewards.views.part import State, Table, Terms


class FirstKnown(Several):
    """Of each, the first column of `of` that is not NULL; NULL where all are.

    A rule that can verify an answer is asked before a judge that can only estimate it, and abstains where it cannot.
    The columns should pay in one unit.

    Source: HARMO (rule-based where verifiable, else a reward model or a surrogate); TableGPT-R1's router of tasks,
    where what no rule knows falls back to the judge.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"harmo": {}, "tablegpt_r1": {}}
    example: ClassVar[Mapping[str, Any]] = {"of": ("rule", "judge")}

    part: Literal["first_known"] = "first_known"

    def combined(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """The first that is known."""
        found: Floats = np.take_along_axis(values, known.argmax(0)[None], 0)[0]
        return found

    def apply(self, table: Table, state: State) -> Column:
        """The first that is known; NULL where none is."""
        values, known = self.stacked(table)
        return Column(self.combined(values, known).astype(np.float32), np.logical_or.reduce(known, axis=0))

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """The terms of the column that speaks."""
        level = self.level(table.levels)
        source = self.stacked(table)[1].argmax(0)
        found: Terms = {}
        for k, name in enumerate(self.of):
            for term, values in terms[name].items():
                put = np.where(source == k, table.spread(values, table.levels[name], level), 0.0)
                found[term] = found.get(term, 0.0) + put
        return found

    def describe(self, terms: Mapping[str, str]) -> str:
        """The columns, in the order in which they are asked."""
        return " else ".join(terms[name] for name in self.of)
