"""`TrainingClock`: how long a run has trained: from the first experience of each start on, over all resumes.

Processes take a while to begin, and on a busy machine a long one: a run of half a minute would be over before it has
learnt anything. A run in which no experience comes ends by its `stall_timeout_s`, and not by this clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class TrainingClock:
    """Stands still until `begin`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing has come yet.

        Args:
            clock: seconds, never running backwards.
        """
        self._clock = clock
        self._before = 0.0
        self._began: float | None = None

    def begin(self) -> None:
        """There is experience: from now on it runs; it may be told again and again."""
        if self._began is None:
            self._began = self._clock()

    def go_on_from(self, seconds: float) -> None:
        """Count what was trained before this process."""
        self._before = seconds

    @property
    def seconds(self) -> float:
        """Of training, over all resumes."""
        return self._before + (0.0 if self._began is None else self._clock() - self._began)

    def over(self, minutes: float | None) -> bool:
        """Whether so many minutes were trained; None: as many as it takes."""
        return minutes is not None and self.seconds >= 60 * minutes
