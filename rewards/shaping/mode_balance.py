"""`ModeBalance`: a way to answer is worth less while too much of a batch answers that way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, FiniteFloat

from rewards.columns import Column
from rewards.views.part import Reshape, State, Table


class ModeBalance(Reshape):
    """A reward for thinking or not and being right or not; in a mode taken too often it fades into a worse one.

    | mode     | right, wrong | right, wrong where all of the batch is of this mode |
    |----------|--------------|-----------------------------------------------------|
    | thought  | 1, 0         | 0, −1                                               |
    | straight | 2, −1        | 1, −2                                               |

    With z the share of the batch that is of a mode, its rewards are (1 − δ) of the first column and δ of the second,
    δ = clip(slope (z − share), 0, 1). With share 1 there is no balance: the second stage of the source. NULL where it
    is not known whether the answer is right or whether it thought; such answers are in no share.

    Source: AutoThink, Learning When to Think (share 1/2, slope 2 in its first stage).

    Attributes:
        of: name of the column that says whether an answer is right, at least `least`.
        thought: name of the column that says whether it thought first.
        share: of a batch that one mode may be without paying.
        slope: of δ beyond it.
        least: at which an answer is right.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "autothink_balance": {"share": 0.5, "slope": 2.0},
        "autothink_base": {"share": 1.0, "slope": 2.0},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "right"}

    part: Literal["mode_balance"] = "mode_balance"
    thought: str = "thought"
    share: float = Field(0.5, ge=0, le=1)
    slope: float = Field(2.0, gt=0, allow_inf_nan=False)
    least: FiniteFloat = 0.5

    @property
    def inputs(self) -> tuple[str, ...]:
        """Whether answers are right, and whether they thought."""
        return (self.of, self.thought)

    def apply(self, table: Table, state: State) -> Column:
        """Rewards of both modes."""
        column, mode = table[self.of], table.at(self.thought, table.levels[self.of])
        known = column.valid & mode.valid
        right, thought = column.values >= self.least, mode.values >= 0.5
        share = float((thought & known).sum()) / max(int(known.sum()), 1)
        excess = np.where(thought, share, 1.0 - share) - self.share
        fade = np.clip(self.slope * excess, 0.0, 1.0)
        base = np.where(thought, np.where(right, 1.0, 0.0), np.where(right, 2.0, -1.0))
        return Column((base - fade).astype(np.float32), known)  # in both modes, the second column is 1 less

    def formula(self, term: str) -> str:
        """The base, less what balance takes."""
        return f"mode({term}, {self.thought}) − clip({self.slope:g}·(share − {self.share:g}), 0, 1)"
