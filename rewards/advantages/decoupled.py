"""`Decoupled`: each reward is normalised in its own group before they are added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, FiniteFloat

from rewards.advantages.group_relative import GroupRelative
from rewards.columns import Column
from rewards.views.layout import LEVELS, Level
from rewards.views.part import Part, Stage, State, Table, Terms

_SUM = "sum"


class Decoupled(Part):
    """A = norm_batch(Σ_k w_k (r_k − mean_group r_k) / (std_group r_k + ε)).

    A sum of rewards that is normalised afterwards, as in GRPO, gives different combinations of rewards one advantage:
    with two members, (0, 0) against (0, 1) the same as (0, 0) against (1, 1). Normalised one by one they stay apart.
    The last step, over the whole batch, keeps the scale whatever the number of rewards; with a single reward it is left
    out, as in the released code, and what remains is GRPO.

    A reward that is NULL is in no mean, and the advantage of whose it is is NULL; what is known of it still counts for
    the others. NULL is also the advantage in a group where fewer than two members have that reward.

    Source: GDPO. Its priorities (an easy reward that counts only where a hard one is earned) are a `gate` before it.

    Attributes:
        coefficients: w, by reward.
        epsilon: added to deviations that are not 0.
        batch: whether the sum of several rewards is normalised over the batch.
        to: name of the advantage.
    """

    stage: ClassVar[Stage] = "advantage"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "gdpo": {"epsilon": 1e-4, "batch": True},
        "groups_only": {"batch": False},
    }
    example: ClassVar[Mapping[str, Any]] = {"coefficients": {"a": 1.0, "b": 0.5}}

    part: Literal["decoupled"] = "decoupled"
    coefficients: dict[str, FiniteFloat] = Field(min_length=1)
    epsilon: float = Field(1e-4, ge=0, allow_inf_nan=False)
    batch: bool = True
    to: str = "advantage"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the rewards."""
        return tuple(self.coefficients)

    @property
    def output(self) -> str:
        """Name of the advantage."""
        return self.to

    def level(self, levels: Mapping[str, Level]) -> Level:
        """The finest of the rewards, which must be within a group."""
        own = min((levels[name] for name in self.inputs), key=LEVELS.index)
        return self._of(self.inputs[0]).level({self.inputs[0]: own})

    def _of(self, name: str) -> GroupRelative:
        """What is done to one reward."""
        return GroupRelative(of=name, to=name, baseline="group", scale="group", epsilon=self.epsilon)

    @property
    def _whole(self) -> GroupRelative:
        """What is done to the sum."""
        normalised = self.batch and len(self.coefficients) > 1
        over: Literal["batch", "none"] = "batch" if normalised else "none"
        return GroupRelative(of=_SUM, baseline=over, scale=over, least=1, epsilon=self.epsilon)

    def _summed(self, table: Table) -> tuple[Table, Table]:
        """All rewards at one level, and their weighted sum after each was normalised."""
        level = self.level(table.levels)
        same = Table(
            {n: table.at(n, level) for n in self.inputs}, table.nested(self), dict.fromkeys(self.inputs, level)
        )
        apart = {name: self._of(name).apply(same, {}) for name in self.inputs}
        known = np.logical_and.reduce([column.valid for column in apart.values()])
        total = sum(self.coefficients[name] * apart[name].values.astype(np.float64) for name in self.inputs)
        return same, Table({_SUM: Column(np.asarray(total, np.float32), known)}, table.layout, {_SUM: level})

    def apply(self, table: Table, state: State) -> Column:
        """Advantages, of the level of the finest reward."""
        return self._whole.apply(self._summed(table)[1], state)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Each term as its reward is treated, then as the sum is."""
        same, summed = self._summed(table)
        level, found = self.level(table.levels), Terms()
        for name in self.inputs:
            own = {term: table.spread(v, table.levels[name], level) for term, v in terms[name].items()}
            for term, values in self._of(name).attribute(same, {name: own}, state).items():
                found[term] = found.get(term, 0.0) + self.coefficients[name] * values
        return self._whole.attribute(summed, {_SUM: found}, state)

    def describe(self, terms: Mapping[str, str]) -> str:
        """The sum of normalised rewards."""
        each = [
            f"{'' if w == 1 else f'{w:g}·'}({terms[n]} − mean_group)/std_group" for n, w in self.coefficients.items()
        ]
        total = " + ".join(each)
        return f"norm_batch({total})" if self._whole.scale == "batch" else total
