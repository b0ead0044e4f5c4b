"""`Potential`: paid for getting closer, so that the best policy stays the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, State, Table, require_order


class Potential(Reshape):
    """r' = r + α (γ Φ(s_{t+1}) − Φ(s_t)).

    Discounted by the same γ, what an episode is paid in addition is α (γ^T Φ(s_T) − Φ(s_0)), whatever it does between
    (Ng, Harada and Russell 1999). With `end` "zero", Φ of what ended an episode is 0, and the best policy is the same
    for every Φ. Where an episode was cut, a column of Φ before each step does not know the state that it would have
    gone on from: its last step is NULL. Nor does a column of Φ after each step know where a stretch of an episode that
    began elsewhere set out from: its first step is NULL.

    NULL where the reward or one of the two potentials is.

    Attributes:
        potential: name of the column of Φ.
        when: whether it is of the state before each step, or after it, as progress that a judge has seen is.
        initial: Φ(s_0), with `when` "after".
        end: Φ of the state that ended an episode: 0, or what the column says, with `when` "after".
        gamma: γ of the learner.
        alpha: α.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mira": {"when": "after", "end": "kept", "gamma": 0.99, "alpha": 1.0},
        "invariant": {"when": "before", "end": "zero"},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "potential": "phi", "gamma": 0.9}

    part: Literal["potential"] = "potential"
    potential: str = "potential"
    when: Literal["before", "after"] = "before"
    initial: float = Field(0.0, allow_inf_nan=False)
    end: Literal["zero", "kept"] = "zero"
    gamma: float = Field(0.99, ge=0, le=1)
    alpha: float = Field(1.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _known(self) -> Potential:
        if self.end == "kept" and self.when == "before":
            raise ValueError(
                "got end: kept with when: before; a column of Φ before each step lacks that of the last state: "
                "expected when: after, or end: zero"
            )
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The reward and the potential."""
        return (self.of, self.potential)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens."""
        own = super().level(levels)
        require_order(self.of, own)
        return own

    def apply(self, table: Table, state: State) -> Column:
        """The reward and what getting closer is worth."""
        layout, own = table.nested(self), table.levels[self.of]
        column, phi = table[self.of], table.at(self.potential, own)
        if self.when == "before":
            now, known = phi.values, phi.valid
            after, known_after = layout.after(now, 0.0, own), layout.after(known, True, own)
        else:
            after, known_after = phi.values, phi.valid
            now = layout.before(after, self.initial, own)
            known = layout.before(known_after, True, own) & layout.told(own)
        last = layout.last(own, "episode")
        ended = layout.ended[layout.owner(own, "episode")]
        if self.end == "zero":
            after, known_after = np.where(last & ended, 0.0, after), known_after | (last & ended)
        if self.when == "before":
            known_after = known_after & (~last | ended)
        gained = self.alpha * (self.gamma * after.astype(np.float64) - now)
        return column.map((column.values + gained).astype(np.float32), known & known_after)

    def formula(self, term: str) -> str:
        """The reward and the difference of potentials."""
        by = "" if self.alpha == 1 else f"{self.alpha:g}·"
        return f"{term} + {by}({self.gamma:g}·Φ[t+1] − Φ[t])"
