"""`RewardView`: from component columns to what is learnt from, computed when a batch is sampled.

    components (verdicts, scores, env reward, counts) → shaping → aggregation → credit → advantage and loss streams

A view is a list of parts, applied in order; each reads columns by name and writes one. What is learnt from are the
columns that are called `reward`, and, where the view goes on to it, `advantage`; every other column that is not read
again is a stream of its own, for the loss that asks for it. A view is frozen data with a version; the state of its
parts (running statistics, multipliers, schedules) is apart, and checkpointed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rewards.aggregation.weighted_sum import WeightedSum
from rewards.columns import Column
from rewards.views.layout import Layout, Level
from rewards.views.part import Part, State, Table, Terms, settled
from rewards.views.parts import AnyPart

CODE_VERSION = 2
REWARD, ADVANTAGE = "reward", "advantage"


@dataclass(frozen=True)
class ViewResult:
    """What a view makes of a batch.

    Attributes:
        reward: `[N]`, always finite; 0 where its weight is 0, and nobody may look at it there.
        weight: `[N]`, 1.0, or 0.0 where the reward is NULL and the step is excluded from the loss.
        contributions: `[N]` by component; summed in their order they are exactly `reward` where the weight is 1. Of a
            reward that is not a plain weighted sum, or that a later part has rewritten, it is `reward` alone.
        null_counts: by component, how often it was NULL after shaping.
        advantage: NULL where it is not known; None where the view ends at the reward.
        streams: every other column that the view writes and does not read again.
        levels: of reward, advantage and streams.
    """

    reward: NDArray[np.float32]
    weight: NDArray[np.float32]
    contributions: Mapping[str, NDArray[np.float32]]
    null_counts: Mapping[str, int]
    advantage: Column | None = None
    streams: Mapping[str, Column] = field(default_factory=dict)
    levels: Mapping[str, Level] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """How the reward of one step, and its advantage, came about.

    Attributes:
        raw: value of each column read, None for NULL.
        shaped: (part, column, value after it), part by part.
        contributions: what each component, and each part by its own doing, puts into the reward; they sum to it.
        reward: of the step.
        weight: in the loss.
        advantage: of the step; None where it is NULL, or the view has none.
        to_advantage: what each component and part puts into the advantage; they sum to it.
    """

    raw: Mapping[str, float | None]
    shaped: tuple[tuple[str, str, float | None], ...]
    contributions: Mapping[str, float]
    reward: float
    weight: float
    advantage: float | None = None
    to_advantage: Mapping[str, float] = field(default_factory=dict)


class Config(BaseModel):
    """A view as data, for a recipe or YAML.

    Attributes:
        name: for people.
        components: what it is made from, with the level of each; what is not named here is of steps.
        parts: applied in this order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    components: dict[str, Level] = {}
    parts: tuple[AnyPart, ...] = Field(min_length=1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that must be handed in, sorted."""
        written: set[str] = set()
        needed: set[str] = set()
        for part in self.parts:
            needed |= set(part.inputs) - written
            written.add(part.output)
        return tuple(sorted(needed))


class RewardView:
    """A view with the state of its parts."""

    def __init__(self, config: Config) -> None:
        """A view that has seen no data.

        Raises:
            ValueError: parts that do not fit together; names the part and the column.
        """
        self.config = config
        self._states: list[State] = [part.initial_state() for part in config.parts]
        self.levels  # noqa: B018  what does not fit is said now

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
        return self.config.inputs

    @cached_property
    def levels(self) -> dict[str, Level]:
        """Level of every column at the end of the view.

        Raises:
            ValueError: a part reads what only a later one writes, parts wait for each other in a circle, a part does
                not work on its subjects, or no part writes the reward.
        """
        parts = self.config.parts
        levels: dict[str, Level] = {name: self.config.components.get(name, "step") for name in self.inputs}
        if unread := sorted(set(self.config.components) - set(self.inputs)):
            raise ValueError(f"view {self.name!r}: got components {unread} that no part reads; leave them out")
        for k, part in enumerate(parts):
            for name in part.inputs:
                later = [j for j in range(k, len(parts)) if parts[j].output == name and name not in parts[j].inputs]
                if later and name not in self.config.components and name not in {p.output for p in parts[:k]}:
                    self._refuse_late(k, name, later[0])
            try:
                levels[part.output] = part.level(levels)
            except ValueError as error:
                raise ValueError(f"view {self.name!r}, {_place(k, part)}: {error}") from None
        if not any(part.output == REWARD for part in parts):
            raise ValueError(
                f"view {self.name!r}: got parts that write {sorted({p.output for p in parts})}; expected one that "
                f"writes {REWARD!r}: let the last part have `to: {REWARD}`"
            )
        return levels

    def _refuse_late(self, k: int, name: str, later: int) -> None:
        """Part `k` reads a column that only part `later` writes.

        Raises:
            ValueError: says whether putting that one first would help, or the two wait for each other.
        """
        parts = self.config.parts
        writers = {part.output: part for part in parts}
        seen, ahead = {name}, list(parts[later].inputs)
        while ahead:  # upstream of the column, depth first
            column = ahead.pop()
            if column in seen or column not in writers:
                continue
            seen.add(column)
            if column == parts[k].output:
                raise ValueError(
                    f"view {self.name!r}, {_place(k, parts[k])}: got a circle of columns: {name!r} is made from "
                    f"{column!r}, and {column!r} from {name!r}; break it"
                )
            ahead += writers[column].inputs
        raise ValueError(
            f"view {self.name!r}, {_place(k, parts[k])}: got column {name!r}, which is written later, by "
            f"{_place(later, parts[later])}; put that one first"
        )

    def check(self, available: Collection[str] | Mapping[str, Level]) -> None:
        """Compare what the view reads with the columns there will be, before a run.

        Args:
            available: names of columns, with their levels where these are known.

        Raises:
            ValueError: names the place in the view and the column that is missing or of another level.
        """
        known = set(available)
        for k, part in enumerate(self.config.parts):
            for name in part.inputs:
                if name not in known:
                    raise ValueError(
                        f"view {self.name!r}, {_place(k, part)}: got column {name!r}; expected one of {sorted(known)}"
                    )
                expected = self.config.components.get(name, "step")
                if isinstance(available, Mapping) and name in self.inputs and available.get(name, expected) != expected:
                    raise ValueError(
                        f"view {self.name!r}, {_place(k, part)}: got {name!r}, a column of each {available[name]}; "
                        f"expected one of each {expected}: say so under components"
                    )
            known.add(part.output)

    def formula(self) -> str:
        """What is learnt from, as mathematics: a line for the reward, and one for the advantage."""
        terms = {name: name for name in self.inputs}
        lines: dict[str, str] = {}
        for part in self.config.parts:
            made = part.describe(terms)
            if part.output in (REWARD, ADVANTAGE):
                lines[part.output] = f"{part.output} = {made}"
            terms[part.output] = part.output if part.output in (REWARD, ADVANTAGE) else made
        return "\n".join(lines.values())

    def picture(self) -> str:
        """The view as a tree, from what is learnt from down to the components."""
        nodes: dict[str, list[str]] = {name: [f"{name}  ({self.levels_of_inputs[name]})"] for name in self.inputs}
        read: set[str] = set()
        for part in self.config.parts:
            below = [nodes[name] for name in part.inputs]
            read |= set(part.inputs) - {part.output}
            lines = [f"{part.output} = {part.part}"]
            for place, branch in enumerate(below):
                last = place == len(below) - 1
                lines.append(("└── " if last else "├── ") + branch[0])
                lines += [("    " if last else "│   ") + line for line in branch[1:]]
            nodes[part.output] = lines
        ends = [name for name in nodes if name not in read]
        return "\n".join(line for name in ends for line in nodes[name])

    @cached_property
    def levels_of_inputs(self) -> dict[str, Level]:
        """Level of each column that must be handed in."""
        return {name: self.config.components.get(name, "step") for name in self.inputs}

    def apply(self, columns: Mapping[str, Column], layout: Layout | None = None, *, learn: bool = True) -> ViewResult:
        """Compute what is learnt from.

        Args:
            columns: by name: `[N]`, N being how many there are of the column's level; without a layout, all of any
                one shape.
            layout: how steps, episodes and groups nest, where parts or components ask for it.
            learn: whether running statistics see this batch first; False in evaluation.

        Raises:
            ValueError: a column is missing or has another shape, or values are too large for float32.
        """
        table = self._table(columns, layout)
        contributions: Mapping[str, NDArray[np.float32]] = {}
        null_counts: dict[str, int] = {}
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow is refused, by name
            for k, part in enumerate(self.config.parts):
                if learn:
                    self._states[k] = part.update(table, self._states[k])
                if part.output == REWARD:
                    contributions, null_counts = {}, {}
                    if type(part) is WeightedSum:  # what is made of one has other terms
                        contributions = part.contributions(table)
                        null_counts = {name: int((~table[name].valid).sum()) for name in part.inputs}
                self._write(table, k, part)
        reward = table[REWARD]
        values = np.where(reward.valid, reward.values, np.float32(0.0))
        return ViewResult(
            reward=values,
            weight=reward.valid.astype(np.float32),
            contributions=contributions or {REWARD: values},
            null_counts=null_counts or {REWARD: int((~reward.valid).sum())},
            advantage=table.get(ADVANTAGE),
            streams={name: table[name] for name in self._streams},
            levels=self.levels,
        )

    @cached_property
    def _streams(self) -> tuple[str, ...]:
        parts = self.config.parts
        read = {name for part in parts for name in part.inputs if name != part.output}
        written = dict.fromkeys(part.output for part in parts)
        return tuple(name for name in written if name not in read | {REWARD, ADVANTAGE} | set(self.inputs))

    def _table(self, columns: Mapping[str, Column], layout: Layout | None) -> Table:
        self.check(set(columns))
        shapes = {name: columns[name].values.shape for name in self.inputs}
        levels = self.levels_of_inputs
        if layout is not None:
            for name, shape in shapes.items():
                if shape != (layout.size(levels[name]),):
                    raise ValueError(
                        f"view {self.name!r}: got column {name!r} of shape {shape}; expected "
                        f"({layout.size(levels[name])},), one value of each {levels[name]}"
                    )
        elif len(set(shapes.values())) > 1:
            raise ValueError(f"view {self.name!r}: got columns of shapes {shapes}; expected one shape")
        return Table({name: columns[name] for name in self.inputs}, layout, levels)

    def _write(self, table: Table, k: int, part: Part) -> None:
        try:
            made = part.apply(table, self._states[k])
        except ValueError as error:
            raise ValueError(f"view {self.name!r}, {_place(k, part)}: {error}: scale what it reads") from None
        table.write(part.output, made, part.level(table.levels))

    def attribute(self, columns: Mapping[str, Column], layout: Layout | None = None) -> dict[str, Terms]:
        """Of each column at the end of the view, what each component and part has put into it; the terms sum to it.

        A part's own doing, such as what a clip cuts off, stands under the part's name and the column it writes.
        """
        table = self._table(columns, layout)
        terms: dict[str, Terms] = {name: {name: _known(table[name])} for name in self.inputs}
        for k, part in enumerate(self.config.parts):
            passed = part.attribute(table, terms, self._states[k])
            self._write(table, k, part)
            terms[part.output] = settled(passed, table[part.output], part.part)
        return terms

    def explain(
        self, columns: Mapping[str, Column], position: int | tuple[int, ...], layout: Layout | None = None
    ) -> Explanation:
        """How the reward and the advantage at `position` come about, with the statistics as they are now.

        Args:
            columns: of the whole batch, since others of a group or episode have a part in it.
            position: in the columns of the reward's level.
            layout: as for `apply`.
        """
        index = (position,) if isinstance(position, int) else position
        level = self.levels[REWARD]
        result, terms = self.apply(columns, layout, learn=False), self.attribute(columns, layout)
        table = self._table(columns, layout)
        shaped: list[tuple[str, str, float | None]] = []
        raw = {name: _value(table, name, level, index) for name in self.inputs}
        for k, part in enumerate(self.config.parts):
            self._write(table, k, part)
            if part.output not in (REWARD, ADVANTAGE):
                line = part.describe({name: name for name in part.inputs})
                shaped.append((line, part.output, _value(table, part.output, level, index)))

        def at(name: str) -> dict[str, float]:
            own = table.levels[name]
            return {term: float(table.spread(values, own, level)[index]) for term, values in terms[name].items()}

        return Explanation(
            raw=raw,
            shaped=tuple(shaped),
            contributions=at(REWARD),
            reward=float(result.reward[index]),
            weight=float(result.weight[index]),
            advantage=None if result.advantage is None else _value(table, ADVANTAGE, level, index),
            to_advantage={} if result.advantage is None else at(ADVANTAGE),
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


def _place(k: int, part: Part) -> str:
    return f"parts[{k}] ({part.part})"


def _known(column: Column) -> NDArray[np.float64]:
    return np.where(column.valid, column.values, 0.0).astype(np.float64)


def _value(table: Table, name: str, level: Level, index: tuple[int, ...]) -> float | None:
    """The value at a position of `level`; None where it is NULL, or where the column is finer than that."""
    try:
        column = table.at(name, level)
    except ValueError:
        return None
    return float(column.values[index]) if column.valid[index] else None
