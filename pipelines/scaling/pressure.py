"""How hard a role is pressed, from how long each side of a queue has waited for the other; pure, with a clock.

Experience is a queue between who makes it and who learns from it. Makers wait when admission holds them back, because
more would be too old when it is learnt from; the learner waits when there is no batch. So

    pressure on makers = (1 - share of time that makers waited) / (1 - share of time that the learner waited)

is 2 where the learner could take twice as much, and 1/2 where half the makers would do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

LEAST = 0.05  # a learner that has hardly begun does not ask for twenty times as much


class Waits:
    """Seconds that were waited, by whom, since they were last read."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Nobody has waited yet.

        Args:
            clock: in seconds.
        """
        self._clock, self._since = clock, clock()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, who: str, seconds: float) -> None:
        """Somebody waited."""
        self._seconds[who] += seconds

    def read(self, **counts: int) -> dict[str, float]:
        """Share of the time since the last reading that each role waited, within 0 and 1.

        Args:
            counts: processes of each role; of a role without any, the share is 0.
        """
        elapsed = max(self._clock() - self._since, 1e-9)
        shares = {
            who: min(1.0, max(0.0, self._seconds[who] / (elapsed * count))) if count else 0.0
            for who, count in counts.items()
        }
        self._seconds.clear()
        self._since = self._clock()
        return shares


def makers_pressure(makers_waited: float, learner_waited: float, stale: bool) -> float:
    """How hard those who make experience are pressed.

    Args:
        makers_waited: share of their time in which admission held them back.
        learner_waited: share of its time in which there was no batch.
        stale: experience was too old when it was drawn: then nobody is added.
    """
    pressure = (1.0 - makers_waited) / max(1.0 - learner_waited, LEAST)
    return min(pressure, 1.0) if stale else pressure


def queue_pressure(waiting: int, processes: int, aim: float) -> float:
    """How hard the processes behind a queue are pressed.

    Args:
        waiting: pieces of work, those that are worked on too.
        processes: that work on them.
        aim: pieces a process that are as they should be.
    """
    return waiting / (aim * max(processes, 1))
