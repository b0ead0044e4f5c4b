"""`Window`: the unit that cuts episodes into windows of so many steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learners.replay.tables import Slots
from learners.replay.units import Items, Pieces, Tables, open_rows


@dataclass
class _Tail:
    """Rows of an episode whose last steps are in no window yet.

    Attributes:
        rows: that follow each other.
        steps: of each.
        following: step of the episode with which the next row goes on.
        start: step of the first row at which the next window begins.
        covered: steps from there on that an earlier, overlapping window holds already.
        there: steps from there on.
    """

    rows: list[int]
    steps: list[int]
    following: int
    start: int
    covered: int
    there: int


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
        self._open: dict[int, _Tail] = {}

    def arrive(self, rows: Slots) -> Items:
        """Rows go on with their episodes; gives the windows that they fill."""
        table, found = self._rows, list[tuple[int, int, int]]()
        touched: dict[int, tuple[int, int]] = {}  # what `open` and `covered` become: one change for all rows is cheap
        facts = (table[name][rows].tolist() for name in ("link", "first_step", "steps", "ended"))
        for row, episode, first_step, steps, ended in zip(rows.tolist(), *facts, strict=True):
            tail = self._open.get(episode)
            if tail is None and (steps == self._length == self._stride or (ended and steps <= self._length)):
                found.append((row, 0, steps))  # a window by itself, by far the most frequent case
                continue
            if tail is not None and first_step != tail.following:
                found += self._windows(tail, True, touched)
                tail = None
            if tail is None:
                tail = _Tail([], [], 0, 0, 0, 0)
            else:
                table["next"][tail.rows[-1]] = row
            tail.rows.append(row)
            tail.steps.append(steps)
            tail.following, tail.there = first_step + steps, tail.there + steps
            touched[row] = 0, 0
            found += self._windows(tail, ended, touched)
            if tail.rows:
                self._open[episode] = tail
            else:
                self._open.pop(episode, None)
        if touched:
            slots, values = np.fromiter(touched, np.int64, len(touched)), np.array(list(touched.values()), np.int64)
            table["open"][slots], table["covered"][slots] = values.T
        columns = np.array(found, np.int64).reshape(-1, 3).T.copy()
        return Items(*columns)

    def _windows(
        self, tail: _Tail, to_the_end: bool, touched: dict[int, tuple[int, int]]
    ) -> list[tuple[int, int, int]]:
        """Take the windows that begin in `tail`, and the rows in which none will begin, off its front."""
        found = []
        while tail.there >= self._length or (to_the_end and tail.there > tail.covered):
            found.append((tail.rows[0], tail.start, min(tail.there, self._length)))
            tail.start += self._stride
            tail.there -= self._stride
            tail.covered = self._length - self._stride
            while tail.rows and tail.start >= tail.steps[0]:
                touched[tail.rows.pop(0)] = -1, 0
                tail.start -= tail.steps.pop(0)
        if to_the_end:
            touched.update(dict.fromkeys(tail.rows, (-1, 0)))
            tail.rows.clear()
        elif tail.rows:
            touched[tail.rows[0]] = tail.start, tail.covered
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

    def holders(self, rows: Slots) -> Slots:
        """All items: a window that touches a row may begin in any before it."""
        return self._items.used()

    def forget(self, rows: Slots) -> Slots:
        """An episode whose open steps go begins a new window with its next row."""
        episodes = np.unique(self._rows["link"][rows]).tolist()
        return np.array([row for episode in episodes for row in self._open.pop(episode).rows], np.int64)

    def rebuild(self) -> None:
        """Open rows by episode, in the order in which they came."""
        self._open, table = {}, self._rows
        for row in open_rows(table):
            link, first_step, steps = (int(table[name][row]) for name in ("link", "first_step", "steps"))
            tail = self._open.get(link)
            if tail is None:
                start = int(table["open"][row])
                tail = self._open[link] = _Tail([], [], 0, start, int(table["covered"][row]), -start)
            tail.rows.append(row)
            tail.steps.append(steps)
            tail.following, tail.there = first_step + steps, tail.there + steps
