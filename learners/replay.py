"""`Replay`: where experience waits for the learner, and the books that are kept on it.

A fragment (what one actor gathered in one rollout) is accepted once, by `(actor, epoch, sequence)`, sampled once, in
the order of arrival, and dropped only for a reason that is counted:

    accepted = live + sampled + dropped by reason

A pure state machine: it takes the time from its caller, does not wait, and never looks into payloads (an Arrow batch
in one process, a reference to one on a cluster).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """Limits of the replay.

    Attributes:
        capacity: fragments that may wait; the oldest is dropped for one more. The last resort against running out of
            memory: admission is what should keep the queue short.
        max_staleness: policy versions that a fragment may be behind the learner when it is sampled; older ones are
            dropped. None: any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    capacity: int = Field(256, ge=1)
    max_staleness: int | None = Field(None, ge=0)


class Key(NamedTuple):
    """Who wrote a fragment. A restarted actor has a higher epoch and counts its sequence from 0 again."""

    actor: int
    epoch: int
    sequence: int


class Ack(str, Enum):
    """What became of an insert. In every case the writer is done with the fragment."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    FENCED = "fenced"


class DropReason(str, Enum):
    """Why a fragment was never sampled."""

    CAPACITY = "capacity"
    STALE = "stale"
    LOST = "lost"


@dataclass(frozen=True)
class Item:
    """A fragment that waits.

    Attributes:
        key: who wrote it.
        payload: the experience, or a reference to it.
        rows: trajectories in it.
        frames: environment steps in it.
        policy_version: oldest weights that acted in it.
        inserted_s: when it came, by the caller's clock.
    """

    key: Key
    payload: Any
    rows: int
    frames: int
    policy_version: int
    inserted_s: float


@dataclass(frozen=True)
class Count:
    """How much experience."""

    fragments: int = 0
    rows: int = 0
    frames: int = 0

    def __add__(self, other: Count) -> Count:
        """Both together."""
        return Count(self.fragments + other.fragments, self.rows + other.rows, self.frames + other.frames)

    @classmethod
    def of(cls, item: Item) -> Count:
        """The count of one fragment."""
        return cls(1, item.rows, item.frames)


@dataclass(frozen=True)
class ReplayLedger:
    """What became of all experience.

    Attributes:
        accepted: stored at some time.
        live: waiting now.
        sampled: handed to the learner.
        dropped: never sampled, by reason.
        duplicates: inserts of a fragment that was there already; not accepted.
        fenced: inserts by an actor that has been replaced; not accepted.
    """

    accepted: Count
    live: Count
    sampled: Count
    dropped: Mapping[str, Count]
    duplicates: int
    fenced: int

    @property
    def balanced(self) -> bool:
        """Whether accepted = live + sampled + dropped, in fragments, rows and frames."""
        return self.accepted == sum(self.dropped.values(), self.live + self.sampled)


@dataclass
class _Writer:
    """What is known of an actor: its epoch, the next sequence number, and the numbers below it that never came."""

    epoch: int
    next_sequence: int = 0
    missing: set[int] = field(default_factory=set)

    def first_time(self, sequence: int) -> bool:
        """Whether this sequence number is new; it is not from now on."""
        if sequence >= self.next_sequence:
            self.missing.update(range(self.next_sequence, sequence))
            self.next_sequence = sequence + 1
            return True
        if sequence in self.missing:
            self.missing.remove(sequence)
            return True
        return False


class Replay:
    """A first-in-first-out queue from which every fragment is sampled at most once."""

    def __init__(self, config: Config | None = None) -> None:
        """An empty replay.

        Args:
            config: limits.
        """
        self.config = config or Config()
        self._items: deque[Item] = deque()
        self._writers: dict[int, _Writer] = {}
        self._accepted = Count()
        self._sampled = Count()
        self._dropped: dict[str, Count] = {}
        self._duplicates = 0
        self._fenced = 0

    def __len__(self) -> int:
        """Fragments that wait."""
        return len(self._items)

    @property
    def dropped_fragments(self) -> int:
        """Fragments dropped so far, for any reason; admission makes room for others."""
        return sum(count.fragments for count in self._dropped.values())

    def insert(
        self, key: tuple[int, int, int], payload: Any, rows: int, frames: int, policy_version: int, now: float
    ) -> Ack:
        """Offer a fragment; offering it again is harmless.

        Args:
            key: `(actor, epoch, sequence)`.
            payload: the experience, or a reference to it.
            rows: trajectories in it.
            frames: environment steps in it.
            policy_version: oldest weights that acted in it.
            now: in seconds.

        Returns:
            What became of it. Where the replay was full, its oldest fragment has been dropped.

        Raises:
            ValueError: a number is negative, or there are no rows.
        """
        key = Key(*key)
        if min(key) < 0 or rows < 1 or frames < 1:
            raise ValueError(f"got key {key} with {rows} rows and {frames} frames; expected numbers from 0, and rows")
        writer = self._writers.get(key.actor)
        if writer is not None and key.epoch < writer.epoch:
            self._fenced += 1
            return Ack.FENCED
        if writer is None or key.epoch > writer.epoch:
            writer = self._writers[key.actor] = _Writer(key.epoch)
        if not writer.first_time(key.sequence):
            self._duplicates += 1
            return Ack.DUPLICATE
        if len(self._items) >= self.config.capacity:
            self._drop(self._items.popleft(), DropReason.CAPACITY)
        item = Item(key, payload, rows, frames, policy_version, now)
        self._items.append(item)
        self._accepted += Count.of(item)
        return Ack.STORED

    def can_sample(self, fragments: int, learner_version: int) -> bool:
        """Whether `sample` would return anything."""
        if self.config.max_staleness is None:
            return len(self._items) >= fragments
        return sum(self._fresh(item, learner_version) for item in self._items) >= fragments

    def sample(self, fragments: int, learner_version: int) -> list[Item]:
        """Take the oldest fragments out, all that were asked for or none.

        Those that are too stale by now are dropped, whether or not there are enough others.

        Args:
            fragments: how many, at least 1.
            learner_version: version of the weights that are about to learn.

        Raises:
            ValueError: fewer than one was asked for, or more than the replay can ever hold.
        """
        if not 1 <= fragments <= self.config.capacity:
            raise ValueError(
                f"asked for {fragments} fragments; expected 1 to {self.config.capacity}, the capacity of the replay"
            )
        if any(not self._fresh(item, learner_version) for item in self._items):
            waiting, self._items = self._items, deque()
            for item in waiting:
                if self._fresh(item, learner_version):
                    self._items.append(item)
                else:
                    self._drop(item, DropReason.STALE)
        if len(self._items) < fragments:
            return []
        items = [self._items.popleft() for _ in range(fragments)]
        self._sampled = sum(map(Count.of, items), self._sampled)
        return items

    def ledger(self) -> ReplayLedger:
        """The books as they stand."""
        return ReplayLedger(
            accepted=self._accepted,
            live=sum(map(Count.of, self._items), Count()),
            sampled=self._sampled,
            dropped=dict(self._dropped),
            duplicates=self._duplicates,
            fenced=self._fenced,
        )

    def payloads(self) -> list[Any]:
        """What waits, oldest first: to be saved beside `state_dict`, in whatever form the payloads need."""
        return [item.payload for item in self._items]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the payloads, as plain JSON values."""
        return {
            "items": [
                [*item.key, item.rows, item.frames, item.policy_version, item.inserted_s] for item in self._items
            ],
            "writers": [[a, w.epoch, w.next_sequence, sorted(w.missing)] for a, w in self._writers.items()],
            "accepted": _plain(self._accepted),
            "sampled": _plain(self._sampled),
            "dropped": {reason: _plain(count) for reason, count in self._dropped.items()},
            "duplicates": self._duplicates,
            "fenced": self._fenced,
        }

    def load_state_dict(self, state: Mapping[str, Any], payloads: Sequence[Any] | None = None) -> None:
        """Go on from what `state_dict` gave.

        Args:
            state: the books.
            payloads: what waited, oldest first; None: it is gone, and is counted as dropped for `lost`.

        Raises:
            ValueError: the payloads are not as many as the fragments that waited.
        """
        saved = state["items"]
        if payloads is not None and len(payloads) != len(saved):
            raise ValueError(f"got {len(payloads)} payloads for {len(saved)} fragments; expected those saved beside it")
        self._writers = {
            a: _Writer(epoch, following, set(missing)) for a, epoch, following, missing in state["writers"]
        }
        self._accepted = Count(*state["accepted"])
        self._sampled = Count(*state["sampled"])
        self._dropped = {reason: Count(*count) for reason, count in state["dropped"].items()}
        self._duplicates, self._fenced = state["duplicates"], state["fenced"]
        self._items = deque()
        for index, (actor, epoch, sequence, *rest) in enumerate(saved):
            item = Item(Key(actor, epoch, sequence), None, *rest)
            if payloads is None:
                self._drop(item, DropReason.LOST)
            else:
                self._items.append(replace(item, payload=payloads[index]))
        while len(self._items) > self.config.capacity:
            self._drop(self._items.popleft(), DropReason.CAPACITY)

    def _fresh(self, item: Item, learner_version: int) -> bool:
        limit = self.config.max_staleness
        return limit is None or learner_version - item.policy_version <= limit

    def _drop(self, item: Item, reason: DropReason) -> None:
        self._dropped[reason.value] = self._dropped.get(reason.value, Count()) + Count.of(item)


def _plain(count: Count) -> list[int]:
    return [count.fragments, count.rows, count.frames]
