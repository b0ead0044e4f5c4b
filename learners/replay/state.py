"""`State`: all that a replay knows beside the rows themselves. It changes by frames of the journal, and only so.

A decision is made once (replay.py), written, and then applied here; after a crash the same frames give the same
state. Nothing here draws by chance, takes the time, or touches a file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.storage.writers import Key, Writers
from learners.replay.config import Config
from learners.replay.journal import Frame, Kind
from learners.replay.ledger import REASONS, Count, DropReason
from learners.replay.removers import REMOVERS
from learners.replay.sample import Given
from learners.replay.samplers import SAMPLERS
from learners.replay.tables import Slots, Table
from learners.replay.tallies import Tallies
from learners.replay.units import ITEM_COLUMNS, ROW_COLUMNS, Fragment, Group, Items, Pieces, Row, Tables, Unit
from learners.replay.windows import Window

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BATCH_COLUMNS = {
    "first": "i8",  # number of its first row
    "actor": "i8",
    "epoch": "i8",
    "sequence": "i8",
    "version": "i8",
    "size": "i8",  # rows it came with
    "rows": "i8",  # that live
    "frames": "i8",  # of them
    "consumed": "?",  # whether a row of it is gone that had been sampled
    "segment": "i8",
    "position": "i8",
}


class State:
    """Tables of batches, rows and items, the samples that may be given again, and the totals.

    Attributes:
        tallies: what the columns `times` and `pins` lack; settle them before reading either.
        changes: of anything that may be drawn, or of where it lies.
    """

    def __init__(self, config: Config) -> None:
        """Nothing accepted, nothing given.

        Args:
            config: of the replay.
        """
        self.config = config
        self.batches, self.rows, self.items = Table(BATCH_COLUMNS), Table(ROW_COLUMNS), Table(ITEM_COLUMNS)
        self.tables = Tables(self.rows, self.items)
        self.unit = self._unit(self.tables)
        self.sampler = SAMPLERS[config.sampler](config.alpha)
        self.remover = REMOVERS[config.remover]()
        self.item_slots: dict[int, int] = {}
        self.tallies, self.changes = Tallies(self.items, self.rows), 0
        self._named: tuple[Ints, Slots, Pieces] | None = None
        self.batch_slots: dict[tuple[int, int, int], int] = {}
        self.batch_rows: dict[int, Slots] = {}  # rows by batch, those that are gone too
        self.writers = Writers()
        self.samples: dict[int, Given] = {}
        self.sampled: dict[int, tuple[Slots, Pieces]] = {}  # where the items of a sample are, and their steps
        self.open_rows = np.zeros(0, np.int64)  # rows that are open
        self.garbage: list[int] = []  # batches of which nothing lives: their rows can be dropped
        self.next_row = self.next_item = self.next_sample = self.released = 0
        self.sampled_items = self.sampled_rows = self.gone_times = self.duplicates = self.fenced = 0
        self.highest_priority = 1.0
        self.waiting_items = self.waiting_rows = self.waiting_bytes = 0
        self.most_rows, self.most_bytes = 1, 1  # of any item
        self.accepted, self.consumed = Count(), Count()
        self.dropped: dict[DropReason, Count] = {}

    def _unit(self, tables: Tables) -> Unit:
        config = self.config
        if config.unit == "sequence":
            assert config.length is not None
            return Window(tables, config.length, config.stride or config.length)
        if config.unit == "group":
            assert config.group_size is not None
            return Group(tables, config.group_size)
        return {"row": Row, "fragment": Fragment}[config.unit](tables)

    # Frames ---------------------------------------------------------------------------------------------------------

    def apply(self, frame: Frame) -> None:
        """Change as a decision says; a snapshot is none (`snapshots.restore`)."""
        numbers, arrays = frame.numbers, frame.arrays
        if frame.kind is Kind.SAMPLE:
            if len(numbers) > 3:
                self._release(numbers[3])
            self._sample(numbers[0], Given(numbers[1], numbers[2], *arrays))
            return
        if frame.kind is Kind.RELEASE:
            self._release(numbers[0])
            return
        self.tallies.settle()
        self.changes += 1
        if frame.kind is Kind.INSERT:
            self._insert(numbers, *arrays)
        elif frame.kind is Kind.REFUSE:
            self.duplicates += 1 - numbers[0]
            self.fenced += numbers[0]
        elif frame.kind is Kind.REMOVE:
            self._remove(self.slots(arrays[0]), REASONS[numbers[0]])
        elif frame.kind is Kind.GIVE_UP:
            self._give_up(arrays[0], REASONS[numbers[0]], bool(numbers[1]))
        elif frame.kind is Kind.PRIORITISE:
            self._prioritise(self.slots(arrays[0]), arrays[1])
        else:
            raise ValueError(f"got a frame of kind {frame.kind.name}; expected a decision")

    def name(self, ids: Ints, slots: Slots, pieces: Pieces) -> None:
        """Say where the items of the sample that comes next are, and their steps: they need not be looked up."""
        self._named = ids, slots, pieces

    def slots(self, ids: Ints) -> Slots:
        """Where items are, those that are there."""
        slots = np.array([self.item_slots.get(ident, -1) for ident in ids.tolist()], np.int64)
        return slots if slots.min(initial=0) >= 0 else slots[slots >= 0]

    def places(self, number: int) -> tuple[Slots, Pieces]:
        """Where the items of a sample are that are still there, and their steps."""
        if number not in self.sampled:
            slots = self.slots(self.samples[number].ids)
            self.sampled[number] = slots, self.unit.pieces(slots)
        return self.sampled[number]

    def key(self, batch: int) -> Key:
        """Who wrote a batch."""
        return Key(*(int(self.batches[name][batch]) for name in ("actor", "epoch", "sequence")))

    def _insert(
        self,
        numbers: tuple[int, ...],
        steps: Ints,
        sizes: Ints,
        first_step: Ints,
        link: Ints,
        ended: NDArray[np.bool_],
    ) -> None:
        actor, epoch, sequence, first, version, segment, position = numbers
        key, count = Key(actor, epoch, sequence), len(steps)
        self.writers.add(key)
        (batch,) = self.batches.add(1).tolist()
        rows = self.rows.add(count)
        values = (first, actor, epoch, sequence, version, count, count, int(steps.sum()), False, segment, position)
        for name, value in zip(BATCH_COLUMNS, values, strict=True):
            self.batches[name][batch] = value
        table = self.rows
        table["number"][rows] = np.arange(first, first + count)
        table["batch"][rows], table["index"][rows] = batch, np.arange(count)
        table["steps"][rows], table["bytes"][rows] = steps, sizes
        table["first_step"][rows], table["link"][rows], table["ended"][rows] = first_step, link, ended
        table["next"][rows] = table["open"][rows] = -1
        table["covered"][rows] = table["wants"][rows] = table["holds"][rows] = table["times"][rows] = 0
        self.batch_slots[key], self.batch_rows[batch] = batch, rows
        self.next_row = first + count
        self.accepted += Count(1, count, int(steps.sum()))
        self._want(rows, +1)  # as if all of them were open
        self.open_rows = np.concatenate([self.open_rows, rows])
        self._born(self.unit.arrive(rows))
        self._close()

    def _born(self, born: Items) -> None:
        """Items came to be: they can be sampled."""
        count = len(born.row)
        if not count:
            return
        slots, table = self.items.add(count), self.items
        ids = np.arange(self.next_item, self.next_item + count)
        self.next_item += count
        table["id"][slots], table["row"][slots] = ids, born.row
        table["start"][slots], table["steps"][slots] = born.start, born.steps
        table["times"][slots] = table["pins"][slots] = 0
        table["held"][slots], table["priority"][slots] = False, self.highest_priority
        if born.members is not None:
            self.tables.unite(slots, born.members)
        self.item_slots.update(zip(ids.tolist(), slots.tolist(), strict=True))
        pieces = self.unit.pieces(slots)
        rows = np.bincount(pieces.item, minlength=count)
        version = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(version, pieces.item, self.batches["version"][self.rows["batch"][pieces.row]])
        table["rows"][slots], table["version"][slots] = rows, version
        sizes = np.bincount(pieces.item, self.rows["bytes"][pieces.row], count)
        self.most_rows, self.most_bytes = max(self.most_rows, int(rows.max())), max(self.most_bytes, int(sizes.max()))
        self._want(pieces.row, +1)
        self.waiting_items += count
        self.sampler.add(slots, table["priority"][slots])
        self.remover.add(slots, table["priority"][slots])

    def _sample(self, number: int, given: Given) -> None:
        if self._named is not None and self._named[0] is given.ids:
            _, slots, pieces = self._named
        else:
            slots = self.slots(given.ids)
            pieces = self.unit.pieces(slots)
        self._named = None
        self.tallies.sampled(slots, pieces.row)
        self.sampled_items += len(slots)
        self.sampled_rows += len(pieces.row)
        self.samples[number], self.sampled[number], self.next_sample = given, (slots, pieces), number + 1
        limit = self.config.max_times_sampled
        if limit is not None or self.config.remover == "most_sampled":
            self.tallies.settle()
            slots = np.unique(slots)
            times = self.items["times"][slots]
            self.remover.sampled(slots, times)
            if limit is not None:
                self._retire(slots[times >= limit])
                self.changes += 1

    def _release(self, number: int) -> None:
        found = []
        for below in range(self.released, min(number, self.next_sample)):
            found.append(self.places(below)[0])
            del self.samples[below], self.sampled[below]
        self.released, self.next_sample = max(self.released, number), max(self.next_sample, number)
        for slots in found:
            self.tallies.released(slots)
        if found and len(self.items) > self.waiting_items:  # some are held
            self.tallies.settle()
            slots = np.concatenate(found)
            over = slots[self.items["held"][slots] & (self.items["pins"][slots] == 0)]
            # What is held has been sampled, so that no reason to drop it is needed.
            self._free(np.unique(over), DropReason.CAPACITY)

    def _remove(self, slots: Slots, reason: DropReason) -> None:
        pinned = self.items["pins"][slots] > 0
        self._retire(slots[pinned])
        if not pinned.all():
            self._free(slots[~pinned], reason)

    def _give_up(self, numbers: Ints, reason: DropReason, force: bool) -> None:
        used = self.rows.used()
        rows = used[np.isin(self.rows["number"][used], numbers)]
        opened = rows[self.rows["open"][rows] >= 0]
        if len(opened):
            self.rows["open"][self.unit.forget(opened)] = -1
        if force:  # their items are worth nothing, those too that a sample refers to
            self.sampled.clear()
            items = self.items.used()
            pieces = self.unit.pieces(items)
            self._free(items[np.unique(pieces.item[np.isin(pieces.row, rows)])], reason)
        self._close(reason)

    def _prioritise(self, slots: Slots, priorities: Floats) -> None:
        self.items["priority"][slots] = priorities
        self.highest_priority = max(self.highest_priority, float(priorities.max(initial=0.0)))
        slots = np.unique(slots)
        slots = slots[~self.items["held"][slots]]
        self.sampler.prioritise(slots, self.items["priority"][slots])
        self.remover.prioritise(slots, self.items["priority"][slots])

    # What frames come to --------------------------------------------------------------------------------------------

    def _want(self, rows: Slots, by: int) -> None:
        """Rows are wanted by one item more or less, as often as they are named."""
        wants = self.rows["wants"]
        before = wants[rows]
        np.add.at(wants, rows, by)
        changed = rows[(before if by > 0 else wants[rows]) == 0]
        if len(changed):
            changed = np.unique(changed)
            self.waiting_rows += by * len(changed)
            self.waiting_bytes += by * int(self.rows["bytes"][changed].sum())

    def _close(self, reason: DropReason = DropReason.CAPACITY) -> None:
        """Rows that are open no more want themselves no more."""
        is_open = self.rows["open"][self.open_rows] >= 0
        closed, self.open_rows = self.open_rows[~is_open], self.open_rows[is_open]
        if len(closed):
            self._want(closed, -1)
            self._bury(closed, reason)

    def _retire(self, slots: Slots) -> None:
        """Items can be sampled no more; they are held for as long as a sample refers to them."""
        if len(slots):
            np.add.at(self.rows["holds"], self._withdraw(slots), 1)
            self.items["held"][slots] = True

    def _withdraw(self, slots: Slots) -> Slots:
        """Items wait no more to be sampled; gives the rows that they wanted."""
        self.sampler.remove(slots)
        self.remover.remove(slots)
        self.waiting_items -= len(slots)
        rows = self.unit.pieces(slots).row
        self._want(rows, -1)
        return rows

    def _free(self, slots: Slots, reason: DropReason) -> None:
        """Items go, and with them the rows that no other item needs."""
        if not len(slots):
            return
        held, rows = self.items["held"][slots], np.zeros(0, np.int64)
        if held.any():
            rows = self.unit.pieces(slots[held]).row
            np.subtract.at(self.rows["holds"], rows, 1)
        if not held.all():
            rows = np.concatenate([rows, self._withdraw(slots[~held])])
        for slot, ident in zip(slots.tolist(), self.items["id"][slots].tolist(), strict=True):
            del self.item_slots[ident]
            self.tables.part(slot)
        self.items.free(slots)
        self._bury(np.unique(rows), reason)

    def _bury(self, rows: Slots, reason: DropReason) -> None:
        """Rows that nothing needs are gone; the books say how they ended."""
        rows = rows[(self.rows["wants"][rows] == 0) & (self.rows["holds"][rows] == 0)]
        if not len(rows):
            return
        was_sampled = self.rows["times"][rows] > 0
        self.gone_times += int(self.rows["times"][rows].sum())
        steps, owners = self.rows["steps"][rows], self.rows["batch"][rows]
        np.subtract.at(self.batches["rows"], owners, 1)
        np.subtract.at(self.batches["frames"], owners, steps)
        self.batches["consumed"][owners[was_sampled]] = True
        gone = np.unique(owners)
        gone = gone[self.batches["rows"][gone] == 0]
        as_consumed = int(self.batches["consumed"][gone].sum())
        self.consumed += Count(as_consumed, int(was_sampled.sum()), int(steps[was_sampled].sum()))
        if as_consumed < len(gone) or not was_sampled.all():
            lost = Count(len(gone) - as_consumed, int((~was_sampled).sum()), int(steps[~was_sampled].sum()))
            self.dropped[reason] = self.dropped.get(reason, Count()) + lost
        self.rows.free(rows)
        self.garbage.extend(gone.tolist())

    def forget_batch(self, batch: int) -> None:
        """A batch of which nothing lives has left the store."""
        del self.batch_slots[self.key(batch)], self.batch_rows[batch]
        self.batches.free(np.array([batch], np.int64))
