"""`Replay`: experience that is accepted once, sampled as the settings say, and lost only for a reason that is counted.

    accepted = live + consumed + dropped by reason          in fragments, rows and frames

Rows lie in a store (envs/storage), decisions in a journal beside it: which items a sample is made of, what was
released, removed, prioritised. Both outlive the process. Each public method decides, writes, and then changes the
state, so that a crash anywhere leaves the state before the decision or the one after it.

Samples are numbered by the learner: 0, 1, 2, … A number that was given is given again, the same items in the same
order; so a learner that was restarted from a checkpoint at sample n asks for n, and skips nothing and learns from
nothing twice. `release(n)` says that everything below n is safe in a checkpoint.

Nothing here waits. Where there is no sample, `why_not` says what is missing, and the caller waits with a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.storage.schema import require_same, require_storable
from envs.storage.store import Store
from envs.storage.writers import Ack, Key
from learners.replay import books
from learners.replay.ahead import Ahead
from learners.replay.arrival import arrived, placed, require_facts, steps_of
from learners.replay.config import Config
from learners.replay.drawing import items_of_rows, too_stale
from learners.replay.gather import Arrays
from learners.replay.journal import Frame, Journal, Kind
from learners.replay.ledger import REASONS, DropReason, ReplayLedger
from learners.replay.limiter import Limiter
from learners.replay.recovery import recover
from learners.replay.retention import Retention
from learners.replay.sample import Inserted, Sample
from learners.replay.shelf import Shelf
from learners.replay.state import State
from learners.replay.tables import Slots

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Replay:
    """See the module. One owner; not thread-safe."""

    def __init__(
        self,
        config: Config | None,
        schema: pa.Schema,
        directory: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin, or go on where the last owner of the directory was, however it ended.

        Args:
            config: settings.
            schema: of the rows.
            directory: of rows and decisions; None: in memory alone, and gone with the process.
            clock: in seconds.

        Raises:
            StoreCorrupt, StoreForeign, StoreBusy, JournalForeign: the directory cannot be gone on with.
            ValueError: it was written with other settings, or the schema cannot be stored or lacks what the unit needs.
        """
        self.config, self.schema = config or Config(), schema
        require_storable(schema)
        require_facts(self.config, schema)
        self._limiter = Limiter(self.config.limiter)
        self._state = State(self.config)
        self._redelivered = 0
        self._store: Store | None = None
        self._journal: Journal | None = None
        if directory is not None:
            store = self.config.store
            self._store = Store(directory / "rows", schema, store, clock)
        self._shelf = Shelf(self._state, schema, self._store)
        try:
            if directory is not None:
                self._journal = Journal(directory / "decisions", store.fsync, store.fsync_interval_s)
            self._retention = Retention(self._state, self._shelf, self._store, self._journal, self.config.keep_mb)
            if self._store is not None and self._journal is not None:
                recover(self._store, self._journal, self._state, self._shelf, self._decide)
                self._make_room()
                self._retention.tidy(sweep=True)
        except BaseException:
            self.close()
            raise
        self._ahead = Ahead(self._state, np.random.default_rng([self.config.seed, self._state.next_sample]))

    # Writing --------------------------------------------------------------------------------------------------------

    def insert(
        self,
        key: tuple[int, int, int],
        rows: pa.RecordBatch,
        policy_version: int = 0,
        meta: Mapping[str, Any] | None = None,
    ) -> Ack:
        """Offer rows; offering them again is harmless. When this returns, they are as durable as `store.fsync` says.

        Where the replay is full, it makes room. Whether it would be better to wait is what `why_no_insert` says.

        Args:
            key: `(actor, epoch, sequence)`.
            rows: of the replay's schema, at least one; they are copied.
            policy_version: oldest weights that acted in them.
            meta: plain JSON to keep beside them; small.

        Returns:
            What became of them.

        Raises:
            ValueError: a number is negative, a row has no steps or says not what it belongs to, the schema is another.
            OSError: the disk is full or failed; nothing has changed, and the writer may try again.
        """
        key = Key(*key)
        require_same(rows.schema, self.schema, f"rows under {key}")
        steps = steps_of(rows, self.config.steps_column)
        if min(key) < 0 or not len(steps) or steps.min() < 1:
            raise ValueError(f"got {key} with rows of {steps.tolist()} steps; expected numbers from 0, and steps")
        ack = self._state.writers.judge(key)
        if ack is not Ack.STORED:
            self._decide(Frame(Kind.REFUSE, (int(ack is Ack.FENCED),)))
            return ack
        frame = arrived(self.config, key, rows, steps, self._state.next_row, policy_version)
        if self._store is not None:
            facts = {"first_row": self._state.next_row, "policy_version": policy_version, "meta": dict(meta or {})}
            _, position = self._store.append(key, rows, facts)
            assert position is not None  # the store has accepted no key that the state has not
            frame = placed(frame, position)
        self._decide(frame, may_be_late=True)
        batch = self._state.batch_slots[key]
        self._shelf.metas[batch] = dict(meta or {})
        if self._store is None:
            self._shelf.put(batch, rows)
        self._make_room()
        self._retention.tidy()
        return Ack.STORED

    def why_no_insert(self, items: int = 1) -> str:
        """What inserts should wait for, in one line, or nothing: samples, by the limiter.

        Args:
            items: that would be inserted.
        """
        state = self._state
        return self._limiter.why_no_insert(items, state.next_item, state.sampled_items, state.waiting_items)

    def update_priorities(self, ids: Sequence[str] | Ints, priorities: Sequence[float] | Floats) -> int:
        """Give items other priorities, because they were learnt from or because a verdict came late.

        Args:
            ids: of items, as in a sample, or of rows, as in the column `row_id`. An item takes the highest priority
                among its rows that are named.
            priorities: one each, finite and from 0; 0: not drawn by priority.

        Returns:
            How many items have changed. Those that are gone by now are passed over.

        Raises:
            ValueError: an id was never given out, or a priority is not what it must be. Nothing has changed.
        """
        values = np.asarray(priorities, np.float64)
        if values.shape != (len(ids),) or not np.isfinite(values).all() or values.min(initial=0.0) < 0:
            raise ValueError(f"got {values} for {len(ids)} ids; expected one finite number from 0 each")
        if isinstance(ids, np.ndarray):
            numbers = ids.astype(np.int64)
            unknown = numbers[(numbers < 0) | (numbers >= self._state.next_item)]
            if len(unknown):
                raise ValueError(
                    f"got ids {unknown[:5].tolist()} of items; expected ids from samples, 0 to "
                    f"{self._state.next_item - 1}"
                )
            there = np.array([ident in self._state.item_slots for ident in numbers.tolist()], bool)
            numbers, values = numbers[there], values[there]
        else:
            numbers, values = items_of_rows(self._state, self._shelf, ids, values)
        if len(numbers):
            self._decide(Frame(Kind.PRIORITISE, (), (numbers, values)))
            self._retention.tidy()
        return len(np.unique(numbers))

    # Sampling -------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Items that wait to be sampled, for the first time or anew."""
        return self._state.waiting_items

    @property
    def next_sample(self) -> int:
        """The number that has not been given yet."""
        return self._state.next_sample

    @property
    def released(self) -> int:
        """Samples below this number cannot be given again."""
        return self._state.released

    @property
    def highest_epoch(self) -> int:
        """Of all writers so far; -1 where there were none. Who begins anew must have a higher one."""
        return max((epoch for _, epoch, *_ in self._state.writers.rows()), default=-1)

    @property
    def dropped_fragments(self) -> int:
        """Fragments dropped so far, for any reason; admission makes room for others."""
        return sum(count.fragments for count in self._state.dropped.values())

    def why_not(self, size: int, learner_version: int) -> str:
        """What a new sample would have to wait for, in one line, or nothing.

        Args:
            size: items.
            learner_version: version of the weights that are about to learn.
        """
        state = self._state
        old = too_stale(state, learner_version)
        stale = len(old)
        if stale and self.config.sampler == "prioritised":  # those of priority 0 are not there in any case
            old = old[state.items["priority"][old] > 0]
        there = len(state.sampler) - len(old)
        if there < (1 if self.config.may_repeat else size):
            reasons = [f"{there} of {size} {self.config.unit}s are there to be sampled"]
            if stale:
                reasons.append(
                    f"{stale} more are over {self.config.max_staleness} versions older than the learner's, "
                    f"{learner_version}"
                )
            if len(state.open_rows):
                reasons.append(f"{len(state.open_rows)} rows wait for others to be whole with")
            if without := state.waiting_items - len(state.sampler):
                reasons.append(f"{state.waiting_items} wait, and {without} of them have priority 0")
            return "; ".join(reasons)
        return self._limiter.why_no_sample(size, state.next_item, state.sampled_items, state.waiting_items - stale)

    def sample(self, number: int, size: int, learner_version: int) -> Sample | None:
        """Sample `number`: the one that was given under this number, or else a new one.

        Items that are too stale by now are dropped before a new one is drawn, whether or not there are enough others.

        Args:
            number: from 0, each new one the next.
            size: items of a new one.
            learner_version: version of the weights that are about to learn.

        Returns:
            The sample, or None where there are not enough items (`why_not` says what is missing).

        Raises:
            ValueError: the number was released or skips one, or the size can never be had.
            OSError: the disk is full; nothing was given.
        """
        state = self._state
        if number < state.next_sample:
            if number < state.released:
                raise ValueError(
                    f"got sample {number}; expected {state.released} or later: those before were released as learnt"
                )
            self._redelivered += 1
            return self._sample(number, redelivered=True)
        if number > state.next_sample:
            raise ValueError(f"got sample {number}; expected at most {state.next_sample}, the next one")
        most = self._limiter.largest_sample
        if not self.config.may_repeat:
            most = min(most, self.config.capacity)
        if not 1 <= size <= most:
            raise ValueError(f"got a size of {size} items; expected 1 to {most:g}, what capacity and limiter allow")
        if self.config.max_staleness is not None and len(stale := too_stale(state, learner_version)):
            self._remove(stale, DropReason.STALE)
            self._retention.tidy()
        if self.why_not(size, learner_version):
            return None
        ids, probabilities, slots, pieces = self._ahead.draw(size)
        if len(slots) < size:
            return None
        numbers: tuple[int, ...] = number, learner_version, len(state.sampler)
        keep = self.config.rewindable
        if keep is not None and number + 1 - keep > state.released:
            numbers += (number + 1 - keep,)  # those below are released by the same decision
        state.name(ids, slots, pieces)
        self._decide(Frame(Kind.SAMPLE, numbers, (ids, probabilities)))
        self._retention.tidy()
        return self._sample(number)

    def release(self, number: int) -> None:
        """Samples below `number` are learnt from and safe, in a checkpoint: they cannot be given again.

        Raises:
            ValueError: it was not given yet.
            OSError: the disk is full; nothing was released.
        """
        if number > self._state.next_sample:
            raise ValueError(f"got {number}; expected at most {self._state.next_sample}, the samples given so far")
        if number > self._state.released:
            self._decide(Frame(Kind.RELEASE, (number,)))
        self._retention.tidy(sweep=True)

    def rewind(self, number: int) -> int:
        """A learner goes on from a checkpoint in which all samples below `number` were learnt from.

        Args:
            number: that it asks for next.

        Returns:
            How many samples it will be given once more.

        Raises:
            ValueError: the checkpoint is older than what was released.
        """
        if number < self._state.released:
            raise ValueError(
                f"got a learner that goes on at sample {number}; expected {self._state.released} or later: those "
                "before were released, so use the newest checkpoint"
            )
        if number > self._state.next_sample:  # the machine died, and the disk had the checkpoint but not the decisions
            self._decide(Frame(Kind.RELEASE, (number,)))
        return self._state.next_sample - number

    # Reading --------------------------------------------------------------------------------------------------------

    def sample_rows(self, sample: Sample) -> list[pa.RecordBatch]:
        """The rows that a sample touches, as slices without a copy, in order; runs of neighbours are one slice.

        They stay valid when the rows leave the replay. Of a window they are the whole rows that it lies in.

        Raises:
            ValueError: the sample was released.
        """
        self._require(sample)
        rows = sample.pieces.row
        if not len(rows):
            return []
        batches, indices = self._state.rows["batch"][rows], self._state.rows["index"][rows]
        read = self._shelf.read
        if len(rows) == len(sample.ids):  # one row an item
            return [
                read(batch).slice(index, 1) for batch, index in zip(batches.tolist(), indices.tolist(), strict=True)
            ]
        follows = (np.diff(batches) == 0) & (np.diff(indices) == 1) & (np.diff(sample.pieces.item) == 0)
        begins = np.append(0, np.flatnonzero(~follows) + 1)
        lengths = np.diff(np.append(begins, len(rows)))
        runs = zip(batches[begins].tolist(), indices[begins].tolist(), lengths.tolist(), strict=True)
        return [read(batch).slice(first, length) for batch, first, length in runs]

    def gather(self, sample: Sample) -> Arrays:
        """The steps of a sample as contiguous arrays, see `Gatherer.gather`: valid until the next call but one.

        Raises:
            ValueError: the sample was released.
        """
        self._require(sample)
        return self._shelf.gather(sample.pieces, self.config.length)

    def inserts(self, sample: Sample | None = None) -> Iterator[Inserted]:
        """The inserts that a sample's rows came in, in order, each once; None: all of which rows live, oldest first."""
        state = self._state
        if sample is not None:
            batches = list(dict.fromkeys(state.rows["batch"][sample.pieces.row].tolist()))
        else:
            used = state.batches.used()
            used = used[state.batches["rows"][used] > 0]
            batches = used[np.argsort(state.batches["first"][used])].tolist()
        for batch in batches:
            yield Inserted(state.key(batch), int(state.batches["version"][batch]), self._shelf.metas[batch])

    def unreleased(self) -> Iterator[Inserted]:
        """The inserts of samples that were given, and may be given again."""
        for number in range(self._state.released, self._state.next_sample):
            yield from self.inserts(self._sample(number))

    # Books ----------------------------------------------------------------------------------------------------------

    def ledger(self) -> ReplayLedger:
        """The books as they stand."""
        return books.ledger(self._state, self._redelivered)

    def check(self) -> None:
        """See that the books say what the tables hold.

        Raises:
            LedgerBroken: a number is off.
        """
        books.check(self._state)

    def sync(self) -> None:
        """Wait until rows and decisions are on the disk, unless `store.fsync` is `none`."""
        if self._store is not None and self._journal is not None:
            self._store.sync()
            self._journal.sync()

    def copy_to(self, directory: Path) -> None:
        """Copy rows and decisions, as they are between two steps, into a new directory on the same disk.

        Raises:
            ValueError: the replay is in memory alone.
            OSError: the disk is full, or failed.
        """
        if self._store is None or self._journal is None:
            raise ValueError("got a replay without a directory; expected one that is on disk")
        self._store.copy_to(directory / "rows")
        self._journal.copy_to(directory / "decisions")

    def close(self) -> None:
        """Write what is left to write, and let others have the directory. What was sampled stays valid."""
        try:
            if self._journal is not None:
                self._journal.close()
        finally:
            if self._store is not None:
                self._store.close()

    # Decisions ------------------------------------------------------------------------------------------------------

    def _decide(self, *frames: Frame, may_be_late: bool = False) -> None:
        if self._journal is not None:
            self._journal.write(*frames, may_be_late=may_be_late)
        for frame in frames:
            self._state.apply(frame)

    def _remove(self, slots: Slots, reason: DropReason) -> None:
        self._decide(Frame(Kind.REMOVE, (REASONS.index(reason),), (self._state.items["id"][slots],)))

    def _make_room(self) -> None:
        """Remove items until no capacity is exceeded; rows that wait to be whole go before items that came after."""
        config, state = self.config, self._state
        while True:
            items, rest = state.waiting_items - config.capacity, 0
            if config.capacity_rows is not None:
                rest = -(-(state.waiting_rows - config.capacity_rows) // state.most_rows)
            if config.capacity_bytes is not None:
                rest = max(rest, -(-(state.waiting_bytes - config.capacity_bytes) // state.most_bytes))
            if max(items, rest) <= 0:
                return
            slots = state.remover.pick(max(items, rest))
            oldest = np.sort(state.rows["number"][state.open_rows])[:1]
            first = state.rows["number"][state.items["row"][slots[:1]]]
            if items <= 0 and len(oldest) and (not len(first) or oldest[0] < first[0]):
                self._decide(Frame(Kind.GIVE_UP, (REASONS.index(DropReason.CAPACITY), 0), (oldest,)))
            else:
                self._remove(slots, DropReason.CAPACITY)

    def _sample(self, number: int, redelivered: bool = False) -> Sample:
        given = self._state.samples[number]
        ids, probabilities = given.ids, given.probabilities
        slots, pieces = self._state.places(number)
        lost = len(ids) - len(slots)
        if lost:
            there = np.isin(ids, self._state.items["id"][slots])
            ids, probabilities = ids[there], probabilities[there]
        version, population = given.learner_version, given.population
        return Sample(number, version, ids, probabilities, population, lost, redelivered, pieces=pieces)

    def _require(self, sample: Sample) -> None:
        """Refuse to read rows that may be gone."""
        if not self._state.released <= sample.number < self._state.next_sample:
            raise ValueError(f"got sample {sample.number}; expected {self._state.released} or later: it was released")
