"""`Gatherer`: steps of many rows, copied into contiguous arrays `[lines, steps, …]` that are used again and again.

Rows lie where Arrow has them: in mapped segments, or in memory. Of each column and row the address of the first step
is known, and the whole memory of the process is viewed as one array whose lines overlap, one from each word on. So a
batch is one call a column wherever its rows are: lines looked up by index where they are short, `concatenate` of
stretches where lines have several pieces or missing steps; long lines are copied one by one. One thread copies: on
cores that others use too, several wait for each other far longer than they copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from envs.trajectory import OBSERVATION, spec_of
from learners.replay.tables import Slots, Table
from learners.replay.units import Pieces

_WORDS = (8, 4, 2, 1)  # bytes that are copied as one number, where address and length are multiples of them
_LONG = 4096  # bytes of a line from which on copying weighs more than a call for each line
_PAGE = 4096  # nothing lies on the first page; NumPy refuses an array at address 0

Ints = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]


class _Everything:
    """The memory of this process as an array interface: nothing is read until it is indexed."""

    def __init__(self, word: int) -> None:
        self.__array_interface__ = {
            "version": 3,
            "typestr": f"<i{word}" if word > 1 else "|u1",
            "shape": ((2**47 - _PAGE) // word,),
            "data": (_PAGE, True),
        }


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


class _Target:
    """An output array that is filled again and again.

    Attributes:
        array: that is given out.
        length: bytes of a line.
        whole: all of its bytes.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self.array, self.length = array, array.nbytes // max(1, len(array))
        self.whole = array.reshape(-1).view(np.uint8).data
        self._words: dict[int, NDArray[Any]] = {}

    def lines(self, word: int) -> NDArray[Any]:
        """The array as words of so many bytes, `[lines, words]`."""
        lines = self._words.get(word)
        if lines is None:
            lines = self._words[word] = self.array.reshape(len(self.array), -1).view(f"i{word}" if word > 1 else "u1")
        return lines


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
        self._places = [np.zeros(64, np.int64) for _ in self.columns]  # by row, in bytes from the second page on
        self._bits = [0 for _ in self.columns]  # set in any of them: by how much all of them are aligned
        self._memory = {word: np.asarray(_Everything(word)) for word in _WORDS}
        self._whole = self._memory[1].data  # copies with less ado than NumPy
        self._lines: dict[tuple[int, int], NDArray[Any]] = {}  # memory as lines that overlap, by bytes of word and line
        self._buffers: list[dict[str, _Target]] = [{} for _ in range(buffers)]
        self._turn = 0
        self._zeros = np.zeros(4096, np.uint8)

    def learn(self, batch: pa.RecordBatch, slots: Slots, indices: Ints) -> None:
        """Note where rows lie. Their batch must stay alive for as long as they are gathered.

        Args:
            batch: that holds them.
            slots: of the rows.
            indices: of the rows in the batch.
        """
        for which, column in enumerate(self.columns):
            array, first = batch.column(column.name), indices
            if column.per_step:
                first, array = array.offsets.to_numpy()[indices].astype(np.int64), array.values
            itemsize = column.dtype.itemsize
            if pa.types.is_fixed_size_list(array.type):
                first, array, itemsize = first + array.offset, array.values, column.itemsize
            base = array.buffers()[-1].address + array.offset * column.dtype.itemsize - _PAGE
            if len(self._places[which]) < self._rows.size:
                self._places[which] = np.resize(self._places[which], self._rows.size)
            places = base + first * itemsize
            self._places[which][slots] = places
            self._bits[which] |= int(np.bitwise_or.reduce(places, initial=0))

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
        self._turn = (self._turn + 1) % len(self._buffers)
        firsts, lengths = None, pieces.steps
        if len(lengths) > pieces.lines:  # some lines have several pieces
            firsts = np.flatnonzero(np.diff(pieces.line, prepend=-1))
            lengths = np.add.reduceat(pieces.steps, firsts)
        steps = longest or int(lengths.max(initial=0))
        row, start = (pieces.row, pieces.start) if firsts is None else (pieces.row[firsts], pieces.start[firsts])
        missing = steps - lengths
        is_even = firsts is None and not missing.any()
        moves = bool(start.any())
        found: Arrays = {}
        for which, column in enumerate(self.columns):
            places, itemsize = self._places[which], column.itemsize
            if not column.per_step:
                out = self._out(column.name, column.dtype, (pieces.lines, *column.shape))
                self._copy_lines(out, places[row], self._bits[which])
            else:
                out = self._out(column.name, column.dtype, (pieces.lines, steps + column.extra, *column.shape))
                if not is_even:
                    self._copy_pieces(out, column, places[pieces.row] + pieces.start * itemsize, pieces, missing)
                elif moves:
                    self._copy_lines(out, places[row] + start * itemsize, self._bits[which] | itemsize)
                else:
                    self._copy_lines(out, places[row], self._bits[which])
            found[column.name] = out.array
        found["mask"] = self._out("mask", np.dtype(bool), (pieces.lines, steps)).array
        if is_even:
            found["mask"].fill(True)
        else:
            np.less(np.arange(steps), lengths[:, None], out=found["mask"])
        found["start"] = self._out("start", np.dtype(np.int64), (pieces.lines,)).array
        found["start"][:] = start
        return found

    def _out(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> _Target:
        """The output array of this turn; it is made anew where it is too small."""
        buffers = self._buffers[self._turn]
        target = buffers.get(name)
        if target is None or target.array.shape != shape:
            whole, size = None if target is None else target.array.base, prod(shape)
            if whole is None or whole.size < size:
                whole = np.empty(size, dtype)
            target = buffers[name] = _Target(whole[:size].reshape(shape))
        return target

    def _copy_lines(self, out: _Target, begin: Ints, bits: int) -> None:
        """Fill each line of `out` with what lies from its place in memory on.

        Args:
            out: to fill.
            begin: where each line begins, in bytes, `[lines]`.
            bits: that are set in any of `begin`, or more.
        """
        length = out.length
        if not length:
            return
        if length >= _LONG:
            target, memory = out.whole, self._whole
            for to, at in zip(range(0, len(target), length), begin.tolist(), strict=True):
                target[to : to + length] = memory[at : at + length]
            return
        aligned = (bits | length) & -(bits | length)
        word = min(aligned, _WORDS[0])
        index, words = begin // word, self._memory[word]
        if length == word:
            np.take(words, index, out=out.lines(word)[:, 0], mode="clip")
            return
        lines = self._lines.get((word, length))
        if lines is None:
            shape = (len(words) - length // word, length // word)
            lines = self._lines[word, length] = as_strided(words, shape, (word, word), writeable=False)
        out.lines(word)[:] = lines[index]

    def _copy_pieces(self, out: _Target, column: Column, begin: Ints, pieces: Pieces, missing: Ints) -> None:
        """Fill each line of `out` with its pieces of memory one behind another, and then with zeros.

        Args:
            out: to fill.
            column: what is copied.
            begin: where each piece begins, in bytes, `[P]`.
            pieces: what they are.
            missing: steps behind the last piece of each line, `[lines]`.
        """
        memory, itemsize = self._memory[1], column.itemsize
        lasts = np.append(np.flatnonzero(np.diff(pieces.line)), len(pieces.line) - 1)
        count = pieces.steps.copy()
        count[lasts] += column.extra
        parts = [memory[a:b] for a, b in zip(begin.tolist(), (begin + count * itemsize).tolist(), strict=True)]
        if (most := int(missing.max(initial=0)) * itemsize) > len(self._zeros):
            self._zeros = np.zeros(most, np.uint8)
        for at, number in zip(lasts[::-1].tolist(), (missing * itemsize)[::-1].tolist(), strict=True):
            parts.insert(at + 1, self._zeros[:number])
        np.concatenate(parts, out=np.frombuffer(out.whole, np.uint8))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_list(kind) or pa.types.is_list(kind))
