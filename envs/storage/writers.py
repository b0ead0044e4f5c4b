"""`Writers`: who has sent what already, so that a batch that is sent twice is stored once.

A writer numbers its batches from 0 and may send one again as often as it likes; it gets the same answer. One that was
restarted has a higher epoch, and what its predecessor still sends is fenced off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


class Key(NamedTuple):
    """Who wrote a batch. A restarted actor has a higher epoch and counts its sequence from 0 again."""

    actor: int
    epoch: int
    sequence: int


class Ack(str, Enum):
    """What became of an insert. In every case the writer is done with the batch."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    FENCED = "fenced"


@dataclass
class _Writer:
    """An actor's epoch, the number that follows its highest, and the ranges `[start, stop)` below that never came."""

    epoch: int
    following: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def lacks(self, sequence: int) -> bool:
        return sequence >= self.following or any(start <= sequence < stop for start, stop in self.gaps)

    def add(self, sequence: int) -> None:
        if sequence >= self.following:
            if sequence > self.following:
                self.gaps.append((self.following, sequence))
            self.following = sequence + 1
            return
        self.gaps = [
            part
            for start, stop in self.gaps
            for part in ([(start, sequence), (sequence + 1, stop)] if start <= sequence < stop else [(start, stop)])
            if part[0] < part[1]
        ]


class Writers:
    """The table of all writers. It outlives the batches: deleting them makes no sequence number new again."""

    def __init__(self, rows: Sequence[Sequence[Any]] = ()) -> None:
        """The table that `rows()` gave, or an empty one."""
        self._writers = {
            actor: _Writer(epoch, following, [(start, stop) for start, stop in gaps])
            for actor, epoch, following, gaps in rows
        }

    def judge(self, key: Key) -> Ack:
        """What an insert under `key` would be answered; nothing changes."""
        writer = self._writers.get(key.actor)
        if writer is None or key.epoch > writer.epoch:
            return Ack.STORED
        if key.epoch < writer.epoch:
            return Ack.FENCED
        return Ack.STORED if writer.lacks(key.sequence) else Ack.DUPLICATE

    def add(self, key: Key) -> None:
        """Note that `key` is stored; harmless where it is known or of an older epoch."""
        writer = self._writers.get(key.actor)
        if writer is None or key.epoch > writer.epoch:
            writer = self._writers[key.actor] = _Writer(key.epoch)
        if key.epoch == writer.epoch:
            writer.add(key.sequence)

    def rows(self) -> list[list[Any]]:
        """The table as plain JSON values: actor, epoch, the number that follows, gaps."""
        return [
            [actor, w.epoch, w.following, [list(gap) for gap in w.gaps]] for actor, w in sorted(self._writers.items())
        ]
