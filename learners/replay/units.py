"""What one item is: a fragment, a row, a group of rows, or a sequence of steps. One more unit is one more class.

A unit turns rows that arrive into items, and says which steps of which rows an item is made of. What it must remember
between two arrivals (rows of a group that is not whole, steps of an episode that fill no window yet) it keeps in the
column `open` of the rows' table, so that it can be rebuilt from there: -1 where a row waits for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from learners.replay.tables import Slots, Table

Ints = NDArray[np.int64]

_NONE = np.zeros(0, np.int64)

ROW_COLUMNS = {
    "number": "i8",  # of all rows ever accepted
    "batch": "i8",  # slot of the batch it came in
    "index": "i8",  # in that batch
    "steps": "i8",
    "bytes": "i8",
    "first_step": "i8",  # in the episode
    "link": "i8",  # hash of what belongs together: the episode or the group
    "ended": "?",  # whether the episode ends with it
    "next": "i8",  # slot of the row that goes on with the episode, or -1
    "open": "i8",  # step from which on it is in no item yet, or -1
    "covered": "i8",  # steps from there on that an earlier, overlapping window holds already
    "wants": "i8",  # items that can be sampled and hold it, and one more while it is open
    "holds": "i8",  # items that are only held for a rewind and hold it
    "times": "i8",  # it was sampled
}
ITEM_COLUMNS = {
    "id": "i8",
    "row": "i8",  # slot of its first row
    "start": "i8",  # step in that row
    "steps": "i8",
    "rows": "i8",
    "version": "i8",  # oldest policy that acted in it
    "times": "i8",  # it was sampled
    "pins": "i8",  # times in samples that are not released
    "held": "?",  # cannot be sampled anew
    "priority": "f8",
}


class Pieces(NamedTuple):
    """Where the steps of some items lie: piece after piece, some to a line.

    Attributes:
        item: index of the item that a piece belongs to, `[P]`, ascending.
        line: of the output that it belongs to, `[P]`, ascending.
        row: slot of the row, `[P]`.
        start: its first step in the row, `[P]`.
        steps: of them, `[P]`.
        lines: how many there are.
        whole: steps of each line where all lines are one row from its first step on, all as long, and that is known;
            else 0.
    """

    item: Ints
    line: Ints
    row: Slots
    start: Ints
    steps: Ints
    lines: int
    whole: int = 0


class Items(NamedTuple):
    """Items that came to be.

    Attributes:
        row: slot of the first row, `[n]`.
        start: first step in it, `[n]`.
        steps: in all, `[n]`.
        members: rows of each item, where they are not found by following an episode.
    """

    row: Slots
    start: Ints
    steps: Ints
    members: Sequence[Slots] | None = None


class Unit(Protocol):
    """Makes items of rows."""

    def arrive(self, rows: Slots) -> Items:
        """Rows arrived in one insert; gives the items that are whole by now."""
        ...

    def pieces(self, items: Slots) -> Pieces:
        """Where the steps of items lie."""
        ...

    def holders(self, rows: Slots) -> Slots:
        """All items that hold one of some rows, ascending; there may be others among them."""
        ...

    def forget(self, rows: Slots) -> Slots:
        """Give open rows up; gives all that become worthless with them, these included."""
        ...

    def rebuild(self) -> None:
        """Remember what the rows' column `open` says."""
        ...


@dataclass
class Tables:
    """The rows and items that units speak of.

    Attributes:
        rows: see `ROW_COLUMNS`.
        items: see `ITEM_COLUMNS`.
        members: rows of each item by its slot, for units that list them; see `unite` and `part`.
    """

    rows: Table
    items: Table
    members: dict[int, Slots] = field(default_factory=dict)
    holder: dict[int, int] = field(default_factory=dict)  # the item that lists a row, by the slot of either

    def unite(self, items: Slots, members: Sequence[Slots]) -> None:
        """Note the rows of new items."""
        for item, rows in zip(items.tolist(), members, strict=True):
            self.members[item] = rows
            self.holder.update(dict.fromkeys(rows.tolist(), item))

    def part(self, item: int) -> None:
        """An item goes; one that lists no rows may, too."""
        for row in self.members.pop(item, _NONE).tolist():
            del self.holder[row]


class Row:
    """Each row is an item."""

    def __init__(self, tables: Tables) -> None:
        """Nothing is remembered."""
        self._rows, self._items = tables.rows, tables.items

    def arrive(self, rows: Slots) -> Items:
        """Each row is whole at once."""
        return Items(rows, np.zeros(len(rows), np.int64), self._rows["steps"][rows])

    def pieces(self, items: Slots) -> Pieces:
        """One row, one piece, one line."""
        rows, lines = self._items["row"][items], np.arange(len(items))
        return Pieces(lines, lines, rows, np.zeros(len(rows), np.int64), self._rows["steps"][rows], len(rows))

    def holders(self, rows: Slots) -> Slots:
        """The items of these rows."""
        items = self._items.used()
        held: Slots = items[np.isin(self._items["row"][items], rows)]
        return held

    def forget(self, rows: Slots) -> Slots:
        """No row is ever open."""
        return rows

    def rebuild(self) -> None:
        """There is nothing to remember."""


class Fragment(Row):
    """All rows of one insert are an item."""

    def __init__(self, tables: Tables) -> None:
        """Nothing is remembered."""
        super().__init__(tables)
        self._members, self._holder = tables.members, tables.holder

    def arrive(self, rows: Slots) -> Items:
        """What came together is whole."""
        return Items(rows[:1], np.zeros(1, np.int64), self._rows["steps"][rows].sum(keepdims=True), [rows])

    def pieces(self, items: Slots) -> Pieces:
        """One line for each row."""
        members = [self._members[item] for item in items.tolist()]
        rows = np.concatenate(members) if members else np.zeros(0, np.int64)
        item = np.repeat(np.arange(len(members)), [len(own) for own in members])
        zeros = np.zeros(len(rows), np.int64)
        return Pieces(item, np.arange(len(rows)), rows, zeros, self._rows["steps"][rows], len(rows))

    def holders(self, rows: Slots) -> Slots:
        """The items that list these rows, without a look at the others, of which there may be very many."""
        return np.array(sorted({self._holder[row] for row in rows.tolist() if row in self._holder}), np.int64)


class Group(Fragment):
    """All rows of one group are an item, once they are `size`; a further row under the same name begins anew."""

    def __init__(self, tables: Tables, size: int) -> None:
        """No group is open.

        Args:
            tables: of rows and items.
            size: rows of a whole group.
        """
        super().__init__(tables)
        self._size = size
        self._open: dict[int, list[int]] = {}

    def arrive(self, rows: Slots) -> Items:
        """Rows join their groups; those groups that have become whole are items."""
        whole = []
        for row, group in zip(rows.tolist(), self._rows["link"][rows].tolist(), strict=True):
            waiting = self._open.setdefault(group, [])
            waiting.append(row)
            self._rows["open"][row] = 0
            if len(waiting) == self._size:
                whole.append(np.array(self._open.pop(group), np.int64))
                self._rows["open"][whole[-1]] = -1
        first = np.array([rows[0] for rows in whole], np.int64)
        steps = np.array([self._rows["steps"][rows].sum() for rows in whole], np.int64)
        return Items(first, np.zeros(len(whole), np.int64), steps, whole)

    def forget(self, rows: Slots) -> Slots:
        """A group that lacks a row will never be whole: all of it goes."""
        return np.array(
            [row for group in np.unique(self._rows["link"][rows]).tolist() for row in self._open.pop(group)], np.int64
        )

    def rebuild(self) -> None:
        """Open rows by group, in the order in which they came."""
        self._open = {}
        for row in open_rows(self._rows):
            self._open.setdefault(int(self._rows["link"][row]), []).append(row)


def open_rows(rows: Table) -> list[int]:
    """Slots of the rows that are open, in the order in which they came."""
    used = rows.used()
    waiting = used[rows["open"][used] >= 0]
    ordered: list[int] = waiting[np.argsort(rows["number"][waiting])].tolist()
    return ordered
