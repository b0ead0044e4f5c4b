"""`Stages`: where the time of a frame goes. A clock is read twice a stage and batch, so it is never turned off.

A frame is stepped, inferred and written by an actor, sampled, rewarded, collated and copied for a learner, learnt from
(forward, backward), and its weights are published; beside that, captions are judged and the reward model is trained.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = "seconds_"  # what the names of such metrics begin with


class Stages:
    """Seconds by stage, since they were last taken."""

    def __init__(self) -> None:
        """Nothing spent yet."""
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the time of a block towards a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - began

    def taken(self, *others: Stages) -> dict[str, float]:
        """Seconds by stage, of this and of others, as metrics; all begin at nothing again."""
        total: defaultdict[str, float] = defaultdict(float)
        for one in (self, *others):
            for name, seconds in one._seconds.items():
                total[name] += seconds
            one._seconds.clear()
        return {SECONDS + name: seconds for name, seconds in total.items()}
