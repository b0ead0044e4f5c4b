"""`Stages`: where the time of a frame goes. A clock is read twice a stage and batch, so it is never turned off.

A frame is stepped, inferred and written by an actor, sampled, rewarded, collated and copied for a learner, learnt from
(forward, backward), and its weights are published; beside that, captions are judged and the reward model is trained.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = "seconds_"  # what the names of such metrics begin with


class Stages:
    """Seconds by stage, since they were last taken."""

    def __init__(self) -> None:
        """Nothing spent yet."""
        self._seconds: Counter[str] = Counter()

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
        total: Counter[str] = Counter()
        for one in (self, *others):
            total.update(one._seconds)
            one._seconds = Counter()
        return {SECONDS + name: seconds for name, seconds in total.items()}
