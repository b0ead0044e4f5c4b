"""`ReplayLedger`: what became of all experience, in fragments, rows and frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum


class DropReason(str, Enum):
    """Why experience was never sampled."""

    CAPACITY = "capacity"
    STALE = "stale"
    LOST = "lost"


REASONS = tuple(DropReason)
"""In the order of their numbers in frames."""


@dataclass(frozen=True)
class Count:
    """How much experience."""

    fragments: int = 0
    rows: int = 0
    frames: int = 0

    def __add__(self, other: Count) -> Count:
        """Both together."""
        return Count(self.fragments + other.fragments, self.rows + other.rows, self.frames + other.frames)

    def __sub__(self, other: Count) -> Count:
        """The rest."""
        return Count(self.fragments - other.fragments, self.rows - other.rows, self.frames - other.frames)


@dataclass(frozen=True)
class ReplayLedger:
    """The books.

    Attributes:
        accepted: stored at some time.
        live: there now: it waits to be sampled, or is held for a rewind.
        held: of the live, what was sampled, will not be sampled anew, and has not been released.
        consumed: sampled at least once, released, and gone.
        dropped: gone without having been sampled, by reason. A fragment counts as consumed if any row of it was.
        duplicates: inserts of a fragment that was there already; not accepted.
        fenced: inserts by an actor that has been replaced; not accepted.
        samples: given, each number once.
        sampled_items: in all samples.
        sampled_rows: in all samples; a row counts as often as it was sampled.
        redelivered: samples given once more, since this process began.
        unreleased: samples that can be given once more.
    """

    accepted: Count
    live: Count
    held: Count
    consumed: Count
    dropped: Mapping[str, Count]
    duplicates: int
    fenced: int
    samples: int
    sampled_items: int
    sampled_rows: int
    redelivered: int
    unreleased: int

    @property
    def waiting(self) -> Count:
        """There, and not sampled as often as it may be."""
        return self.live - self.held

    @property
    def sampled(self) -> Count:
        """Sampled as often as it may be: held for a rewind, or gone."""
        return self.consumed + self.held

    @property
    def imbalance(self) -> Count:
        """What is missing in accepted = live + consumed + dropped."""
        return self.accepted - sum(self.dropped.values(), self.live + self.consumed)

    @property
    def balanced(self) -> bool:
        """Whether accepted = live + consumed + dropped, in fragments, rows and frames."""
        return self.imbalance == Count()


def combined(shares: Iterable[ReplayLedger]) -> ReplayLedger:
    """The books of several replays as one."""
    total = ReplayLedger(Count(), Count(), Count(), Count(), {}, 0, 0, 0, 0, 0, 0, 0)
    for share in shares:
        reasons = {*total.dropped, *share.dropped}
        dropped = {r: total.dropped.get(r, Count()) + share.dropped.get(r, Count()) for r in sorted(reasons)}
        sums = {f.name: getattr(total, f.name) + getattr(share, f.name) for f in fields(total) if f.name != "dropped"}
        total = ReplayLedger(**sums, dropped=dropped)
    return total


class LedgerBroken(RuntimeError):
    """The books do not say what the tables hold; the message names each number that is off."""
