"""`QuartileLogistic`: rewards of tasks with scales of their own, made comparable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class QuartileLogistic(Reshape):
    """r' = σ(k (x − p50) / (p75 − p25)), by the quartiles of x in its task. NULL where reward or task is.

    A task's median is worth 0.5, one quartile range above it σ(k); changing the unit of a task, quartiles and all,
    changes nothing. Quartiles are those of the first policy, measured before training.

    Source: MedGRPO, with k = 3, a logistic that has no flat end within the usual range.

    Attributes:
        task: name of the column of task numbers, of the same level or coarser.
        quartiles: p25, p50 and p75 by task number.
        steepness: k.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"medgrpo": {"steepness": 3.0}}
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "quartiles": {0: (0.2, 0.5, 0.8), 1: (0.1, 0.2, 0.4)}}

    part: Literal["quartile_logistic"] = "quartile_logistic"
    task: str = "task"
    quartiles: dict[int, tuple[float, float, float]] = Field(min_length=1)
    steepness: float = Field(3.0, gt=0, allow_inf_nan=False)

    @field_validator("quartiles")
    @classmethod
    def _ordered(cls, found: dict[int, tuple[float, float, float]]) -> dict[int, tuple[float, float, float]]:
        for task, (low, middle, high) in found.items():
            if not (np.isfinite([low, high]).all() and low <= middle <= high and low < high):
                raise ValueError(f"got quartiles {(low, middle, high)} of task {task}; expected p25 ≤ p50 ≤ p75, apart")
        return found

    @property
    def inputs(self) -> tuple[str, ...]:
        """The reward and the number of its task."""
        return (self.of, self.task)

    def apply(self, table: Table, state: State) -> Column:
        """Rewards between 0 and 1.

        Raises:
            ValueError: a task has no quartiles.
        """
        column, task = table[self.of], table.at(self.task, table.levels[self.of])
        known = column.valid & task.valid
        tasks = np.array(sorted(self.quartiles))
        number = np.rint(np.where(known, task.values, tasks[0])).astype(np.int64)
        place = np.searchsorted(tasks, number).clip(0, len(tasks) - 1)
        if (wrong := tasks[place] != number).any():
            unknown = np.unique(number[wrong]).tolist()
            raise ValueError(f"got tasks {unknown} without quartiles; expected some of {sorted(self.quartiles)}")
        low, middle, high = np.array([self.quartiles[n] for n in tasks.tolist()]).T
        z = self.steepness * (np.where(known, column.values, 0.0) - middle[place]) / (high - low)[place]
        return column.map((0.5 * (1 + np.tanh(z / 2))).astype(np.float32), task.valid)

    def formula(self, term: str) -> str:
        """The logistic."""
        return f"σ({self.steepness:g}·({term} − p50_{self.task})/IQR_{self.task})"
