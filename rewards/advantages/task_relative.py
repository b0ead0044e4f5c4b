"""`TaskRelative`: how much better than the others of the group, in the unit of the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.advantages.group_relative import Floats, GroupRelative
from rewards.columns import Column
from rewards.views.keys import numbered
from rewards.views.layout import Level
from rewards.views.part import State, Table, Terms, require_within


class TaskRelative(GroupRelative):
    """A = (r − mean_group) / (σ_task + ε), σ_task from running means of r and r² in the task.

        m₁ ← d m₁ + (1 − d) mean_batch(r),  m₂ likewise of r²,  σ = √max(m₂ − m₁², smallest²)

    The group's own deviation makes much of groups that nearly agree; none at all lets tasks with large rewards rule
    those with small ones. The first batch of a task starts its means, and a batch is in them before it is scaled. Where
    an advantage of a group exceeds `guard`, the group is scaled by its own deviation (population).

    Reward or task NULL: no advantage, and in no mean.

    Source: OneThinker, EMA-GRPO (d = 0.99, smallest deviation 0.001); the guard is in the released code, its size is
    chosen here.

    Attributes:
        task: name of the column of task numbers, of the same level or coarser.
        decay: d.
        smallest: least σ.
        guard: largest advantage that the task's scale may give.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ema_grpo": {"decay": 0.99, "smallest": 1e-3}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r"}

    part: Literal["task_relative"] = "task_relative"  # type: ignore[assignment]
    baseline: Literal["group"] = "group"
    scale: Literal["none"] = "none"
    task: str = "task"
    decay: float = Field(0.99, ge=0, lt=1)
    smallest: float = Field(1e-3, gt=0, allow_inf_nan=False)
    guard: float = Field(10.0, gt=0)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Rewards, and their tasks."""
        return (self.of, self.task)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of the rewards; tasks must not be finer."""
        require_within(self.task, levels[self.task], levels[self.of])
        return super().level(levels)

    def initial_state(self) -> State:
        """Nothing seen of any task."""
        return {"moments": {}}

    def _tasks(self, table: Table) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
        """Rewards, tasks, and whose both are known."""
        column, task = table[self.of], table.at(self.task, table.levels[self.of])
        known = column.valid & task.valid
        number = np.rint(np.where(known, task.values, 0)).astype(np.int64)
        return np.where(known, column.values, 0.0).astype(np.float64), number, known

    def update(self, table: Table, state: State) -> State:
        """The running means of each task that is in the batch."""
        reward, task, known = self._tasks(table)
        moments = dict(state["moments"])
        place = numbered(task[known])  # of each known reward, which of the batch's tasks it is of
        count = np.bincount(place)
        name = np.zeros(len(count), np.int64)
        name[place] = task[known]
        means, squares = (np.bincount(place, power) / count for power in (reward[known], reward[known] ** 2))
        for number, *seen in zip(name.tolist(), means.tolist(), squares.tolist(), strict=True):
            if (before := moments.get(str(number))) is not None:
                seen = [self.decay * b + (1 - self.decay) * s for b, s in zip(before, seen, strict=True)]
            moments[str(number)] = seen
        return {"moments": moments}

    def _known(self, table: Table, known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Group of each, and which advantages are known."""
        group = table.nested(self).owner(table.levels[self.of], "group")
        enough = np.bincount(group, known) >= self.least
        return group, known & enough[group]

    def _scales(
        self, state: State, apart: Floats, task: NDArray[np.int64], known: NDArray[np.bool_], group: NDArray[np.int64]
    ) -> Floats:
        """What each is divided by."""
        sigma = np.ones(len(apart))
        for number, (first, second) in state["moments"].items():
            sigma[task == int(number)] = np.sqrt(max(second - first**2, self.smallest**2))
        found = sigma + self.epsilon
        size = int(group.max(initial=0)) + 1
        beyond = np.zeros(size, np.bool_)
        beyond[group[known & (np.abs(apart) > self.guard * found)]] = True
        own = np.sqrt(np.bincount(group, apart**2, size) / np.maximum(np.bincount(group, known, size), 1))
        return np.where(beyond[group], own[group] + self.epsilon, found)

    def apply(self, table: Table, state: State) -> Column:
        """Advantages, of the level of the rewards."""
        reward, task, known = self._tasks(table)
        group, valid = self._known(table, known)
        apart = self._apart(reward, known, group)
        return Column((apart / self._scales(state, apart, task, known, group)).astype(np.float32), valid)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Each term less its own mean, over the scale of the whole."""
        reward, task, known = self._tasks(table)
        group, _ = self._known(table, known)
        scales = self._scales(state, self._apart(reward, known, group), task, known, group)
        return {name: self._apart(values, known, group) / scales for name, values in terms[self.of].items()}

    def formula(self, term: str) -> str:
        """The difference over the scale of the task."""
        return f"({term} − mean_group)/σ_{self.task}"
