"""`Column`: one number per step, or NULL."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST = float(np.finfo(np.float32).max)
"""No reward is larger than this: rewards are learnt from as float32."""


@dataclass(frozen=True)
class Column:
    """Values of one component.

    Where a value is NULL it is stored as NaN, so that a part that forgets the mask is found out at once and cannot
    pass a number off as a reward.

    Attributes:
        values: float32, of any shape; NaN where NULL.
        valid: bool, of the same shape.
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Write NaN where NULL, and refuse valid values that are not finite.

        Raises:
            ValueError: shapes differ, or a valid value is NaN or infinite.
        """
        values, valid = np.asarray(self.values, np.float32), np.asarray(self.valid, np.bool_)
        if values.shape != valid.shape:
            raise ValueError(f"got values of shape {values.shape} and valid of shape {valid.shape}; expected the same")
        finite = np.isfinite(values)
        if not (finite | ~valid).all():
            where = np.flatnonzero(~finite & valid)[0]
            raise ValueError(
                f"got {values.reshape(-1)[where]} at position {where} of a reward column; expected finite numbers: "
                "mark what could not be had as not valid"
            )
        object.__setattr__(self, "values", np.where(valid, values, np.float32(np.nan)))
        object.__setattr__(self, "valid", valid)

    @classmethod
    def full(cls, values: ArrayLike) -> Column:
        """A column without NULLs."""
        array = np.asarray(values, np.float32)
        return cls(array, np.ones(array.shape, np.bool_))

    def map(self, values: NDArray[np.float32], valid: NDArray[np.bool_] | None = None) -> Column:
        """A column of other values, NULL where this one is, and where `valid` says so."""
        return Column(values, self.valid if valid is None else self.valid & valid)
