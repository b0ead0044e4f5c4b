"""`Redistribute`: the score of a whole episode, spread over its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rewards.columns import Column
from rewards.views.layout import LEVELS, Level
from rewards.views.part import Reshape, Stage, State, Table, Terms, require_order, require_within


class Redistribute(Reshape):
    """r_t = share_t · G.

    | by        | share_t |
    |-----------|---------|
    | `last`    | 1 for the last step, 0 for the others |
    | `uniform` | 1 / T |
    | `weights` | a_t / `largest`; where that is None a_t / Σ a, which sums to G, and 1 / T if all are 0 |

    NULL where the score is. A weight that is NULL is in no sum; its step is NULL, or is paid `missing`. Where an
    episode was cut, `last` does not know its last step: the last one here is NULL.

    Source: Sotopia-RL, where a language model says of each utterance how much it did, a_t ∈ {0, 1, 2, 3}, r_t =
    a_t / 3 · G, and an utterance of which it says nothing is paid −1.

    Attributes:
        over: what the score is spread over.
        by: how.
        weights: name of the column of a_t, none below 0.
        largest: the weight that earns the whole score.
        missing: what is paid where the weight is NULL.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "sotopia_rl": {"by": "weights", "largest": 3.0, "missing": -1.0},
        "return_equivalent": {"by": "weights"},
        "uniform": {"by": "uniform"},
        "last": {"by": "last"},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "score", "by": "weights", "weights": "a"}
    levels: ClassVar[Mapping[str, Level]] = {"score": "episode"}

    part: Literal["redistribute"] = "redistribute"
    over: Level = "step"
    by: Literal["last", "uniform", "weights"]
    weights: str = "attribution"
    largest: float | None = Field(None, gt=0, allow_inf_nan=False)
    missing: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _consistent(self) -> Redistribute:
        require_order(self.to or self.of, self.over)
        if self.by != "weights" and (self.largest is not None or self.missing is not None):
            raise ValueError(f"got largest or missing with by: {self.by}; expected by: weights, or none of them")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The score, and the weights where it goes by them."""
        return (self.of, self.weights) if self.by == "weights" else (self.of,)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """What it is spread over.

        Raises:
            ValueError: the score is of nothing coarser, or the weights are finer.
        """
        if LEVELS.index(levels[self.of]) <= LEVELS.index(self.over):
            raise ValueError(
                f"got {self.of!r}, a column of each {levels[self.of]}; expected a coarser one than {self.over}"
            )
        for name in self.inputs[1:]:
            require_within(name, levels[name], self.over)
        return self.over

    def _shares(self, table: Table) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Share of each step, and where it is known."""
        layout = table.nested(self)
        owner, size = layout.owner(self.over, "episode"), layout.size("episode")
        everyone = np.ones(len(owner), np.bool_)
        if self.by == "last":
            last, final = layout.last(self.over, "episode"), layout.final(self.over)
            return final.astype(np.float64), ~last | final
        if self.by == "uniform":
            return 1.0 / np.bincount(owner, minlength=size)[owner], everyone
        column = table.at(self.weights, self.over)
        weights = np.where(column.valid, column.values, 0.0).astype(np.float64)
        if (weights < 0).any():
            raise ValueError(f"got a weight of {weights.min():g} in {self.weights!r}; expected none below 0")
        if self.largest is not None:
            return weights / self.largest, column.valid
        total = np.bincount(owner, weights, size)[owner]
        even = 1.0 / np.maximum(np.bincount(owner, column.valid, size), 1)[owner]
        return np.where(total > 0, weights / np.where(total > 0, total, 1.0), even), column.valid

    def apply(self, table: Table, state: State) -> Column:
        """The shares of the score."""
        score = table.at(self.of, self.over)
        share, known = self._shares(table)
        values = share * np.where(score.valid, score.values, 0.0)
        if self.missing is not None:
            values, known = np.where(known, values, self.missing), np.ones_like(known)
        return Column(values.astype(np.float32), score.valid & known)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """The shares of each term; what is paid for missing weights is the part's own doing."""
        share, known = self._shares(table)
        level = table.levels[self.of]
        return {
            name: np.where(known, share * table.spread(values, level, self.over), 0.0)
            for name, values in terms[self.of].items()
        }

    def formula(self, term: str) -> str:
        """The share of the score."""
        of = {"last": "1[t = T]", "uniform": "1/T", "weights": f"{self.weights}/Σ{self.weights}"}[self.by]
        return f"{f'{self.weights}/{self.largest:g}' if self.largest is not None else of}·{term}"
