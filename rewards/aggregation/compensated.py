"""`Compensated`: a score that may be too low, helped by a bonus where it is low."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rewards.aggregation.several import Floats, Several
from rewards.views.part import State, Table, Terms


class Compensated(Several):
    """R = min(s + weight · b, most) where the score s is below `below`, else s; b is a bonus. NULL where one is.

    A reward model that is often wrong gives low scores to good answers; there a reward that asks for something else,
    such as signs of thinking, makes up for a part. High scores stay as they are, so that the bonus alone is never
    worth much.

    Source: Lv et al. 2025, "The Climb Carves Wisdom Deeper Than the Summit", section 3.3, with scores between 0 and 1,
    τ = 0.5 and α = 0.1; the bonus is its reasoning pattern reward (`reasoning_patterns`), of the thoughts.

    Attributes:
        of: the score, then the bonus.
        below: τ; a score that reaches it stays as it is.
        weight: α.
        most: what a low score comes to at most.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"rpr": {"below": 0.5, "weight": 0.1, "most": 1.0}}
    example: ClassVar[Mapping[str, Any]] = {"of": ("score", "bonus")}

    part: Literal["compensated"] = "compensated"
    below: float = 0.5
    weight: float = Field(0.1, ge=0)
    most: float = 1.0

    @model_validator(mode="after")
    def _two(self) -> Compensated:
        if len(self.of) != 2 or self.most < self.below:
            raise ValueError(
                f"got {list(self.of)}, below={self.below} and most={self.most}; expected two columns, the score and "
                "the bonus, and most not less than below"
            )
        return self

    def combined(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """The score, with the bonus where it is low."""
        score, bonus = values
        helped = np.minimum(score + self.weight * bonus, self.most)
        found: Floats = np.where(score < self.below, helped, score)
        return found

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """The score is its own, and what was added is the bonus's."""
        values, known = self.stacked(table)
        both = known.all(axis=0)
        score = np.where(both, values[0], 0.0)
        return {self.of[0]: score, self.of[1]: np.where(both, self.combined(values, known), 0.0) - score}

    def describe(self, terms: Mapping[str, str]) -> str:
        """The score and what is added."""
        score, bonus = (terms[name] for name in self.of)
        return f"[{score}] + {self.weight:g}·[{bonus}]·1[{score} < {self.below:g}]"
