"""Parts of a reward view that reshape one component.

A part is frozen data. It reads columns by name and writes one (by default the one it reads, in the view's scratch
space: what was stored is never overwritten). What it learns from data is a state that the view holds, handed in and
given back, so a part is a pure function. What each does with NULL is stated in its docstring.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards.columns import Column
from rewards.running import RunningMoments

State = Mapping[str, Any]


class Part(BaseModel, ABC):
    """One step of a view.

    Attributes:
        of: name of the column it reshapes.
        to: name of the column it writes; empty for the one it reads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    def initial_state(self) -> State:
        """What it knows before it has seen data, as JSON-able data; empty for most."""
        return {}

    def update(self, columns: Mapping[str, Column], state: State) -> State:
        """What it knows after seeing `columns` too."""
        return state

    @abstractmethod
    def apply(self, columns: Mapping[str, Column], state: State) -> Column:
        """The column it writes."""

    @abstractmethod
    def formula(self, term: str) -> str:
        """What it does to `term`, in a line of mathematics."""


class Scale(Part):
    """Multiply. NULL stays NULL."""

    part: Literal["scale"] = "scale"
    factor: float

    def apply(self, columns: Mapping[str, Column], state: State) -> Column:
        """Multiply by `factor`."""
        column = columns[self.of]
        return column.map(column.values * np.float32(self.factor))

    def formula(self, term: str) -> str:
        """Multiply by `factor`."""
        return f"{self.factor:g}·{term}"


class Clip(Part):
    """Limit to `[low, high]`. NULL stays NULL.

    No view clips unless it is told to: a goal reward of 50 that is clipped to 10 is another task.
    """

    part: Literal["clip"] = "clip"
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Clip:
        if not self.low < self.high:
            raise ValueError(f"got a clip to [{self.low}, {self.high}]; expected low < high")
        return self

    def apply(self, columns: Mapping[str, Column], state: State) -> Column:
        """Limit to `[low, high]`."""
        column = columns[self.of]
        return column.map(np.clip(column.values, np.float32(self.low), np.float32(self.high)))

    def formula(self, term: str) -> str:
        """Limit to `[low, high]`."""
        return f"clip({term}, {self.low:g}, {self.high:g})"


class Threshold(Part):
    """Keep what exceeds `above`; what does not is worth 0. NULL stays NULL."""

    part: Literal["threshold"] = "threshold"
    above: float

    def apply(self, columns: Mapping[str, Column], state: State) -> Column:
        """Values above `above`, 0 elsewhere."""
        column = columns[self.of]
        return column.map(np.where(column.values > np.float32(self.above), column.values, np.float32(0.0)))

    def formula(self, term: str) -> str:
        """Values above `above`, 0 elsewhere."""
        return f"{term}·1[{term} > {self.above:g}]"


class Normalise(Part):
    """Divide by the standard deviation of all valid values seen, the current ones included.

    NULL stays NULL and leaves the statistics alone. Where all values seen were (nearly) the same, divides by `smallest`
    at least; before any value was seen, by 1.

    Attributes:
        centre: subtract the mean as well; changes which outcomes are rewards and which penalties.
        smallest: least divisor.
    """

    part: Literal["normalise"] = "normalise"
    centre: bool = False
    smallest: float = Field(1e-3, gt=0)

    def initial_state(self) -> State:
        """Nothing seen."""
        return RunningMoments().state_dict()

    def update(self, columns: Mapping[str, Column], state: State) -> State:
        """See the valid values."""
        moments = _moments(state)
        moments.update(columns[self.of].values[columns[self.of].valid])
        return moments.state_dict()

    def apply(self, columns: Mapping[str, Column], state: State) -> Column:
        """Divide by the running standard deviation."""
        moments, column = _moments(state), columns[self.of]
        centred = column.values - np.float32(moments.mean) if self.centre else column.values
        return column.map(centred / np.float32(max(float(moments.std), self.smallest)))

    def formula(self, term: str) -> str:
        """Divide by the running standard deviation."""
        return f"({term} − mean({term}))/std({term})" if self.centre else f"{term}/std({term})"


class CountDecay(Part):
    """Divide by a power of how often the same was seen in this episode, the current time included: r / N^β.

    NULL where the value or the count is NULL. Counts below 1, which steps without a caption have, divide by 1.
    Source: ONI (Zheng et al. 2024), β = 3.

    Attributes:
        count: name of the column of counts.
        beta: β; 0 switches the decay off.
    """

    part: Literal["count_decay"] = "count_decay"
    count: str = "caption_count"
    beta: float = Field(3.0, ge=0)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The value and the count."""
        return (self.of, self.count)

    def apply(self, columns: Mapping[str, Column], state: State) -> Column:
        """Divide by N^β."""
        column, counts = columns[self.of], columns[self.count]
        decay = np.maximum(counts.values, np.float32(1.0)) ** np.float32(-self.beta)
        return column.map(column.values * decay, counts.valid)

    def formula(self, term: str) -> str:
        """Divide by N^β."""
        return f"{term}/{self.count}^{self.beta:g}"


AnyPart = Annotated[Scale | Clip | Threshold | Normalise | CountDecay, Field(discriminator="part")]


def _moments(state: State) -> RunningMoments:
    moments = RunningMoments()
    moments.load_state_dict(state)
    return moments
