"""`Scaler`: how many processes of a role there should be, from how hard those that are there are pressed.

The rule is the one of Kubernetes' Horizontal Pod Autoscaler: wanted = ⌈current · pressure⌉, nothing within a tolerance
of 1, and a stabilisation window each way, of which the most cautious wish counts: growing takes the least that was
wished for throughout `up_s`, shrinking the most that was wished for throughout `down_s`. After a change nothing is
decided for `settle_s`, because what was measured before says nothing about now.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field, model_validator

EPSILON = 1e-9


class Bounds(BaseModel):
    """How few and how many processes of a role there may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: int | None = Field(default=None, ge=1, description="None: as many as the role's own count says")
    most: int | None = Field(default=None, ge=1, description="None: as many as the role's own count says")

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"got least {self.least} above most {self.most}; expected least <= most")
        return self

    def around(self, count: int) -> tuple[int, int]:
        """The bounds of a role that begins with `count` processes."""
        return min(count, self.least or count), max(count, self.most or count)


class Config(BaseModel):
    """How fast a role grows and shrinks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance: float = Field(default=0.15, ge=0, lt=1, description="a pressure this near to 1 changes nothing")
    up_s: float = Field(default=6.0, ge=0, description="pressure above 1 must last this long")
    down_s: float = Field(default=30.0, ge=0, description="pressure below 1 must last this long")
    settle_s: float = Field(default=10.0, ge=0, description="after a change nothing is decided for this long")
    double: float = Field(default=2.0, gt=1, description="the role grows by this factor at once, at most")


class Scaler:
    """Decides; a pure state machine with an injected clock."""

    def __init__(self, config: Config, least: int, most: int, current: int, clock: Callable[[], float]) -> None:
        """Begin with `current` processes.

        Args:
            config: how fast.
            least: processes, at least 1.
            most: processes.
            current: processes now, within the bounds.
            clock: in seconds.

        Raises:
            ValueError: the bounds are not in order.
        """
        if not 1 <= least <= current <= most:
            raise ValueError(
                f"got {current} processes within {least} and {most}; expected 1 <= least <= current <= most"
            )
        self.config, self.least, self.most, self.wanted = config, least, most, current
        self._clock = clock
        self._wishes: deque[tuple[float, int]] = deque()
        self._rests_until = -math.inf

    def observe(self, pressure: float) -> int:
        """Take in how hard the processes are pressed; gives how many there should be from now on.

        Args:
            pressure: what is asked of them over what they can do together: 2: twice as many are needed, 0.5: half.

        Raises:
            ValueError: it is not a finite number, or negative.
        """
        if not (math.isfinite(pressure) and pressure >= 0):
            raise ValueError(f"got a pressure of {pressure}; expected a finite number of at least 0")
        now = self._clock()
        if now < self._rests_until:
            return self.wanted
        self._wishes.append((now, self._wish(pressure)))
        horizon = now - max(self.config.up_s, self.config.down_s)
        # One wish from before the horizon stays, so that the windows are known to be covered.
        while len(self._wishes) > 1 and self._wishes[1][0] <= horizon:
            self._wishes.popleft()
        grown = self._throughout(now - self.config.up_s, min)
        shrunk = self._throughout(now - self.config.down_s, max)
        if grown is not None and grown > self.wanted:
            self._change(grown, now)
        elif shrunk is not None and shrunk < self.wanted:
            self._change(shrunk, now)
        return self.wanted

    def forget(self) -> None:
        """Nothing was seen for a while: one look after it says nothing of the time between, and windows begin anew."""
        self._wishes.clear()

    def _wish(self, pressure: float) -> int:
        if abs(pressure - 1) <= self.config.tolerance + EPSILON:
            return self.wanted
        wish = math.ceil(self.wanted * min(pressure, self.config.double) - EPSILON)
        return max(self.least, min(self.most, wish))

    def _throughout(self, since: float, of: Callable[[list[int]], int]) -> int | None:
        """The most cautious wish since then; None where the window is not covered yet."""
        if self._wishes[0][0] > since + EPSILON:
            return None
        inside = [wish for at, wish in self._wishes if at >= since - EPSILON]
        return of(inside) if inside else None

    def _change(self, wanted: int, now: float) -> None:
        self.wanted = wanted
        self._wishes.clear()
        self._rests_until = now + self.config.settle_s
