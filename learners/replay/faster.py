"""`Faster`: which of two ways to do the same is the faster one now, found by trying the other one now and then.

Several threads copy faster than one where cores are free, and far slower where others use them too: they wait for each
other. Which it is changes with what else runs on the machine.
"""

from __future__ import annotations

from statistics import median

_TRIES = 4  # times in a row that the other way is tried; the first of them is not counted: threads wake up
_SMOOTHING, _MOST = 1 / 16, 2.0  # of what it costs, which counts as at most so many times what it did before
_FAR, _HELD_UP = 2.0, 2  # a way that costs so many times what the other did, so often in a row, is left at once
_SOONEST, _LATEST = 64, 16384  # times between two trials; more after each that was in vain


class Faster:
    """Chooses between way 0, with which it begins, and way 1; the caller says what each time cost."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._best = 0
        self._costs = [0.0, 0.0]  # smoothed; 0: not known
        self._pauses = [_SOONEST, _SOONEST]  # times between two trials of the other way, by the way that is gone
        self._left = _SOONEST  # times until the next one
        self._trial: list[float] = []
        self._tries, self._held_up = False, 0

    def choose(self) -> int:
        """The way to go this time."""
        return 1 - self._best if self._tries else self._best

    def took(self, cost: float) -> None:
        """The way that was chosen cost so much, in any unit above 0."""
        if self._tries:
            self._trial.append(cost)
            if len(self._trial) < _TRIES:
                return
            other, self._tries = 1 - self._best, False
            self._costs[other] = median(self._trial[1:])
            if self._costs[other] < self._costs[self._best]:
                self._pauses[self._best] = max(_SOONEST, self._pauses[self._best] // 2)
                self._best = other
            else:
                self._pauses[self._best] = min(2 * self._pauses[self._best], _LATEST)
            self._left = self._pauses[self._best]
            return
        known, others = self._costs[self._best], self._costs[1 - self._best]
        self._costs[self._best] = known + (min(cost, _MOST * known) - known) * _SMOOTHING if known else cost
        self._held_up = self._held_up + 1 if 0 < _FAR * others < cost else 0
        self._left -= 1
        if self._held_up == _HELD_UP:
            self._costs[self._best], self._held_up = cost, 0
            self._best = 1 - self._best
            self._left = self._pauses[self._best] = min(2 * self._pauses[self._best], _LATEST)
        elif self._left <= 0 or 0 < others < self._costs[self._best]:  # by now it is slower than the other was
            self._tries, self._trial = True, []
