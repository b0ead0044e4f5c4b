"""Lists of a checkpoint that only grow, such as captions and verdicts: what was packed once is not packed again.

A long run has hundreds of thousands of them. Written as JSON, all of them anew, they would hold the run up for seconds
at each checkpoint, and for longer at each next one. As Arrow, piece by piece, only what is new costs work; what was
packed before is copied as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

import pyarrow as pa

from envs.storage.schema import require_storable

T = TypeVar("T")
PAIRS = pa.schema([("key", pa.int64()), ("text", pa.string())], metadata={"rows": "lists"})


class Packed(NamedTuple):
    """Rows as Arrow IPC streams, one behind another."""

    blob: bytes

    def rows(self) -> list[Any]:
        """Each row: a dictionary, or a list where its schema says so.

        Raises:
            ValueError: these are no such streams, or their schema is not one that is stored.
        """
        found: list[Any] = []
        source = pa.BufferReader(self.blob)
        while source.tell() < len(self.blob):
            with pa.ipc.open_stream(source) as stream:
                require_storable(stream.schema)
                lists = (stream.schema.metadata or {}).get(b"rows") == b"lists"
                for batch in stream:
                    columns = (column.to_pylist() for column in batch.columns)
                    found += map(list, zip(*columns, strict=True)) if lists else batch.to_pylist()
        return found


def rows_of(kept: Packed | list[Any]) -> list[Any]:
    """Rows that may have been through a checkpoint, which gives them back as a list."""
    return kept.rows() if isinstance(kept, Packed) else kept


class Growing(Generic[T]):
    """Packs a list of which one knows the beginning already."""

    def __init__(self, pack: Callable[[Sequence[T]], pa.RecordBatch]) -> None:
        """Nothing is packed yet.

        Args:
            pack: rows as a batch, of the same schema each time.
        """
        self._pack, self._count, self._blob = pack, 0, bytearray()

    def packed(self, rows: Collection[T]) -> Packed:
        """All rows; they begin with those of the last time.

        Raises:
            ValueError: there are fewer than the last time.
        """
        if len(rows) < self._count:
            raise ValueError(
                f"got {len(rows)} rows; expected the {self._count} that are packed, and more: pack another list anew"
            )
        if len(rows) > self._count:
            batch = self._pack(list(islice(rows, self._count, None)))
            piece = pa.BufferOutputStream()
            with pa.ipc.new_stream(piece, batch.schema) as stream:
                stream.write_batch(batch)
            self._blob += piece.getvalue()
            self._count = len(rows)
        return Packed(bytes(self._blob))


def pairs(rows: Sequence[tuple[int, str]]) -> pa.RecordBatch:
    """Numbers and their texts as a batch."""
    return pa.record_batch([[number for number, _ in rows], [text for _, text in rows]], schema=PAIRS)
