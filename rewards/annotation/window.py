"""`Window`: how many calls may be with the judge at once, found by trying.

One more while it goes well, half after "busy": additive increase, multiplicative decrease, as TCP does it. It is what
answers a judge's back-pressure: who is told that a queue is full sends less, instead of the same again.
"""

from __future__ import annotations


class Window:
    """A number of calls between one and a limit."""

    def __init__(self, limit: int) -> None:
        """Begin at the limit."""
        self._limit = limit
        self._size = float(limit)

    @property
    def size(self) -> int:
        """Calls that may be under way."""
        return int(self._size)

    def answered(self) -> None:
        """A call was answered: after as many as the window holds, it is one larger."""
        self._size = min(float(self._limit), self._size + 1 / self._size)

    def busy(self) -> None:
        """A call was refused because the judge has too much to do."""
        self._size = max(1.0, self._size / 2)
