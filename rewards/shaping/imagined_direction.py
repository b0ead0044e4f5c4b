"""`ImaginedDirection`: paid for moving where a model imagines the way to be, until the end is near."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class ImaginedDirection(Reshape):
    """r' = r − price + weight · m(g) · cos, with m(g) = max(floor, 1 − drop · max(0, g − near) / width).

    cos is how well the step's move points at an imagined target (`rewards.sources.directions`), g the progress of the
    task between 0 and 1: what a model imagines leads the way, and fades out where what is really paid can take over. So
    a wrong imagination does not stand in the way of the last steps. NULL where one of the three columns is.

    Source: SC-VLA, Self-Correcting VLA: Online Action Refinement via Sparse World Imagination.

    Attributes:
        direction: name of the column of cosines, between −1 and 1.
        progress: name of the column of g.
        weight: of the direction.
        price: of each step.
        near: g at which the guidance begins to fade.
        drop: how much of it is lost over `width`.
        width: of the fading, in progress.
        floor: what is left of it.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "sc_vla": {"weight": 0.6, "price": 1.0, "near": 0.5, "drop": 0.8, "width": 0.4, "floor": 0.1}
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r"}

    part: Literal["imagined_direction"] = "imagined_direction"
    direction: str = "direction"
    progress: str = "progress"
    weight: float = Field(0.6, ge=0, allow_inf_nan=False)
    price: float = Field(1.0, allow_inf_nan=False)
    near: float = Field(0.5, ge=0, le=1)
    drop: float = Field(0.8, ge=0, le=1)
    width: float = Field(0.4, gt=0, allow_inf_nan=False)
    floor: float = Field(0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _apart(self) -> ImaginedDirection:
        if len({self.of, self.direction, self.progress}) < 3:
            raise ValueError(f"got columns {self.inputs}; expected three different ones")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The reward, the cosines and the progress."""
        return (self.of, self.direction, self.progress)

    def gate(self, progress: NDArray[np.floating]) -> NDArray[np.float64]:
        """m(g), between `floor` and 1, continuous at `near`; of the shape of `progress`."""
        beyond = np.maximum(np.asarray(progress, np.float64) - self.near, 0.0)
        return np.maximum(self.floor, 1.0 - self.drop * beyond / self.width)

    def apply(self, table: Table, state: State) -> Column:
        """The reward with the guidance, less the price of a step."""
        own, column = table.levels[self.of], table[self.of]
        cosine, progress = table.at(self.direction, own), table.at(self.progress, own)
        guided = self.weight * self.gate(progress.values) * np.clip(cosine.values, -1.0, 1.0)
        made = (column.values + guided - self.price).astype(np.float32)
        return column.map(made, cosine.valid & progress.valid)

    def formula(self, term: str) -> str:
        """The reward, the price and the direction."""
        return f"{term} − {self.price:g} + {self.weight:g}·m({self.progress})·{self.direction}"
