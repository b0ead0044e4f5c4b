"""`Gatherer`: steps of many rows, copied into contiguous arrays `[lines, steps, …]` that are used again and again.

Rows lie where Arrow has them: in mapped segments, or in memory. Of each column and row the address of the first step
is known. So a batch is one call a column wherever its rows are: whole lines (`Memory`), or `concatenate` of stretches
where lines have several pieces or missing steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.trajectory import OBSERVATION, spec_of
from learners.replay.memory import PAGE, WORD, Memory, Target
from learners.replay.tables import Slots, Table
from learners.replay.units import Pieces

_SMALL = 64  # words of a line up to which looking each of them up costs less than a call for each column
_CACHE_LINE = 64  # bytes

Ints = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """A column that can be gathered.

    Attributes:
        name: of the column.
        dtype: of its numbers.
        shape: of what belongs to one step.
        per_step: whether a row has a list of it; otherwise one.
        extra: entries of a list beyond the number of steps: 1 for observations, whose last one bootstraps.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    per_step: bool
    extra: int

    @cached_property
    def itemsize(self) -> int:
        """Bytes of one step."""
        return int(self.dtype.itemsize * np.prod(self.shape, dtype=np.int64))


def gatherable(schema: pa.Schema) -> list[Column]:
    """Columns of whole or floating numbers, one or a fixed number of them to a row or to a step; none that can be NULL.

    Args:
        schema: of the rows. Where it is one of trajectories, observations have the shapes of its spec.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    if (schema.metadata or {}).get(b"guerdon_schema") == b"trajectory":
        spec, _ = spec_of(schema)
        shapes = {OBSERVATION + key: array.shape for key, array in spec.observation.items()}
        shapes["action"] = spec.action.shape
    found = []
    for field in schema:
        kind, per_step = field.type, _is_list(field.type)
        shape: tuple[int, ...] = ()
        if per_step:
            kind = kind.value_type
        if pa.types.is_fixed_size_list(kind):
            shape, kind = (kind.list_size,), kind.value_type
        if field.nullable or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            continue
        extra = int(per_step and field.name.startswith(OBSERVATION))
        shape = shapes.get(field.name, ()) or shape
        found.append(Column(field.name, np.dtype(kind.to_pandas_dtype()), shape, per_step, extra))
    return found


class _Outputs:
    """The output arrays of one turn, by column; `mask` and `start` are the last two.

    Attributes:
        lines: of each array.
        steps: of each line.
        arrays: of each column, by name.
        all: number, column and array of each.
        large: of these, those that `fill_small` does not fill: their lines are long, or not of whole words.
        small: numbers of the others.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns, self.lines, self.steps = columns, 0, 0
        self._rooms: dict[str, NDArray[np.int64]] = {}
        self.all: list[tuple[int, Column, Target]] = []
        self.large: list[tuple[int, Column, Target]] = []
        self.arrays: Arrays = {}
        self.small: list[int] = []

    def fit(self, lines: int, steps: int) -> None:
        """Have arrays of so many lines and steps; memory is taken anew only where there is too little."""
        shapes = [(lines, *([steps + c.extra] if c.per_step else []), *c.shape) for c in self._columns]
        shapes += [(lines, steps), (lines,)]
        names = [*(c.name for c in self._columns), "mask", "start"]
        dtypes = [*(c.dtype for c in self._columns), np.dtype(bool), np.dtype(np.int64)]
        sizes = [prod(shape) * dtype.itemsize for shape, dtype in zip(shapes, dtypes, strict=True)]
        words = [size // lines // WORD if lines else 0 for size in sizes[:-2]]
        self.small = [which for which, n in enumerate(words) if 0 < n <= _SMALL and sizes[which] == n * lines * WORD]
        self._words = self._room("", WORD * sum(words[which] for which in self.small) * lines)
        at, ends = 0, np.cumsum([words[which] * lines for which in self.small]).tolist()
        rooms = {}
        for which, end in zip(self.small, ends, strict=True):
            rooms[which], at = self._words[at:end], end
        for which, (name, dtype, shape) in enumerate(zip(names, dtypes, shapes, strict=True)):
            room = rooms[which] if which in rooms else self._room(name, sizes[which])
            self.arrays[name] = room.view(np.uint8)[: sizes[which]].view(dtype).reshape(shape)
        # Of each word of the small columns: which of all lines it is in, and which word of that line it is.
        each = [np.full(lines, words[which]) for which in self.small]
        line = [which * lines + np.arange(lines) for which in self.small]
        self._line = np.repeat(np.concatenate(line), np.concatenate(each)) if each else np.zeros(0, np.int64)
        self._word = np.concatenate([np.tile(np.arange(words[which]), lines) for which in self.small] or [self._line])
        # One word of each cache line is read before the others: no wait for memory waits for another one.
        self._first = np.flatnonzero(self._word % (_CACHE_LINE // WORD) == 0)
        self._firsts = np.empty(len(self._first), np.int64)
        targets = [Target(self.arrays[name]) for name in names[:-2]]
        self.all = list(zip(range(len(targets)), self._columns, targets, strict=True))
        self.large = [one for one in self.all if one[0] not in self.small]
        self.lines, self.steps = lines, steps

    def fill_small(self, memory: Memory, begin: Ints) -> None:
        """Fill the small columns; all of their lines begin at whole words.

        Args:
            memory: to copy from.
            begin: address of each column's lines, `[columns, lines]`.
        """
        index = (begin.ravel() >> WORD.bit_length() - 1).take(self._line)
        index += self._word
        memory.copy_words(self._firsts, index.take(self._first))
        memory.copy_words(self._words, index)

    def _room(self, name: str, size: int) -> NDArray[np.int64]:
        """Memory for so many bytes."""
        count = -(-size // WORD)
        room = self._rooms.get(name)
        if room is None or len(room) < count:
            room = self._rooms[name] = np.empty(count, np.int64)
        return room[:count]


class Gatherer:
    """Knows where rows lie, and owns the arrays that are filled."""

    def __init__(self, schema: pa.Schema, rows: Table, buffers: int = 2) -> None:
        """No row is known.

        Args:
            schema: of the rows.
            rows: the table whose slots name them.
            buffers: sets of output arrays that take turns: what was gathered stands until so many further calls.
        """
        self.columns = gatherable(schema)
        self._rows = rows
        self._places = np.zeros((len(self.columns), 64), np.int64)  # by column and row, as `Memory` counts
        self._bits = [0 for _ in self.columns]  # set in any of them: by how much all of them are aligned
        self._is_odd = False  # whether some line begins within a word
        self._per_step = np.array([[c.itemsize if c.per_step else 0] for c in self.columns], np.int64)
        self._memory = Memory()
        self._outputs = [_Outputs(self.columns) for _ in range(buffers)]
        self._turn = 0
        self._zeros = np.zeros(4096, np.uint8)

    def learn(self, batch: pa.RecordBatch, slots: Slots, indices: Ints) -> None:
        """Note where rows lie. Their batch must stay alive for as long as they are gathered.

        Args:
            batch: that holds them.
            slots: of the rows.
            indices: of the rows in the batch.
        """
        if self._places.shape[1] < self._rows.size:
            larger = np.zeros((len(self.columns), self._rows.size), np.int64)
            larger[:, : self._places.shape[1]] = self._places
            self._places = larger
        for which, column in enumerate(self.columns):
            array, first = batch.column(column.name), indices
            if column.per_step:
                first, array = array.offsets.to_numpy()[indices].astype(np.int64), array.values
            itemsize = column.dtype.itemsize
            if pa.types.is_fixed_size_list(array.type):
                first, array, itemsize = first + array.offset, array.values, column.itemsize
            base = array.buffers()[-1].address + array.offset * column.dtype.itemsize - PAGE
            places = base + first * itemsize
            self._places[which, slots] = places
            self._bits[which] |= int(np.bitwise_or.reduce(places, initial=0))
            self._is_odd = any(bits % WORD for bits in self._bits)

    def gather(self, pieces: Pieces, longest: int | None = None) -> Arrays:
        """Copy pieces into arrays.

        Args:
            pieces: which steps; lines begin at their first piece and are filled up with zeros.
            longest: steps of a line; None: of the longest one.

        Returns:
            By column name `[lines, steps (+ 1 for observations), …]`, for columns that have one entry a row `[lines,
            …]`, of the line's first row. `mask` `[lines, steps]` is True where there is a step, `start` `[lines]` the
            step of the first row at which the line begins: by so many steps a stored recurrent state is older.
        """
        self._turn = (self._turn + 1) % len(self._outputs)
        row, start, lengths = pieces.row, pieces.start, pieces.steps
        steps = longest or pieces.whole
        is_even = pieces.whole == steps > 0
        moves = False
        if not is_even:
            if len(lengths) != pieces.lines:  # some lines have several pieces
                firsts = np.flatnonzero(np.diff(pieces.line, prepend=-1))
                row, start, lengths = row[firsts], start[firsts], np.add.reduceat(lengths, firsts)
            steps = longest or int(lengths.max(initial=0))
            missing = steps - lengths
            is_even = len(lengths) == len(pieces.steps) and not np.count_nonzero(missing)
            moves = bool(np.count_nonzero(start))
        outputs = self._outputs[self._turn]
        if outputs.lines != pieces.lines or outputs.steps != steps:
            outputs.fit(pieces.lines, steps)
        begin, left = self._places.take(row, 1), outputs.all
        if moves:
            begin += start * self._per_step
        if is_even and not (moves or self._is_odd):
            outputs.fill_small(self._memory, begin)
            left = outputs.large
        for which, column, out in left:
            if is_even or not column.per_step:
                bits = self._bits[which] | (column.itemsize if moves and column.per_step else 0)
                self._memory.copy_lines(out, begin[which], bits)
            else:
                places = self._places[which, pieces.row] + pieces.start * column.itemsize
                self._copy_pieces(out, column, places, pieces, missing)
        found = outputs.arrays.copy()
        if is_even:
            found["mask"].fill(True)
        else:
            np.less(np.arange(steps), lengths[:, None], out=found["mask"])
        found["start"][:] = start
        return found

    def _copy_pieces(self, out: Target, column: Column, begin: Ints, pieces: Pieces, missing: Ints) -> None:
        """Fill each line of `out` with its pieces of memory one behind another, and then with zeros.

        Args:
            out: to fill.
            column: what is copied.
            begin: where each piece begins, in bytes, `[P]`.
            pieces: what they are.
            missing: steps behind the last piece of each line, `[lines]`.
        """
        stretch, itemsize = self._memory.stretch, column.itemsize
        lasts = np.append(np.flatnonzero(np.diff(pieces.line)), len(pieces.line) - 1)
        count = pieces.steps.copy()
        count[lasts] += column.extra
        parts = [stretch(a, b) for a, b in zip(begin.tolist(), (begin + count * itemsize).tolist(), strict=True)]
        if (most := int(missing.max(initial=0)) * itemsize) > len(self._zeros):
            self._zeros = np.zeros(most, np.uint8)
        for at, number in zip(lasts[::-1].tolist(), (missing * itemsize)[::-1].tolist(), strict=True):
            parts.insert(at + 1, self._zeros[:number])
        np.concatenate(parts, out=np.frombuffer(out.whole, np.uint8))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_list(kind) or pa.types.is_list(kind))
