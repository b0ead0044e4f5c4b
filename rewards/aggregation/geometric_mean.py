"""`GeometricMean`: rewards that should be earned together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rewards.aggregation.several import Floats, Several


class GeometricMean(Several):
    """R = ± (Π_k |r_k|)^(1/n), with a plus exactly where no r_k is negative. NULL where one is.

    A sum pays whoever has much of one and nothing of the others; here nothing of one is nothing at all, and a single
    negative one makes the whole negative. Several negative ones do not cancel.

    Source: Lucy-SKG (Moschopoulos et al. 2023), Kinesthetic Reward Combination.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"krc": {}}
    example: ClassVar[Mapping[str, Any]] = {"of": ("a", "b")}

    part: Literal["geometric_mean"] = "geometric_mean"

    def combined(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """The mean, with its sign."""
        size: Floats = np.prod(np.abs(values) ** (1 / len(values)), axis=0)  # roots first: no overflow
        return np.where((values >= 0).all(0), size, -size)

    def describe(self, terms: Mapping[str, str]) -> str:
        """The root of the product."""
        return f"±({' · '.join(f'|{terms[name]}|' for name in self.of)})^(1/{len(self.of)})"
