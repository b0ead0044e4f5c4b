"""`Several`: a part that makes one column of several, at the finest of their levels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from rewards.columns import Column
from rewards.views.layout import LEVELS, Level
from rewards.views.part import Part, Stage, State, Table, Terms

Floats = NDArray[np.float64]


class Several(Part):
    """Reads the columns of `of`, all of them known, and writes one.

    Attributes:
        of: names of the columns, each once.
        to: name of what is written.
    """

    stage: ClassVar[Stage] = "aggregation"

    of: tuple[str, ...] = Field(min_length=1)
    to: str = "reward"

    @field_validator("of")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError(f"got {list(names)}; expected each column once")
        return names

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns it reads."""
        return self.of

    @property
    def output(self) -> str:
        """Name of what is written."""
        return self.to

    def level(self, levels: Mapping[str, Level]) -> Level:
        """The finest of the columns."""
        return min((levels[name] for name in self.inputs), key=LEVELS.index)

    def stacked(self, table: Table) -> tuple[Floats, NDArray[np.bool_]]:
        """Values of all columns of `of` `[K, N]`, 0 where NULL, and where each is known `[K, N]`."""
        level = self.level(table.levels)
        columns = [table.at(name, level) for name in self.of]
        known = np.stack([column.valid for column in columns])
        values = np.stack([column.values for column in columns]).astype(np.float64)
        return np.where(known, values, 0.0), known

    @abstractmethod
    def combined(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """One value `[N]` of each K `[K, N]`; what it says where one of them is not known does not matter."""

    def apply(self, table: Table, state: State) -> Column:
        """What is made of them; NULL where one is."""
        values, known = self.stacked(table)
        return Column(self.combined(values, known).astype(np.float32), np.logical_and.reduce(known, axis=0))

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Equal shares for all columns: what holds only together is nobody's alone."""
        made = np.nan_to_num(self.apply(table, state).values.astype(np.float64))
        return {name: made / len(self.of) for name in self.of}
