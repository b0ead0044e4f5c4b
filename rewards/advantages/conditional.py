"""`Conditional`: how much better than those of the group that have more, or less, of something."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rewards.columns import Column
from rewards.views.keys import ordered, ranks
from rewards.views.layout import Level
from rewards.views.part import Reshape, Stage, State, Table, require_within


class Conditional(Reshape):
    """A = μ A_inter + (1 − μ) A_intra, in a group that is cut into halves by a metric: C⁻ has less of it, C⁺ more.

        A_inter = α r − mean(C⁻) in C⁺, r − α mean(C⁺) in C⁻        A_intra = r − mean(own half)

    With α = 1 nothing says which half ought to win: whichever earns more does. α < 1 favours C⁻, such as the shorter
    answers. Nothing is divided. With equal halves, α = 1 and μ = 1/2 it is the advantage of Dr. GRPO.

    Who has no reward or no metric is in neither half and has no advantage. Of an odd number the larger half is C⁺;
    equals are split in the order in which they stand. A group needs a member in each half.

    Source: CANON (Conditional Advantage Estimation for Reinforcement Learning in Large Reasoning Models).

    Attributes:
        metric: name of the column that the group is ordered by, such as length or mean entropy of tokens.
        mu: μ; at the start, where it is scheduled.
        alpha: α.
        schedule: how μ changes with the batches seen: not at all, in a straight line to `mu_end`, or as half a cosine
            from `mu` to `mu_end` that starts anew every `period`.
        mu_end: μ at the end of a period.
        period: batches of a period.
    """

    stage: ClassVar[Stage] = "advantage"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    linear: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "canon": {"mu": 1.0, "alpha": 1.0},
        "canon_brief": {"mu": 1.0, "alpha": 0.9},
        "canon_annealed": {"mu": 1.0, "mu_end": 0.0, "schedule": "linear", "period": 100},
        "canon_cosine": {"mu": 1.0, "mu_end": 0.0, "schedule": "cosine", "period": 50},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "metric": "length"}

    part: Literal["conditional"] = "conditional"
    metric: str
    to: str = "advantage"
    mu: float = Field(1.0, ge=0, le=1)
    alpha: float = Field(1.0, ge=0, allow_inf_nan=False)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    mu_end: float = Field(0.0, ge=0, le=1)
    period: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _has_an_end(self) -> Conditional:
        if (self.schedule == "constant") != (self.period is None):
            raise ValueError(
                f"got schedule={self.schedule!r} with period={self.period}; expected a period with `linear` and "
                "`cosine`, and only there"
            )
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """Rewards, and what they are ordered by."""
        return (self.of, self.metric)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of the rewards, which must be within a group.

        Raises:
            ValueError: it is a column of groups, or the metric is finer.
        """
        own = levels[self.of]
        if own == "group":
            raise ValueError(f"got {self.of!r}, a column of each group; expected a finer one: a group has no rival")
        require_within(self.metric, levels[self.metric], own)
        return own

    def initial_state(self) -> State:
        """No batch seen."""
        return {"batches": 0}

    def update(self, table: Table, state: State) -> State:
        """One batch more."""
        return {"batches": state["batches"] + 1}

    def weight(self, batches: int) -> float:
        """μ in the batch of that number, counted from 1."""
        if self.schedule == "constant" or self.period is None:
            return self.mu
        done = max(batches - 1, 0)
        if self.schedule == "linear":
            share = min(done / self.period, 1.0)
        else:
            share = (1 - cos(pi * (done % self.period) / self.period)) / 2
        return self.mu + share * (self.mu_end - self.mu)

    def _halves(self, table: Table) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Group of each, whether it is in C⁺, and who is compared."""
        own = table.levels[self.of]
        reward, metric = table[self.of], table.at(self.metric, own)
        group = table.nested(self).owner(own, "group")
        known = reward.valid & metric.valid
        # The unknown stand last.
        rank = ranks(group, np.where(known, ordered(np.where(known, metric.values, np.float32(0.0))), 2**32))
        count = np.bincount(group, known)[group] if len(group) else np.zeros(0)
        return group, rank >= count // 2, known & (count >= 2)

    def apply(self, table: Table, state: State) -> Column:
        """Advantages, of the level of the rewards."""
        group, more, known = self._halves(table)
        reward = np.where(known, table[self.of].values, 0.0).astype(np.float64)
        half = 2 * group + more
        size = 2 * (int(group.max(initial=-1)) + 1)
        mean = np.bincount(half, reward, size) / np.maximum(np.bincount(half, known, size), 1)
        less_mean, more_mean = mean[2 * group], mean[2 * group + 1]
        inter = np.where(more, self.alpha * reward - less_mean, reward - self.alpha * more_mean)
        mu = self.weight(state.get("batches", 0))
        return Column((mu * inter + (1 - mu) * (reward - mean[half])).astype(np.float32), known)

    def formula(self, term: str) -> str:
        """The difference from the other half, and from one's own."""
        alpha = "" if self.alpha == 1 else f", α={self.alpha:g}"
        mu = f"{self.mu:g}" if self.schedule == "constant" else f"μ({self.schedule})"
        return f"{mu}·inter({term} | {self.metric}{alpha}) + (1 − {mu})·intra({term} | {self.metric})"
