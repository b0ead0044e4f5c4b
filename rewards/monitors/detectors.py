"""Sequential tests on one stream of numbers: has it moved from where it was, or stayed beyond a level?

A NULL is no observation: it neither alarms nor clears. The first observations are the reference; none of them alarms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Cusum:
    """One-sided cumulative sum over standardised observations (Page 1954), against the mean of the first ones.

        z = side · (x − μ) / σ,   S ← max(0, S + z − slack),   alarm when S ≥ threshold

    For independent normal observations around the reference the mean number between two false alarms is about
    exp(2·slack·(threshold + 1.166)) / (2·slack²) (Siegmund 1985, for large thresholds); with slack ½ and threshold 12
    over a million.
    μ and σ are estimated, and learning moves every stream: thresholds are measured, see docs/monitors.md.

    Attributes:
        side: 1: a rise alarms; −1: a fall.
        slack: deviations that count as standing still.
        threshold: evidence that alarms, in deviations.
        warm_up: observations that make the reference, at least 2.
        floor: least σ, as a share of |μ|: a stream that stood still would else alarm at a breath.
        least: least σ, in the stream's own unit.
    """

    side: int
    slack: float
    threshold: float
    warm_up: int
    floor: float = 0.05
    least: float = 1e-6
    seen: int = 0
    mean: float = 0.0
    squares: float = 0.0
    evidence: float = 0.0

    def z(self, value: float) -> float:
        """Deviations from the reference, upwards."""
        sigma = math.sqrt(self.squares / max(1, self.warm_up - 1))
        return (value - self.mean) / max(sigma, self.floor * abs(self.mean), self.least)

    @property
    def ready(self) -> bool:
        """Whether the reference is known."""
        return self.seen >= self.warm_up

    def observe(self, value: float | None) -> bool:
        """Take in one observation; gives whether it alarms. Evidence begins anew after that."""
        if value is None or not math.isfinite(value):
            return False
        self.seen += 1
        if self.seen <= self.warm_up:
            apart = value - self.mean
            self.mean += apart / self.seen
            self.squares += apart * (value - self.mean)
            return False
        self.evidence = max(0.0, self.evidence + self.side * self.z(value) - self.slack)
        if self.evidence < self.threshold:
            return False
        self.evidence = 0.0
        return True

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` goes on from."""
        return {name: asdict(self)[name] for name in ("seen", "mean", "squares", "evidence")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on."""
        for name, value in state.items():
            setattr(self, name, value)


@dataclass
class Level:
    """So many observations in a row beyond a level.

    Where an observation is beyond it by chance with probability p, independently, a false alarm comes in at most p^k of
    the observations.

    Attributes:
        level: at or above it counts.
        patience: k, observations in a row that alarm.
        warm_up: observations before which nothing alarms.
    """

    level: float
    patience: int
    warm_up: int
    seen: int = 0
    beyond: int = field(default=0)

    def observe(self, value: float | None) -> bool:
        """Take in one observation; gives whether it alarms. Counting begins anew after that."""
        if value is None or not math.isfinite(value):
            return False
        self.seen += 1
        self.beyond = self.beyond + 1 if value >= self.level and self.seen > self.warm_up else 0
        if self.beyond < self.patience:
            return False
        self.beyond = 0
        return True

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` goes on from."""
        return {"seen": self.seen, "beyond": self.beyond}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on."""
        self.seen, self.beyond = int(state["seen"]), int(state["beyond"])
