"""What one item is: a fragment, a row, a group of rows, or a sequence of steps. One more unit is one more class.

A unit turns rows that arrive into items, and says which steps of which rows an item is made of. What it must remember
between two arrivals (rows of a group that is not whole, steps of an episode that fill no window yet) it keeps in the
column `open` of the rows' table, so that it can be rebuilt from there: -1 where a row waits for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from learners.replay.tables import Slots, Table

Ints = NDArray[np.int64]

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
    """

    item: Ints
    line: Ints
    row: Slots
    start: Ints
    steps: Ints
    lines: int


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
        members: rows of each item by its slot, for units that list them.
    """

    rows: Table
    items: Table
    members: dict[int, Slots]


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
        self._members = tables.members

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
        for row in _open_rows(self._rows):
            self._open.setdefault(int(self._rows["link"][row]), []).append(row)


class Window:
    """Windows of `length` steps within an episode, one every `stride` steps, also across rows that follow each other.

    What an episode's end or a gap leaves over is a shorter window. Kapturowski et al. (2019, R2D2) overlap windows by
    half: `stride = length / 2`.
    """

    def __init__(self, tables: Tables, length: int, stride: int) -> None:
        """No episode is open.

        Args:
            tables: of rows and items.
            length: steps of a window.
            stride: steps from one window's first to the next one's.
        """
        self._rows, self._items = tables.rows, tables.items
        self._length, self._stride = length, stride
        self._open: dict[int, list[int]] = {}

    def arrive(self, rows: Slots) -> Items:
        """Rows go on with their episodes; gives the windows that they fill."""
        table, found = self._rows, list[tuple[int, int, int]]()
        for row, episode in zip(rows.tolist(), table["link"][rows].tolist(), strict=True):
            tail = self._open.get(episode, [])
            if tail and table["first_step"][row] != table["first_step"][tail[-1]] + table["steps"][tail[-1]]:
                found += self._windows(self._open.pop(episode), to_the_end=True)
                tail = []
            if tail:
                table["next"][tail[-1]] = row
            tail.append(row)
            table["open"][row] = table["covered"][row] = 0
            found += self._windows(tail, to_the_end=bool(table["ended"][row]))
            if tail:
                self._open[episode] = tail
            else:
                self._open.pop(episode, None)
        columns = np.array(found, np.int64).reshape(-1, 3)
        return Items(columns[:, 0].copy(), columns[:, 1].copy(), columns[:, 2].copy())

    def _windows(self, tail: list[int], to_the_end: bool) -> list[tuple[int, int, int]]:
        """Take the windows that begin in `tail`, and the rows in which none will begin, off its front."""
        table, found = self._rows, []
        start, covered = int(table["open"][tail[0]]), int(table["covered"][tail[0]])
        there = int(table["steps"][tail].sum()) - start
        while there >= self._length or (to_the_end and there > covered):
            found.append((tail[0], start, min(there, self._length)))
            start, there, covered = start + self._stride, there - self._stride, self._length - self._stride
            while tail and start >= table["steps"][tail[0]]:
                table["open"][tail[0]] = -1
                start -= int(table["steps"][tail.pop(0)])
        if to_the_end:
            table["open"][tail] = -1
            tail.clear()
        elif tail:
            table["open"][tail[0]], table["covered"][tail[0]] = start, covered
        return found

    def pieces(self, items: Slots) -> Pieces:
        """One line for each window; a piece of it in each row that it touches."""
        rows, starts, left = (self._items[name][items] for name in ("row", "start", "steps"))
        counts = np.minimum(left, self._rows["steps"][rows] - starts)
        lines = np.arange(len(items))
        if (counts == left).all():
            return Pieces(lines, lines, rows, starts, counts, len(items))
        found = [(lines, rows, starts, counts)]
        while (on := np.flatnonzero(left > counts)).size:
            lines, rows, left = lines[on], self._rows["next"][rows[on]], (left - counts)[on]
            starts = np.zeros(len(on), np.int64)
            counts = np.minimum(left, self._rows["steps"][rows])
            found.append((lines, rows, starts, counts))
        line, row, start, count = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(line, kind="stable")
        return Pieces(line[order], line[order], row[order], start[order], count[order], len(items))

    def forget(self, rows: Slots) -> Slots:
        """An episode whose open steps go begins a new window with its next row."""
        episodes = np.unique(self._rows["link"][rows]).tolist()
        return np.array([row for episode in episodes for row in self._open.pop(episode)], np.int64)

    def rebuild(self) -> None:
        """Open rows by episode, in the order in which they came."""
        self._open = {}
        for row in _open_rows(self._rows):
            self._open.setdefault(int(self._rows["link"][row]), []).append(row)


def _open_rows(rows: Table) -> list[int]:
    used = rows.used()
    waiting = used[rows["open"][used] >= 0]
    ordered: list[int] = waiting[np.argsort(rows["number"][waiting])].tolist()
    return ordered
