"""`Queue`: the questions that have no verdict and are not with the judge: ready, waiting for a retry, or shed."""

from __future__ import annotations

import heapq
from bisect import insort
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rewards.judges.judge import Question

Order = Literal["newest", "oldest", "uncertain"]


@dataclass
class Owed:
    """A question that has no verdict yet.

    Attributes:
        question: what to judge.
        policy_version: of the policy that produced the subject.
        asked_at: when it was asked first, by the ledger's clock.
        attempt: tries begun.
        pause_s: how long it waited before its last retry.
        uncertainty: how little is known of its value; the more, the sooner it is asked in the order "uncertain".
        place: in the order of what is ready; the greatest is the most urgent.
    """

    question: Question
    policy_version: int
    asked_at: float
    attempt: int = 0
    pause_s: float = 0.0
    uncertainty: float = 0.0
    place: tuple[float, int, str] = (0.0, 0, "")


class Queue:
    """A bounded priority queue that gives back what it shed when nothing else waits."""

    def __init__(self, order: Order, capacity: int, backfill_capacity: int) -> None:
        """An empty queue.

        Args:
            order: who goes first: the newest (what the policy does now is most worth knowing), the oldest, or the
                most uncertain, and the newest among equals.
            capacity: questions that may be ready or waiting; beyond it the least urgent ready one is shed.
            backfill_capacity: shed questions remembered; older ones are forgotten, and counted.
        """
        self._order, self._capacity, self._backfill_capacity = order, capacity, backfill_capacity
        self._places: list[tuple[float, int, str]] = []  # of the ready ones, ascending
        self._ready: dict[str, Owed] = {}
        self._waiting: dict[str, Owed] = {}
        self._wake: list[tuple[float, int, str]] = []
        self._shed: OrderedDict[str, Owed] = OrderedDict()
        self._count = 0
        self.forgotten = 0

    def __contains__(self, subject: str) -> bool:
        """Whether a question is ready or waiting."""
        return subject in self._ready or subject in self._waiting

    @property
    def ready(self) -> int:
        """Questions that can be taken now."""
        return len(self._places)

    @property
    def pending(self) -> int:
        """Questions that are ready or waiting."""
        return len(self._ready) + len(self._waiting)

    @property
    def shed(self) -> int:
        """Shed questions, those that were forgotten included."""
        return len(self._shed) + self.forgotten

    def __iter__(self) -> Iterator[Owed]:
        """Everything pending, in the order that `load` expects: what waits for a retry, then what is ready."""
        yield from self._waiting.values()
        places = self._places[::-1] if self._order == "oldest" else self._places
        yield from (self._ready[place[-1]] for place in places)

    def shelved(self) -> Iterator[Owed]:
        """Every shed question that is remembered, the one shed first first."""
        yield from self._shed.values()

    def put(self, owed: Owed) -> bool:
        """Add a question, at its place; gives False where it was shed because all others are more urgent."""
        self._place(owed)
        if self.pending >= self._capacity:
            if not self._places or owed.place < self._places[0]:
                self.shelve(owed)
                return False
            self.shelve(self._ready.pop(self._places.pop(0)[-1]))
        self._insert(owed)
        return True

    def put_back(self, owed: Owed) -> None:
        """Return a question that was taken and not sent to the place it had; it is never shed for that."""
        self._insert(owed)

    def postpone(self, owed: Owed, until: float) -> None:
        """Let a question wait until then."""
        subject = owed.question.subject
        self._waiting[subject] = owed
        self._count += 1
        heapq.heappush(self._wake, (until, self._count, subject))

    def wake(self, now: float) -> None:
        """Make the questions ready whose wait is over."""
        while self._wake and self._wake[0][0] <= now:
            owed = self._waiting.pop(heapq.heappop(self._wake)[-1])
            self._place(owed)
            self._insert(owed)

    @property
    def wakes_at(self) -> float | None:
        """When the first of the waiting ones is ready; None where none waits."""
        return self._wake[0][0] if self._wake else None

    def shelve(self, owed: Owed) -> None:
        """Shed a question; where too many are remembered, the one shed first is forgotten."""
        self._shed[owed.question.subject] = owed
        if len(self._shed) > self._backfill_capacity:
            self._shed.popitem(last=False)
            self.forgotten += 1

    def unshelve(self, subject: str) -> Owed | None:
        """Take one question from the shed ones, if it is remembered there."""
        return self._shed.pop(subject, None)

    def backfill(self, number: int) -> None:
        """Make up to `number` shed questions ready again."""
        first = self._order == "oldest"
        found = [self._shed.popitem(last=not first)[1] for _ in range(min(number, len(self._shed)))]
        for owed in found if first else reversed(found):
            self._place(owed)
            self._insert(owed)

    def take(self, number: int) -> list[Owed]:
        """Take up to `number` ready questions, the most urgent first."""
        number = min(number, len(self._places))
        return [self._ready.pop(self._places.pop()[-1]) for _ in range(number)]

    def load(self, pending: list[Owed], shed: list[Owed], forgotten: int) -> None:
        """Begin anew with these: pending ones from the least to the most recent, and shed ones."""
        self._places, self._ready, self._waiting, self._wake = [], {}, {}, []
        self._shed = OrderedDict((owed.question.subject, owed) for owed in shed)
        self.forgotten = forgotten
        for owed in pending:
            self._place(owed)
            self._insert(owed)

    def _place(self, owed: Owed) -> None:
        self._count += 1
        recency = -self._count if self._order == "oldest" else self._count
        owed.place = (owed.uncertainty if self._order == "uncertain" else 0.0, recency, owed.question.subject)

    def _insert(self, owed: Owed) -> None:
        insort(self._places, owed.place)
        self._ready[owed.question.subject] = owed
