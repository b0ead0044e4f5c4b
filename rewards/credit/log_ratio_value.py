"""`LogRatioValue`: the outcome, less what the rest of the answer pays for leaving the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Layout, Level
from rewards.views.part import Reshape, Stage, State, Table, Terms, require_within


class LogRatioValue(Reshape):
    """R_t = A − (1/η) Σ_{j ≥ e(t)} (log π(a_j) − log π_0(a_j)), e(t) the last token of the chunk of t.

    At the optimum of E[r] − KL(π ‖ π_0)/η the reward less the log-ratio of the whole answer is the same for every
    answer; what is left of it after a prefix is the value of the process. Advantage and KL penalty are one number.

    NULL where the outcome is, and where a log-probability from e(t) on is: the sum looks through it.

    Source: PRL: Process Reward Learning (Yao, Wang and Zhang 2026), with chunks of 256 tokens, read at their ends.

    Attributes:
        log_probs: column of tokens, of the policy that wrote them.
        reference: column of tokens, of π_0.
        eta: η.
        chunk: tokens of a chunk; None for the steps of the layout.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"prl": {"eta": 100.0, "chunk": 256}}
    example: ClassVar[Mapping[str, Any]] = {"of": "advantage", "eta": 2.0, "chunk": 2}
    levels: ClassVar[Mapping[str, Level]] = {"advantage": "episode", "log_probs": "token", "reference": "token"}

    part: Literal["log_ratio_value"] = "log_ratio_value"
    log_probs: str = "log_probs"
    reference: str = "reference"
    eta: float = Field(100.0, gt=0, allow_inf_nan=False)
    chunk: int | None = Field(256, ge=1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The outcome, and the log-probabilities of both policies."""
        return (self.of, self.log_probs, self.reference)

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Tokens."""
        for name in self.inputs:
            require_within(name, levels[name], "token")
        return "token"

    def apply(self, table: Table, state: State) -> Column:
        """Values of tokens."""
        layout = table.nested(self)
        outcome, ours, theirs = (table.at(name, "token") for name in self.inputs)
        known = ours.valid & theirs.valid
        ratio = np.where(known, ours.values.astype(np.float64) - theirs.values, 0.0)
        end = chunk_ends(layout, self.chunk)
        values = np.where(outcome.valid, outcome.values, 0.0) - to_go(layout, ratio)[end] / self.eta
        return Column(values.astype(np.float32), outcome.valid & (to_go(layout, ~known)[end] == 0))

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """The terms of the outcome, in each token; the log-ratios are the part's own doing."""
        level = table.levels[self.of]
        return {name: table.spread(values, level, "token") for name, values in terms[self.of].items()}

    def formula(self, term: str) -> str:
        """The outcome less the log-ratio to go."""
        return f"{term} − Σ_(j≥e(t)) ({self.log_probs} − {self.reference})[j]/{self.eta:g}"


def to_go(layout: Layout, values: np.ndarray) -> np.ndarray:
    """Sums of values of tokens from each to the end of its episode, its own included."""
    total = layout.total(values, "token", "episode")[layout.owner("token", "episode")]
    found: np.ndarray = total - layout.so_far(values, "token") + values
    return found


def chunk_ends(layout: Layout, chunk: int | None) -> np.ndarray:
    """Of each token, the index of the last one of its chunk."""
    tokens = np.arange(layout.size("token"))
    end = layout.last("token", "episode")
    if chunk is None:
        end = end | layout.last("token", "step")
    else:
        end = end | ((layout.place("token") + 1) % chunk == 0)
    ends = np.flatnonzero(end)
    found: np.ndarray = ends[np.searchsorted(ends, tokens)]
    return found
