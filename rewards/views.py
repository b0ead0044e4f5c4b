"""`RewardView`: from component columns to the reward that is trained on, computed when a batch is sampled.

    columns (verdicts, model scores, env reward, counts) ──parts──→ shaped columns ──aggregation──→ reward, weight

The view is frozen data with a version; the state of its parts (running statistics) is apart, and checkpointed. Columns
may have any one shape: steps `[N]`, `[T, B]`, turns or tokens; the docstrings write `[N]`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rewards.aggregation import WeightedSum
from rewards.columns import Column
from rewards.shaping import AnyPart, State

CODE_VERSION = 1


@dataclass(frozen=True)
class ViewResult:
    """What a view makes of a batch.

    Attributes:
        reward: `[N]`, always finite.
        weight: `[N]`, 1.0, or 0.0 where the step is excluded from the loss because a component is NULL. Its reward is
            then the sum of the others; what bootstraps over it should know.
        contributions: `[N]` by component; summed in their order they are exactly `reward`.
        null_counts: steps by component where it was NULL after shaping.
    """

    reward: NDArray[np.float32]
    weight: NDArray[np.float32]
    contributions: Mapping[str, NDArray[np.float32]]
    null_counts: Mapping[str, int]


@dataclass(frozen=True)
class Explanation:
    """How the reward of one step came about.

    Attributes:
        raw: value of each column read, None for NULL.
        shaped: (part, column, value after it), part by part.
        contributions: by component.
        reward: their sum.
        weight: in the loss.
    """

    raw: Mapping[str, float | None]
    shaped: tuple[tuple[str, str, float | None], ...]
    contributions: Mapping[str, float]
    reward: float
    weight: float


class Config(BaseModel):
    """A view as data, for a recipe or YAML.

    Attributes:
        name: for people.
        parts: applied in this order.
        aggregation: of the shaped columns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    parts: tuple[AnyPart, ...] = ()
    aggregation: WeightedSum


class RewardView:
    """A view with the state of its parts."""

    def __init__(self, config: Config) -> None:
        """A view that has seen no data."""
        self.config = config
        self._states: list[State] = [part.initial_state() for part in config.parts]

    @property
    def name(self) -> str:
        """For people."""
        return self.config.name

    @cached_property
    def version(self) -> str:
        """Hash of all that is configured; equal views have equal versions, whatever their names."""
        content = self.config.model_dump(mode="json", exclude={"name"})
        text = json.dumps([CODE_VERSION, content], sort_keys=False)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Columns that must be handed in, sorted."""
        written: set[str] = set()
        needed: set[str] = set()
        for part in self.config.parts:
            needed |= set(part.inputs) - written
            written.add(part.output)
        return tuple(sorted(needed | (set(self.config.aggregation.inputs) - written)))

    def check(self, available: set[str]) -> None:
        """Compare what the view reads with the columns there will be, before a run.

        Raises:
            ValueError: names the place in the view and the missing column.
        """
        known = set(available)
        readers = [(f"parts[{k}] ({part.part})", part.inputs, part.output) for k, part in enumerate(self.config.parts)]
        for place, inputs, output in [*readers, ("aggregation", self.config.aggregation.inputs, "")]:
            for name in inputs:
                if name not in known:
                    raise ValueError(
                        f"view {self.name!r}, {place}: got column {name!r}; expected one of {sorted(known)}"
                    )
            known.add(output)

    def formula(self) -> str:
        """The reward as a line of mathematics."""
        terms = {name: name for name in self.inputs}
        for part in self.config.parts:
            terms[part.output] = part.formula(terms[part.of])
        return f"reward = {self.config.aggregation.formula(terms)}"

    def apply(self, columns: Mapping[str, Column], *, learn: bool = True) -> ViewResult:
        """Compute the reward of a batch.

        Args:
            columns: by name, all of one shape.
            learn: whether running statistics see this batch first; False in evaluation.

        Raises:
            ValueError: a column is missing or has another shape, or values are too large for float32.
        """
        self.check(set(columns))
        shapes = {name: columns[name].values.shape for name in self.inputs}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"view {self.name!r}: got columns of shapes {shapes}; expected one shape")
        scratch = dict(columns)
        with np.errstate(over="ignore"):  # an overflow is refused below, by name
            for k, part in enumerate(self.config.parts):
                if learn:
                    self._states[k] = part.update(scratch, self._states[k])
                scratch[part.output] = part.apply(scratch, self._states[k])
            contributions, weight = self.config.aggregation.apply(scratch)
            reward = np.zeros_like(weight)
            for contribution in contributions.values():
                reward = reward + contribution
        if not np.isfinite(reward).all():
            largest = {name: float(np.abs(values).max()) for name, values in contributions.items()}
            raise ValueError(
                f"view {self.name!r}: got contributions up to {largest}; expected a finite sum: scale them"
            )
        nulls = {name: int((~scratch[name].valid).sum()) for name in contributions}
        return ViewResult(reward, weight, contributions, nulls)

    def explain(self, columns: Mapping[str, Column], position: int | tuple[int, ...]) -> Explanation:
        """How the reward of the step at `position` comes about, with the statistics as they are now."""
        index = (position,) if isinstance(position, int) else position
        one = {name: Column(column.values[index][None], column.valid[index][None]) for name, column in columns.items()}
        result = self.apply(one, learn=False)
        scratch, shaped = dict(one), []
        for part, state in zip(self.config.parts, self._states, strict=True):
            scratch[part.output] = part.apply(scratch, state)
            shaped.append((part.formula(part.of), part.output, _value(scratch[part.output])))
        return Explanation(
            raw={name: _value(one[name]) for name in self.inputs},
            shaped=tuple(shaped),
            contributions={name: float(values[0]) for name, values in result.contributions.items()},
            reward=float(result.reward[0]),
            weight=float(result.weight[0]),
        )

    def state_dict(self) -> dict[str, Any]:
        """Version and running statistics, as JSON-able data."""
        return {"version": self.version, "parts": [dict(state) for state in self._states]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved.

        Raises:
            ValueError: the state is of another view.
        """
        if state.get("version") != self.version:
            raise ValueError(
                f"got the state of view version {state.get('version')}; expected {self.version} ({self.formula()}): "
                "resume with the view that wrote it"
            )
        self._states = list(state["parts"])


def _value(column: Column) -> float | None:
    return float(column.values[0]) if column.valid[0] else None
