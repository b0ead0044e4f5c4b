"""`Increments`: what each step has added to a value that is measured after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, Terms, require_order, require_within


class Increments(Reshape):
    """r_t = q (f(v_t) − f(v_{t−1})) + 1[t = T] final · q, with f(v) = v, or log(v + ε).

    They telescope: without a final term an episode sums to q (f(v_T) − f(v_0)). v may be the support of an answer after
    each turn, the likelihood of what is still to come, or the worth of stopping here.

    A step is NULL where v_t, v_{t−1} or q is, and where an episode that began elsewhere goes on: v_{t−1} is not here.
    Where an episode was cut, no step is T.

    Sources: SIOP (log-support of the rollout's own outcome mode, q its mass; (1 − λ) q at the last turn, λ = 0.5);
    P2S (gain of path faithfulness).

    Attributes:
        before: name of the column of v_0, of episodes; empty for 0.
        weight: name of the column of q, of episodes; empty for 1.
        log: whether f is the logarithm; values below 0 are then refused.
        epsilon: ε.
        final: what the last step earns in addition, in units of q.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "siop": {"before": "prior", "weight": "mass", "log": True, "final": 0.5},
        "information_gain": {"before": "prior", "log": True},
        "p2s": {},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "v", "before": "prior", "weight": "mass", "log": True, "final": 0.5}
    levels: ClassVar[Mapping[str, Level]] = {"prior": "episode", "mass": "episode"}

    part: Literal["increments"] = "increments"
    before: str = ""
    weight: str = ""
    log: bool = False
    epsilon: float = Field(1e-6, gt=0, allow_inf_nan=False)
    final: float = Field(0.0, allow_inf_nan=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Values, those before the first step, and weights."""
        return (self.of, *(name for name in (self.before, self.weight) if name))

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens."""
        own = levels[self.of]
        require_order(self.of, own)
        for name in self.inputs:
            require_within(name, levels[name], own)
        return own

    def _transformed(self, column: Column, name: str) -> NDArray[np.float64]:
        """f(v), 0 where NULL."""
        values = np.where(column.valid, column.values, 0.0).astype(np.float64)
        if not self.log:
            return values
        if (values < 0).any():
            raise ValueError(f"got {values.min():g} in {name!r}; expected no value below 0, since its log is taken")
        return np.where(column.valid, np.log(values + self.epsilon), 0.0)

    def apply(self, table: Table, state: State) -> Column:
        """What each step has added."""
        layout, own, column = table.nested(self), table.levels[self.of], table[self.of]
        none = Column.full(np.zeros(len(column.values)))
        start = table.at(self.before, own) if self.before else none
        weight = table.at(self.weight, own) if self.weight else Column.full(np.ones(len(column.values)))
        now = self._transformed(column, self.of)
        first = self._transformed(start, self.before) if self.before else none.values
        gained = now - layout.before(now, first, own)
        share = np.where(weight.valid, weight.values, 0.0)
        values = share * (gained + self.final * layout.final(own))
        known = column.valid & layout.before(column.valid, start.valid, own) & layout.told(own) & weight.valid
        return Column(values.astype(np.float32), known)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Of plain differences what each term has added; with a logarithm it is all the part's own doing."""
        if self.log:
            return {}
        layout, own = table.nested(self), table.levels[self.of]
        weight = table.at(self.weight, own).values if self.weight else 1.0
        return {
            name: np.nan_to_num(weight * (values - layout.before(values, 0.0, own)))
            for name, values in terms[self.of].items()
        }

    def formula(self, term: str) -> str:
        """The difference to the step before."""
        change = f"Δ log {term}" if self.log else f"Δ {term}"
        last = f" + {self.final:g}·1[t = T]" if self.final else ""
        return f"{self.weight}·({change}{last})" if self.weight else change + last
