"""`LogTamed`: a sum in which what scatters most is damped by a logarithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from rewards.aggregation.several import Floats, Several


class LogTamed(Several):
    """R = Σ_k w_k r'_k, r' = log(1 + r) where h_k = std(r_k) / (mean(r_k) + 1e-6) of the batch is above a threshold.

    So that the most volatile reward does not rule the group's advantages. The threshold is the mean of all h_k, their
    median, or a number. NULL where one reward is; a NULL is in no statistic.

    Source: PaCo-RL (log-tamed aggregation of the released code).

    Attributes:
        weights: w, in the order of `of`; 1 each where left out.
        threshold: "mean", "median", or a number.
    """

    null: ClassVar[Literal["stays", "excluded", "declared"]] = "excluded"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paco": {"threshold": "mean"}}
    example: ClassVar[Mapping[str, Any]] = {"of": ("a", "b")}

    part: Literal["log_tamed"] = "log_tamed"
    weights: tuple[FiniteFloat, ...] = ()
    threshold: Literal["mean", "median"] | float = Field("mean")

    @model_validator(mode="after")
    def _one_each(self) -> LogTamed:
        if self.weights and len(self.weights) != len(self.of):
            raise ValueError(f"got {len(self.weights)} weights for {list(self.of)}; expected one each, or none")
        return self

    def volatility(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """H of each reward `[K]`; 0 where nothing is known of it."""
        count = np.maximum(known.sum(1), 1)
        mean = values.sum(1) / count
        squares = np.where(known, (values - mean[:, None]) ** 2, 0.0).sum(1) / count
        found: Floats = np.sqrt(squares) / (mean + 1e-6)
        return found

    def combined(self, values: Floats, known: NDArray[np.bool_]) -> Floats:
        """The sum.

        Raises:
            ValueError: a reward is negative: a logarithm has no damping to offer it.
        """
        if (values < 0).any():
            lowest = self.of[int(values.min(1).argmin())]
            raise ValueError(
                f"log_tamed: got {values.min():g} in {lowest!r}; expected rewards of at least 0: put the part "
                f"{{part: clip, of: {lowest}, low: 0, high: .inf}} before it, or take `weighted_sum` instead"
            )
        h = self.volatility(values, known)
        bound = {"mean": h.mean(), "median": np.median(h)}.get(str(self.threshold), self.threshold)
        # Equal volatilities differ from their mean by rounding.
        tamed = h > float(bound) * (1 + 1e-9)
        weights = np.asarray(self.weights or np.ones(len(self.of)))
        found: Floats = weights @ np.where(tamed[:, None], np.log1p(values), values)
        return found

    def describe(self, terms: Mapping[str, str]) -> str:
        """The damped sum."""
        weights = self.weights or (1.0,) * len(self.of)
        return " + ".join(f"{w:g}·tamed({terms[n]})" for w, n in zip(weights, self.of, strict=True))
