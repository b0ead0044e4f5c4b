"""`Membership`: which learners share each batch while rooms come and go; pure, with a clock.

A batch is shared out evenly, so of the places that have room as many take part as divide its rollouts. Every forming
is an epoch: those of another epoch are never met. A place that is lost is done without at once; one that is won is
worth a new beginning of all only after a rest, because each beginning costs the time since the run was saved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple


class Change(NamedTuple):
    """Places that take part no more, and those that do now and did not."""

    left: tuple[int, ...]
    joined: tuple[int, ...]


def sizes_of(least: int, most: int, batch: int) -> tuple[int, ...]:
    """How many learners can share a batch of so many rollouts evenly, within bounds, fewest first."""
    return tuple(size for size in range(least, most + 1) if batch % size == 0)


class Membership:
    """Who takes part."""

    def __init__(self, sizes: Collection[int], settle_s: float, clock: Callable[[], float]) -> None:
        """Nobody takes part yet.

        Args:
            sizes: how many may take part, at least one number.
            settle_s: how long a group stays as it is before it may grow.
            clock: in seconds.

        Raises:
            ValueError: there is no size, or one below 1.
        """
        if not sizes or min(sizes) < 1:
            raise ValueError(f"got sizes {sorted(sizes)}; expected at least one number, none below 1")
        self.sizes = tuple(sorted(sizes))
        self.members: tuple[int, ...] = ()
        self.epoch = -1
        self._settle_s, self._clock, self._formed_at = settle_s, clock, clock()

    def possible(self, room: Sequence[bool]) -> int:
        """How many could take part, of places that have room; 0: too few for the least."""
        return max((size for size in self.sizes if size <= sum(room)), default=0)

    def form(self, room: Sequence[bool]) -> Change:
        """Form anew, at the next epoch: as many as can take part, of the places that have room the first ones.

        Where too few have room nobody takes part, which is an epoch as well: what was is over.

        Args:
            room: of each place, whether there is any.
        """
        before = self.members
        self.members = tuple([place for place, there in enumerate(room) if there][: self.possible(room)])
        self.epoch += 1
        self._formed_at = self._clock()
        return Change(
            tuple(place for place in before if place not in self.members),
            tuple(place for place in self.members if place not in before),
        )

    def may_grow(self, room: Sequence[bool]) -> bool:
        """Whether more could take part than do, and the rest since the last forming is over.

        Args:
            room: of each place, whether there is any.
        """
        rested = self._clock() - self._formed_at >= self._settle_s
        return bool(self.members) and rested and self.possible(room) > len(self.members)
