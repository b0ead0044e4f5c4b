"""`Directional`: rewards projected on the direction that a user asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import LEVELS, Level
from rewards.views.part import Part, Stage, State, Table, Terms


class Directional(Part):
    """R = vᵀ r / |v|, v and r columns: the direction may be another for each prompt.

    NULL where a reward or a coordinate is, and where v is 0 and points nowhere. Written into the prompt
    (`direction_text`), v makes one policy serve all directions.

    Source: DPA (Directional Preference Alignment with Multi-Objective Rewards).

    Attributes:
        directions: by reward, the name of the column of its coordinate of v.
        to: name of the projection.
    """

    stage: ClassVar[Stage] = "aggregation"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    example: ClassVar[Mapping[str, Any]] = {"directions": {"a": "va", "b": "vb"}}

    part: Literal["directional"] = "directional"
    directions: dict[str, str] = Field(min_length=1)
    to: str = "reward"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Rewards, then coordinates."""
        return (*self.directions, *self.directions.values())

    @property
    def output(self) -> str:
        """Name of the projection."""
        return self.to

    def level(self, levels: Mapping[str, Level]) -> Level:
        """The finest of all."""
        return min((levels[name] for name in self.inputs), key=LEVELS.index)

    def _direction(self, table: Table) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
        """Coordinates of the unit vector by reward, and where there is one."""
        level = self.level(table.levels)
        columns = {name: table.at(v, level) for name, v in self.directions.items()}
        known = np.logical_and.reduce([column.valid for column in columns.values()])
        found = {name: np.where(known, column.values, 0.0).astype(np.float64) for name, column in columns.items()}
        norm = np.sqrt(np.sum([v**2 for v in found.values()], axis=0))
        return {name: v / np.where(norm > 0, norm, 1.0) for name, v in found.items()}, known & (norm > 0)

    def apply(self, table: Table, state: State) -> Column:
        """The projection."""
        level = self.level(table.levels)
        direction, known = self._direction(table)
        total = np.zeros(len(known))
        for name, v in direction.items():
            column = table.at(name, level)
            total, known = total + v * np.where(column.valid, column.values, 0.0), known & column.valid
        return Column(total.astype(np.float32), known)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """The terms of each reward, times its coordinate."""
        level, found = self.level(table.levels), Terms()
        for name, v in self._direction(table)[0].items():
            for term, values in terms[name].items():
                found[term] = found.get(term, 0.0) + v * table.spread(values, table.levels[name], level)
        return found

    def describe(self, terms: Mapping[str, str]) -> str:
        """The projection."""
        made = " + ".join(f"{terms[v]}·[{terms[name]}]" for name, v in self.directions.items())
        return f"({made})/|{', '.join(terms[v] for v in self.directions.values())}|"


def direction_text(direction: Mapping[str, float]) -> str:
    """The direction as a prompt says it, in whole hundredths: `helpfulness: 80, verbosity: 60`.

    Raises:
        ValueError: it is not a unit vector.
    """
    norm = float(np.linalg.norm(list(direction.values())))
    if abs(norm - 1) > 1e-3:
        raise ValueError(
            f"got a direction {dict(direction)} of length {norm:.4g}; expected a unit vector: divide by it"
        )
    return ", ".join(f"{name}: {round(100 * v)}" for name, v in direction.items())
