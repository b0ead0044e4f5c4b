"""`Tiers`: how near, in a few steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class Tiers(Reshape):
    """r' = α k / K, k = ⌊K d⌋ the zone of a proximity d, which counts as 0 below 0 and as 1 above 1. NULL stays NULL.

    Zones keep the order of answers and pass over noise that is smaller than they are. With one zone only d = 1 is paid,
    as by a verifier; with many it is d itself.

    Source: SSL, Sweet Spot Learning, with four zones; that they are equally wide and paid in equal steps is chosen
    here. The verifier's reward is added by a `weighted_sum`.

    Attributes:
        zones: K.
        alpha: α, what the innermost zone is paid.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ssl": {"zones": 4}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r"}

    part: Literal["tiers"] = "tiers"
    zones: int = Field(4, ge=1)
    alpha: float = Field(1.0, gt=0, allow_inf_nan=False)

    def apply(self, table: Table, state: State) -> Column:
        """What the zone is paid."""
        column = table[self.of]
        near = np.clip(column.values.astype(np.float64), 0.0, 1.0)
        zone = np.floor(self.zones * near + 1e-6)  # float32 writes 3/4 of a step a little below
        return column.map((self.alpha * zone / self.zones).astype(np.float32))

    def formula(self, term: str) -> str:
        """The zone."""
        return f"{self.alpha:g}·⌊{self.zones}·{term}⌋/{self.zones}"
