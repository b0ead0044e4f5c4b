"""Where episodes start along a reference: at states that earlier episodes have reached, phase by phase.

A reference that was seen and not lived has frames that cannot be: a hand inside of a box, a box that moves untouched.
Who starts there learns from what never happens. Here a reference is cut into phases, and an episode of a phase starts
from a state that an episode of the phase before has come to. A phase is open once enough of the newest episodes of the
phase before have followed the reference through it; the start of the first is all there is at first.

Source: SUGAR (Wu et al. 2026), progressive state pool; reference state initialisation, which starts at the frames
themselves, is of DeepMimic (Peng et al. 2018). When a phase opens, and that the last open one is drawn more often than
others, are chosen here.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Starts(NamedTuple):
    """Where episodes are to start: phases `[n]`, and states `[n, d]`."""

    phases: Ints
    states: Floats


class StatePool:
    """States that were reached, by phase; the newest are kept."""

    def __init__(
        self,
        starts: ArrayLike,
        phases: int,
        capacity: int = 64,
        unlock: float = 0.5,
        window: int = 32,
        frontier: float = 0.5,
    ) -> None:
        """Only the first phase is open.

        Args:
            starts: states in which the first phase starts, which are taken as possible `[N, d]`.
            phases: of the reference; with one, every episode starts where the task does.
            capacity: states of a phase that are kept.
            unlock: share of the newest episodes of a phase that have to follow, for the next to be open.
            window: how many episodes those are.
            frontier: how often the last open phase is drawn, whatever a draw from all of them gives.

        Raises:
            ValueError: no states to start from, or a setting out of its range.
        """
        first = np.asarray(starts, np.float64)
        if first.ndim != 2 or not len(first) or not np.isfinite(first).all():
            raise ValueError(f"got starts of shape {first.shape}; expected [N, d], one at least, finite numbers")
        if min(phases, capacity, window) < 1 or not (0 <= unlock <= 1 and 0 <= frontier <= 1):
            raise ValueError(
                f"got phases={phases}, capacity={capacity}, window={window}, unlock={unlock} and frontier={frontier}; "
                "expected counts of at least 1, and shares from 0 to 1"
            )
        self._capacity, self._unlock, self._window, self._frontier = capacity, unlock, window, frontier
        self._states = [first[-capacity:]] + [first[:0]] * (phases - 1)
        self._followed: list[deque[bool]] = [deque(maxlen=window) for _ in range(phases)]
        self._open = 1

    @property
    def open(self) -> int:
        """How many phases episodes may start in."""
        return self._open

    def states(self, phase: int) -> Floats:
        """What is kept of a phase, the newest last `[n, d]`."""
        return np.array(self._states[phase])

    def draw(self, number: int, random: np.random.Generator) -> Starts:
        """Where `number` episodes start."""
        phases = np.where(
            random.random(number) < self._frontier, self._open - 1, random.integers(0, self._open, number)
        )
        kept = [self._states[phase] for phase in phases.tolist()]
        states = [each[random.integers(len(each))] for each in kept]
        return Starts(phases, np.array(states).reshape(number, self._states[0].shape[1]))

    def tell(self, phases: ArrayLike, reached: ArrayLike, followed: ArrayLike) -> None:
        """Of finished episodes, in the order they ended.

        Args:
            phases: in which each started `[n]`.
            reached: the state at the end of that phase `[n, d]`; not read of who did not follow.
            followed: whether the reference was followed through the phase `[n]`.

        Raises:
            ValueError: shapes that do not fit, a phase that is not open, or a state that is not finite.
        """
        began, ends, good = np.asarray(phases), np.asarray(reached, np.float64), np.asarray(followed, np.bool_)
        wanted = (*began.shape, self._states[0].shape[1])
        if began.ndim != 1 or ends.shape != wanted or good.shape != began.shape:
            raise ValueError(
                f"got phases {began.shape}, states {ends.shape} and followed {good.shape}; "
                f"expected [n], [n, {wanted[-1]}] and [n]"
            )
        if ((began < 0) | (began >= self._open)).any() or not np.isfinite(ends[good]).all():
            raise ValueError(
                f"got phases {np.unique(began).tolist()} of {self._open} open ones, or a state that is not finite; "
                "expected episodes as they were drawn, and followed=False where a simulation broke"
            )
        for phase in np.unique(began).tolist():
            own = began == phase
            self._followed[phase].extend(good[own].tolist())
            if phase + 1 < len(self._states):
                joined = np.concatenate([self._states[phase + 1], ends[own & good]])
                self._states[phase + 1] = joined[-self._capacity :]
        if self._open < len(self._states) and self._passed(self._open - 1):
            self._open += 1

    def _passed(self, phase: int) -> bool:
        known = self._followed[phase]
        enough = len(known) == self._window and float(np.mean(known)) >= self._unlock
        return enough and len(self._states[phase + 1]) > 0
