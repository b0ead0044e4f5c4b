"""`Hedging`: when a call takes longer than nearly all others, ask a second time; the first answer counts.

One slow replica then costs the slowest calls a second question and not its slowness (Dean and Barroso, "The Tail at
Scale", 2013). The share of calls that are asked twice is bounded, so that a judge that is slow for everybody is not
given twice the work.
"""

from __future__ import annotations

import math
from collections import deque

from pydantic import BaseModel, ConfigDict, Field

CALLS_KEPT = 256


class Config(BaseModel):
    """When a second call is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantile: float = Field(default=0.95, gt=0, lt=1, description="of the latest calls, by how long they took")
    factor: float = Field(default=1.5, ge=1, description="a call is hedged after this many times that quantile")
    at_most: float = Field(default=0.05, ge=0, le=1, description="share of calls that may be hedged; 0: none")
    warm_up: int = Field(default=20, ge=1, description="calls that must have ended before any is hedged")
    shortest_s: float = Field(default=0.05, ge=0, description="no call is hedged earlier than this")


class Hedging:
    """How long calls take, and whether one more may be asked twice."""

    def __init__(self, config: Config | None = None) -> None:
        """Nothing is known yet."""
        self.config = config or Config()
        self._latest: deque[float] = deque(maxlen=CALLS_KEPT)
        self.calls = 0
        self.hedged = 0
        self.won = 0  # second calls that answered first

    def began(self) -> float | None:
        """A call is made; gives the seconds after which to ask again, or None where it is not to be asked again."""
        self.calls += 1
        if len(self._latest) < self.config.warm_up or self.hedged + 1 > self.config.at_most * self.calls:
            return None
        ordered = sorted(self._latest)
        slow_s = ordered[math.ceil(self.config.quantile * len(ordered)) - 1]
        return max(self.config.shortest_s, self.config.factor * slow_s)

    def ended(self, seconds: float, by_second: bool) -> None:
        """A call was answered, after so long."""
        self._latest.append(seconds)
        self.won += by_second
