"""`EffectiveRankBonus`: more for answers whose hidden states unfold, and never more than the advantage bears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.part import Reshape, Stage, State, Table


class EffectiveRankBonus(Reshape):
    """A' = A + min(max(0, Φ), |A| / κ), Φ = β tanh(d_ER) + (1 − β) tanh(d_ERV), β = σ(gain · d_ERA).

    ER is the effective rank of an answer's hidden states, ERV how fast it grows and ERA how that changes
    (`rewards.sources.effective_rank`). d_m = (m − μ_m) / (|μ_m| + 1e-8), limited to ±5, says how far a measure is from
    its running mean μ_m, which the batch itself is part of. Where growth speeds up, rank is rewarded; else growth is.

    With κ > 1 no bonus changes the sign of an advantage, and an advantage of 0 stays 0. NULL stays NULL, and is in no
    mean.

    Source: VERL (Beyond the Exploration-Exploitation Trade-off: A Hidden State Approach for LLM Reasoning in RLVR).

    Attributes:
        rank: name of the column of ER.
        velocity: of ERV.
        acceleration: of ERA.
        gain: of β.
        bound: κ; infinite: no bonus.
        rate: what a batch counts in the running means.
    """

    stage: ClassVar[Stage] = "advantage"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"verl": {"gain": 2.0, "bound": 2.0, "rate": 0.3}}
    example: ClassVar[Mapping[str, Any]] = {"of": "A"}

    part: Literal["effective_rank_bonus"] = "effective_rank_bonus"
    rank: str = "rank"
    velocity: str = "velocity"
    acceleration: str = "acceleration"
    gain: float = Field(2.0, ge=0, allow_inf_nan=False)
    bound: float = Field(2.0, gt=1, allow_inf_nan=True)
    rate: float = Field(0.3, gt=0, le=1)

    @property
    def _measures(self) -> tuple[str, str, str]:
        return (self.rank, self.velocity, self.acceleration)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Advantages, and the three measures."""
        return (self.of, *self._measures)

    def initial_state(self) -> State:
        """No measure seen."""
        return {"means": [None, None, None]}

    def update(self, table: Table, state: State) -> State:
        """See the known measures."""
        means = []
        for name, mean in zip(self._measures, state["means"], strict=True):
            values = table[name].values[table[name].valid].astype(np.float64)
            if len(values):
                seen = float(values.mean())
                mean = seen if mean is None else (1 - self.rate) * mean + self.rate * seen
            means.append(mean)
        return {"means": means}

    def apply(self, table: Table, state: State) -> Column:
        """Advantages with their bonus."""
        own = table.levels[self.of]
        advantage, apart = table[self.of], []
        known: NDArray[np.bool_] = advantage.valid
        for name, mean in zip(self._measures, state["means"], strict=True):
            column = table.at(name, own)
            known = known & column.valid
            far = 0.0 if mean is None else (column.values.astype(np.float64) - mean) / (abs(mean) + 1e-8)
            apart.append(np.clip(far, -5.0, 5.0))
        rank, velocity, acceleration = apart
        beta = 1 / (1 + np.exp(-self.gain * acceleration))
        phi = beta * np.tanh(rank) + (1 - beta) * np.tanh(velocity)
        base = advantage.values.astype(np.float64)
        return Column((base + np.minimum(np.maximum(phi, 0.0), np.abs(base) / self.bound)).astype(np.float32), known)

    def formula(self, term: str) -> str:
        """The bounded bonus."""
        return f"{term} + min(max(0, Φ({', '.join(self._measures)})), |{term}|/{self.bound:g})"
