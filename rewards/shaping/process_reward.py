"""`ProcessReward`: scores of the steps of a solution, so that more steps do not earn more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import FiniteFloat, model_validator

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, State, Table, Terms, require_order


class ProcessReward(Reshape):
    """Clip: r_k = min(p_k − η, 0). Delta: r_k = p_k − p_{k+1}, of what the clip has left.

    A clipped step earns at most 0, so steps that look good cannot be farmed. Under delta the return from a step on is
    that step's own score. The last step earns nothing under delta, since the outcome pays it: the one before keeps its
    score, and a solution of one step earns 0.

    A delta whose neighbour is NULL is NULL, and so is the last one where an episode was cut: its neighbour is not here.
    The mean as η is that of the known scores of the batch.

    Source: On Designing Effective RL Reward at Training Time for LLM Reasoning. The paper leaves η open: a number, or
    the mean of the batch, is chosen here.

    Attributes:
        clip: η; None does not clip.
        delta: whether differences are paid.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "clip": {"clip": "mean", "delta": False},
        "delta": {"clip": None, "delta": True},
        "clip_delta": {"clip": "mean", "delta": True},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "p", "clip": 0.5, "delta": True}

    part: Literal["process_reward"] = "process_reward"
    clip: FiniteFloat | Literal["mean"] | None = "mean"
    delta: bool = True

    @model_validator(mode="after")
    def _does_something(self) -> ProcessReward:
        if self.clip is None and not self.delta:
            raise ValueError("got neither clip nor delta; expected one of them, or leave the part out")
        return self

    def level(self, levels: Mapping[str, Level]) -> Level:
        """Steps or tokens."""
        own = super().level(levels)
        require_order(self.of, own)
        return own

    def apply(self, table: Table, state: State) -> Column:
        """What each step is paid."""
        column, own = table[self.of], table.levels[self.of]
        scores, valid = np.where(column.valid, column.values, 0.0).astype(np.float64), column.valid
        if self.clip is not None:
            eta = scores.sum() / max(valid.sum(), 1) if self.clip == "mean" else self.clip
            scores = np.minimum(scores - eta, 0.0)
        if self.delta:
            layout = table.nested(self)
            last, final = layout.last(own, "episode"), layout.final(own)
            scores, known = np.where(final, 0.0, scores), valid | final
            scores = scores - layout.after(scores, 0.0, own)
            valid = valid & layout.after(known, True, own) & (~last | final)
        return Column(scores.astype(np.float32), valid)

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """Of delta alone, which is linear, that of each term; else the terms as they were."""
        return self.passed(table, terms[self.of], state) if self.clip is None else dict(terms[self.of])

    def formula(self, term: str) -> str:
        """Clip, then delta."""
        eta = self.clip if isinstance(self.clip, str) or self.clip is None else f"{self.clip:g}"
        clipped = term if self.clip is None else f"min({term} − {eta}, 0)"
        return f"Δ_next({clipped})" if self.delta else clipped
