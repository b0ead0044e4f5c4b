"""`Gatherer`: steps of many rows, copied into contiguous arrays `[lines, steps, …]` that are used again and again.

Rows lie where Arrow has them: in mapped segments, or in memory. Of each column and row the address of the first step
is known, and the whole memory of the process is viewed as one array. So a batch is one NumPy call a column wherever
its rows are: `take` of numbers for narrow columns, `concatenate` of stretches of bytes for wide ones. Nothing is
allocated but indices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.trajectory import OBSERVATION, spec_of
from learners.replay.tables import Slots, Table
from learners.replay.units import Pieces

_UNITS = (1, 2, 4, 8)  # bytes that NumPy can take as one number
_PAGE = 4096  # no row lies on the first page; NumPy refuses an array at address 0

Ints = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]


class _Everything:
    """The memory of this process as an array interface, read-only: nothing is read until it is indexed."""

    def __init__(self, itemsize: int) -> None:
        self.__array_interface__ = {
            "version": 3,
            "typestr": f"<u{itemsize}",
            "shape": ((2**47 - _PAGE) // itemsize,),
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

    @cached_property
    def unit(self) -> int:
        """Bytes that are moved as one: a narrow step is a number, a wide one a stretch of bytes."""
        return self.itemsize if self.itemsize in _UNITS else 1

    @cached_property
    def width(self) -> int:
        """Units of one step."""
        return self.itemsize // self.unit


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


def steps_of(rows: pa.RecordBatch, column: str) -> Ints:
    """Steps of each row, `[R]`: the length of its list in `column`; 1 where the schema has no such list."""
    if column not in rows.schema.names or not _is_list(rows.schema.field(column).type):
        return np.ones(rows.num_rows, np.int64)
    steps: Ints = rows.column(column).value_lengths().to_numpy().astype(np.int64)
    return steps


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
        self._places = [np.zeros(64, np.int64) for _ in self.columns]  # by row, in units from the second page on
        self._everything = {unit: np.asarray(_Everything(unit)) for unit in _UNITS}
        self._buffers: list[Arrays] = [{} for _ in range(buffers)]
        self._turn = 0
        self._zeros = np.zeros(4096, np.uint64)

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
            self._places[which][slots] = (base + first * itemsize) // column.unit  # Arrow aligns numbers

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
        firsts = lasts = np.arange(pieces.lines)
        lengths = pieces.steps
        if len(lengths) > pieces.lines:  # some lines have several pieces
            firsts = np.flatnonzero(np.diff(pieces.line, prepend=-1))
            lasts = np.append(firsts[1:], len(pieces.line)) - 1
            lengths = np.add.reduceat(pieces.steps, firsts)
        steps = longest or int(lengths.max(initial=0))
        is_full = bool(lengths.min(initial=steps) == steps)
        row = pieces.row[firsts]
        found: Arrays = {}
        for column, places in zip(self.columns, self._places, strict=True):
            if not column.per_step:
                out = self._out(column.name, column.dtype, (pieces.lines, *column.shape))
                self._copy(out, column, places[row], np.ones(pieces.lines, np.int64), None)
            else:
                out = self._out(column.name, column.dtype, (pieces.lines, steps + column.extra, *column.shape))
                begin, count = places[pieces.row] + pieces.start * column.width, pieces.steps
                if column.extra:
                    count = count.copy()
                    count[lasts] += column.extra
                self._copy(out, column, begin, count, None if is_full else (lasts, steps - lengths))
            found[column.name] = out
        found["mask"] = self._out("mask", np.dtype(bool), (pieces.lines, steps))
        np.less(np.arange(steps), lengths[:, None], out=found["mask"])
        found["start"] = self._out("start", np.dtype(np.int64), (pieces.lines,))
        found["start"][:] = pieces.start[firsts]
        return found

    def _out(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """The output array of this turn; it is made anew where it is too small."""
        buffers = self._buffers[self._turn]
        out = buffers.get(name)
        if out is None or out.shape != shape:
            whole = out if out is None or out.base is None else out.base
            size = prod(shape)
            if whole is None or whole.size < size:
                whole = np.empty(size, dtype)
            out = buffers[name] = whole[:size].reshape(shape)
        return out

    def _copy(
        self,
        out: NDArray[Any],
        column: Column,
        begin: Ints,
        count: Ints,
        missing: tuple[Ints, Ints] | None,
    ) -> None:
        """Fill `out` with stretches of memory, one behind another.

        Args:
            out: contiguous.
            column: what is copied.
            begin: where each stretch begins, in units, `[P]`.
            count: steps of each, `[P]`.
            missing: stretches behind which steps are missing, and how many; None: none is missing anywhere.
        """
        memory, flat = self._everything[column.unit], out.reshape(-1).view(f"u{column.unit}")
        if column.width == 1 and missing is None and len(out) == len(count):  # as many of each
            index = begin[:, None] + np.arange(flat.size // max(1, len(count)))
            np.take(memory, index, out=flat.reshape(index.shape), mode="clip")
            return
        end = begin + count * column.width
        parts = [memory[a:b] for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
        if missing is not None:
            self._pad(parts, missing[0], missing[1] * column.width, flat.dtype)
        if parts:
            np.concatenate(parts, out=flat)

    def _pad(self, parts: list[NDArray[Any]], behind: Ints, lacking: Ints, dtype: np.dtype[Any]) -> None:
        """Put zeros behind parts, `lacking` of them behind each of `behind`."""
        if (most := int(lacking.max(initial=0))) > len(self._zeros):
            self._zeros = np.zeros(most, np.uint64)
        zeros = self._zeros.view(dtype)
        for at, number in zip(behind[::-1].tolist(), lacking[::-1].tolist(), strict=True):
            parts.insert(at + 1, zeros[:number])


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_list(kind) or pa.types.is_list(kind))
