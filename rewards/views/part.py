"""`Part`: one step of a reward view, and `Table`, what it reads.

A part is frozen data. It reads columns by name and writes one (by default the one it reads, in the view's scratch
space: what was stored is never overwritten). What it learns from data is a state that the view holds, handed in and
given back, so a part is a pure function.

A family of mechanisms is one class with parameters; what papers call their own are presets of it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from rewards.columns import LARGEST, Column
from rewards.views.layout import LEVELS, Layout, Level

State = Mapping[str, Any]
Stage = Literal["shaping", "aggregation", "credit", "advantage", "loss"]
Terms = dict[str, NDArray[np.float64]]
"""What components and parts have put into a column; their sum is its values, where these are not NULL."""

ROUNDING = 1e-5
"""Relative error of a sum of float32 numbers that is put down to rounding."""


class Table(Mapping[str, Column]):
    """Columns by name, with the level of each.

    Attributes:
        layout: how the levels nest; None where all columns are of one level and of any one shape.
        levels: of each column.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        layout: Layout | None = None,
        levels: Mapping[str, Level] | None = None,
    ) -> None:
        """Hold columns; those whose level is not given are of steps."""
        self._columns, self.layout = dict(columns), layout
        self.levels: dict[str, Level] = {name: (levels or {}).get(name, "step") for name in columns}

    def __getitem__(self, name: str) -> Column:
        """The column of that name."""
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        """Names."""
        return iter(self._columns)

    def __len__(self) -> int:
        """How many columns."""
        return len(self._columns)

    def write(self, name: str, column: Column, level: Level) -> None:
        """Add a column, or put it in the place of another."""
        self._columns[name], self.levels[name] = column, level

    def replaced(self, name: str, column: Column) -> Table:
        """The same with another column in one place."""
        return Table({**self._columns, name: column}, self.layout, self.levels)

    def nested(self, part: Part) -> Layout:
        """The layout, for a part that cannot do without.

        Raises:
            ValueError: none was given.
        """
        if self.layout is None:
            raise ValueError(
                f"part {part.part!r} compares steps, episodes or groups with each other: give the layout of the batch"
            )
        return self.layout

    def at(self, name: str, level: Level) -> Column:
        """A column with one value for each thing of `level`: each has the value of what it is in.

        Raises:
            ValueError: the column is finer than that; reduce it first.
        """
        column, own = self._columns[name], self.levels[name]
        if own == level:
            return column
        require_within(name, own, level)
        return Column(self.spread(column.values, own, level), self.spread(column.valid, own, level))

    def spread(self, values: NDArray[Any], own: Level, level: Level) -> NDArray[Any]:
        """Values of level `own`, one for each thing of the same or a finer `level`.

        Raises:
            ValueError: the levels differ and no layout was given.
        """
        if own == level:
            return values
        if self.layout is None:
            raise ValueError(f"got columns of {own} and {level}; expected one level, or the layout of the batch")
        return values[self.layout.owner(level, own)]


class Part(BaseModel, ABC):
    """One step of a view.

    Attributes:
        stage: where in a view it belongs, for people.
        null: what NULL does: "stays" (NULL where an input is, and nowhere else), "excluded" (also left out of what
            others are compared with), or "declared" (the part's own settings say).
        presets: settings by the names of papers.
        example: settings with which it can be built, for tests and documents; it then reads columns with values between
            0 and 1, of steps unless `levels` says otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    stage: ClassVar[Stage]
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "stays"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    example: ClassVar[Mapping[str, Any]]
    levels: ClassVar[Mapping[str, Level]] = {}

    part: str

    @model_validator(mode="after")
    def _fits_float32(self) -> Part:
        for name in type(self).model_fields:
            value = getattr(self, name)
            for one in value.values() if isinstance(value, Mapping) else [value]:
                if isinstance(one, float) and LARGEST < abs(one) < math.inf:
                    raise ValueError(f"{name}: got {one:g}; expected at most {LARGEST:.1e}: rewards are float32")
        return self

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns it reads."""

    @property
    @abstractmethod
    def output(self) -> str:
        """Name of the column it writes."""

    @abstractmethod
    def level(self, levels: Mapping[str, Level]) -> Level:
        """The level of what it writes, given those of what it reads.

        Raises:
            ValueError: it does not work on such subjects.
        """

    def initial_state(self) -> State:
        """What it knows before it has seen data, as JSON-able data; empty for most."""
        return {}

    def update(self, table: Table, state: State) -> State:
        """What it knows after seeing `table` too."""
        return state

    @abstractmethod
    def apply(self, table: Table, state: State) -> Column:
        """The column it writes."""

    @abstractmethod
    def describe(self, terms: Mapping[str, str]) -> str:
        """What it makes, in a line of mathematics, given such lines for the columns it reads."""

    @abstractmethod
    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """What components and parts have put into what it writes, given what they had put into what it reads.

        What is missing to the values that it writes will be put down to the part itself.
        """


class Reshape(Part):
    """A part that reshapes one column.

    Attributes:
        linear: whether it is linear in `of`, all else being equal: then it passes on what its components put in.
        of: name of the column it reshapes.
        to: name of the column it writes; empty for the one it reads.
    """

    stage: ClassVar[Stage] = "shaping"
    linear: ClassVar[bool] = False

    of: str
    to: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns it reads."""
        return (self.of,)

    @property
    def output(self) -> str:
        """Name of the column it writes."""
        return self.to or self.of

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of `of`; what else it reads may be coarser."""
        own = levels[self.of]
        for name in self.inputs:
            require_within(name, levels[name], own)
        return own

    @abstractmethod
    def formula(self, term: str) -> str:
        """What it does to `term`, in a line of mathematics."""

    def describe(self, terms: Mapping[str, str]) -> str:
        """What it makes of the line for `of`."""
        return self.formula(terms[self.of])

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Of a linear part, what it makes of each term alone; of any other, the terms as they were."""
        return self.passed(table, terms[self.of], state) if self.linear else dict(terms[self.of])

    def passed(self, table: Table, terms: Terms, state: State) -> Terms:
        """What the part makes of each term of `of` alone."""
        column, found = table[self.of], {}
        for name, values in terms.items():
            alone = Column(np.where(column.valid, values, np.nan).astype(np.float32), column.valid)
            made = self.apply(table.replaced(self.of, alone), state).values
            found[name] = np.nan_to_num(made.astype(np.float64))
        return found


def require_within(name: str, level: Level, own: Level) -> None:
    """See that a column of `level` has a value for each thing of level `own`.

    Raises:
        ValueError: it is finer.
    """
    if LEVELS.index(level) < LEVELS.index(own):
        raise ValueError(
            f"got {name!r}, a column of each {level}; expected one of each {own} or coarser: put a `reduce` before it"
        )


def require_order(name: str, level: Level) -> None:
    """See that what a column is of comes one after another.

    Raises:
        ValueError: it is of episodes or groups, which have nothing after them.
    """
    if level not in ("step", "token"):
        raise ValueError(f"got {name!r}, a column of each {level}; expected one of each step or token")


def settled(terms: Terms, result: Column, name: str) -> Terms:
    """Terms that sum to the values of `result`: what is missing is put down to `name`.

    What is below the precision of a column is rounding, and no doing of the part: the largest term takes it.
    """
    values = np.where(result.valid, np.nan_to_num(result.values.astype(np.float64)), 0.0)
    found = {key: np.where(result.valid, term, 0.0) for key, term in terms.items()}
    rest = values - sum(found.values(), np.zeros(values.shape))
    rounding = np.abs(rest) <= ROUNDING * np.maximum(1.0, np.abs(values))
    if found:
        stack = np.stack(list(found.values()))
        largest = np.abs(stack).argmax(0)
        for place, key in enumerate(found):
            found[key] = found[key] + np.where(rounding & (largest == place), rest, 0.0)
        rest = np.where(rounding, 0.0, rest)
    if np.any(rest):
        found[name] = found.get(name, 0.0) + rest
    return found
