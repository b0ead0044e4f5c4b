"""`Draws`: what the learner draws next from which share of the replay, and what it draws again after it went back.

    frontier ── learnt since then ── position ── drawn ahead ── next ── drawn before, to be drawn again ── end

A checkpoint moves the frontier to the position. A learner that died begins at its last checkpoint again: position and
next go back to the frontier, and the same draws come in the same order, so that nothing is skipped or taken twice.
"""

from __future__ import annotations

from collections.abc import Sequence


class Draws:
    """Pure bookkeeping; the draws themselves are the replay's."""

    def __init__(self, frontier: Sequence[int]) -> None:
        """Begin at a checkpoint.

        Args:
            frontier: of each share of the replay, the number of the first draw that is in no checkpoint.
        """
        self.frontier = list(frontier)
        self._shares: list[int] = []  # of each draw behind the frontier
        self._position = self._next = 0
        self._counted = 0  # draws behind the frontier that the books know of

    @property
    def pending(self) -> int:
        """Draws that were made, and that the learner has to learn from, for the first time or again."""
        return len(self._shares) - self._position

    @property
    def ahead(self) -> int:
        """Draws that the learner was given, and has not learnt from."""
        return self._next - self._position

    @property
    def again(self) -> bool:
        """Whether the next draw was made before."""
        return self._next < len(self._shares)

    def expect_again(self, redelivered: Sequence[int]) -> None:
        """A run goes on: so many draws of each share came after its checkpoint. They are taken in turns."""
        turns = range(max(redelivered, default=0))
        self._shares = [share for turn in turns for share, count in enumerate(redelivered) if turn < count]
        self._position = self._next = self._counted = 0

    def next_share(self, batches: Sequence[int]) -> int | None:
        """The share to draw from; None where none can give a batch.

        Args:
            batches: that wait in each share.
        """
        if self.again:
            return self._shares[self._next]
        most = max(range(len(batches)), key=lambda share: batches[share])
        return most if batches[most] > 0 else None

    def number(self, share: int) -> int:
        """Of the next draw from a share."""
        return self.frontier[share] + self._shares[: self._next].count(share)

    def drawn(self, share: int) -> None:
        """A draw was made from the share that was next."""
        if not self.again:
            self._shares.append(share)
        self._next += 1

    def given_up(self, count: int = 1) -> None:
        """The last `count` draws did not reach the learner: they are made again."""
        self._next -= count

    def learnt(self) -> bool:
        """The learner has learnt from the first of its draws; gives whether that was for the first time.

        Where it holds none, this is the late answer of a learner that died of something else meanwhile: what it learnt
        is gone with it.
        """
        if self.ahead == 0:
            return False
        self._position += 1
        first = self._position > self._counted
        self._counted = max(self._counted, self._position)
        return first

    def back_to_frontier(self) -> None:
        """The learner began again where it was saved last."""
        self._position = self._next = 0

    def save(self) -> list[int]:
        """The learner was saved, with nothing drawn ahead; gives the new frontier."""
        done = self._shares[: self._position]
        self.frontier = [number + done.count(share) for share, number in enumerate(self.frontier)]
        self._shares = self._shares[self._position :]
        self._counted = max(0, self._counted - self._position)
        self._position = self._next = 0
        return list(self.frontier)
