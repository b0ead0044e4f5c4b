"""`BaseAndBonus`: a bonus that multiplies what has to be there first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rewards.aggregation.several import Floats, Several


class BaseAndBonus(Several):
    """R = b (1 − share + share · s), limited to [0, 1], of a base b and a bonus s between 0 and 1. NULL where one is.

    Without the base the bonus is worth nothing, so that what the bonus alone would pay for (leaving everything as it
    is, say) is no way out.

    Source: FIRM, Consistency-Modulated Execution: R = execution · (0.6 + 0.4 · consistency). The weights of its
    Quality-Modulated Alignment are not given; the same are taken here.

    Attributes:
        of: the base, then the bonus.
        share: of the whole that the bonus decides.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"cme": {"share": 0.4}, "qma": {"share": 0.4}}
    example: ClassVar[Mapping[str, Any]] = {"of": ("base", "bonus")}

    part: Literal["base_and_bonus"] = "base_and_bonus"
    share: float = Field(0.4, ge=0, le=1)

    @model_validator(mode="after")
    def _two(self) -> BaseAndBonus:
        if len(self.of) != 2:
            raise ValueError(f"got {list(self.of)}; expected two columns: the base, then the bonus")
        return self

    def combined(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """The base, modulated by the bonus."""
        base, bonus = values
        found: Floats = np.clip(base * (1 - self.share + self.share * bonus), 0.0, 1.0)
        return found

    def describe(self, terms: Mapping[str, str]) -> str:
        """The product."""
        base, bonus = (terms[name] for name in self.of)
        return f"[{base}]·({1 - self.share:g} + {self.share:g}·[{bonus}])"
