"""`ReferenceRelative`: a score that is measured from what a reference answer gets, and saturates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rewards.columns import Column
from rewards.views.layout import Level
from rewards.views.part import Reshape, State, Table

Floats = NDArray[np.float64]


def _sigmoid(x: Floats) -> Floats:
    found: Floats = 0.5 * (1 + np.tanh(x / 2))
    return found


FORMS: dict[str, Callable[[Floats], Floats]] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "log_sigmoid": lambda x: -np.logaddexp(0.0, -x),
    "difference": lambda x: x,
}


class ReferenceRelative(Reshape):
    """r' = mean over reference answers of f(r − r_ref): with f = σ, the chance that a reward model prefers the answer.

    Bounded, steep at the reference and flat far above it, where a reward model is trusted least; adding a constant to
    the model changes nothing. A reference that is NULL is left out; NULL where the score is, or all references are.

    Sources: PAR, preference as reward (Fu et al. 2025), with ten references, where tanh and log σ of the centred score
    are its baselines; CGPO's calibrated reward (Xu et al. 2024), with one.

    Attributes:
        references: names of the columns of reference scores, of the group or coarser than `of`.
        form: f.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "par": {"form": "sigmoid"},
        "cgpo": {"form": "sigmoid"},
        "tanh_centred": {"form": "tanh"},
        "log_sigmoid_centred": {"form": "log_sigmoid"},
    }
    example: ClassVar[Mapping[str, Any]] = {"of": "r", "references": ("one", "two")}
    levels: ClassVar[Mapping[str, Level]] = {"one": "group", "two": "group"}

    part: Literal["reference_relative"] = "reference_relative"
    references: tuple[str, ...] = Field(("reference",), min_length=1)
    form: Literal["sigmoid", "tanh", "log_sigmoid", "difference"] = "sigmoid"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The score, and those of the references."""
        return (self.of, *(name for name in self.references if name != self.of))

    def apply(self, table: Table, state: State) -> Column:
        """The mean over known references."""
        own, column = table.levels[self.of], table[self.of]
        total, count = np.zeros(column.values.shape), np.zeros(column.values.shape)
        for name in self.references:
            reference = table.at(name, own)
            known = column.valid & reference.valid
            apart = np.where(known, column.values, 0.0).astype(np.float64) - np.where(known, reference.values, 0.0)
            total += np.where(known, FORMS[self.form](apart), 0.0)
            count += known
        return column.map((total / np.maximum(count, 1)).astype(np.float32), count > 0)

    def formula(self, term: str) -> str:
        """The mean over references."""
        sign = {"sigmoid": "σ", "tanh": "tanh", "log_sigmoid": "log σ", "difference": ""}[self.form]
        return f"mean_ref {sign}({term} − {', '.join(self.references)})"
