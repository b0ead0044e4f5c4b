"""`Flights`: the batches that are with the judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rewards.annotation.queue import Owed
from rewards.judges.judge import Question


@dataclass(frozen=True)
class Batch:
    """Questions that go to the judge in one call; `id` names it when it has ended."""

    id: int
    questions: tuple[Question, ...]


@dataclass
class Flight:
    """A batch with the judge."""

    owed: list[Owed]
    sent_at: float
    deadline: float


class Flights:
    """Batches under way; each lands once."""

    def __init__(self, next_batch_id: int = 0) -> None:
        """None is under way."""
        self.next_batch_id = next_batch_id
        self._flights: dict[int, Flight] = {}
        self._subjects: set[str] = set()

    def __len__(self) -> int:
        """Batches under way."""
        return len(self._flights)

    def __contains__(self, batch_id: int) -> bool:
        """Whether a batch is under way."""
        return batch_id in self._flights

    @property
    def subjects(self) -> set[str]:
        """Whatever is asked about in them."""
        return self._subjects

    def owed(self) -> Iterator[Owed]:
        """Every question under way."""
        for flight in self._flights.values():
            yield from flight.owed

    def start(self, owed: list[Owed], now: float, deadline_s: float) -> Batch:
        """Send questions off."""
        batch = Batch(self.next_batch_id, tuple(one.question for one in owed))
        self.next_batch_id += 1
        self._flights[batch.id] = Flight(owed, now, now + deadline_s)
        self._subjects.update(one.question.subject for one in owed)
        return batch

    def land(self, batch_id: int) -> Flight | None:
        """Take a batch out; None where it had landed before."""
        flight = self._flights.pop(batch_id, None)
        if flight is not None:
            self._subjects.difference_update(one.question.subject for one in flight.owed)
        return flight

    def overdue(self, now: float) -> list[int]:
        """Batches whose deadline has passed."""
        return [batch_id for batch_id, flight in self._flights.items() if now >= flight.deadline]
