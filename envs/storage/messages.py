"""Batches as Arrow IPC messages: to the bytes of a message and back from bytes on disk, both without a copy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from envs.storage.files import Bytes
from envs.storage.writers import Key

MAGIC = b"ARROW1\0\0"
"""What an Arrow IPC file begins with; a stream follows."""

_SMALL = 2**16  # parts below are joined: a copy costs less than a call of the system


def header(schema: pa.Schema) -> bytes:
    """The first bytes of a segment: the magic and the message of the schema."""
    return MAGIC + bytes(schema.serialize().to_pybytes())


class _Sink:
    """A file, as Arrow writes to one, that keeps the parts instead."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[Bytes] = []
        self.position = 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.position += len(view)
        if len(view) >= _SMALL:
            self.parts.append(view)
        elif self.parts and isinstance(self.parts[-1], bytearray):
            self.parts[-1] += view
        else:
            self.parts.append(bytearray(view))
        return len(view)

    def flush(self) -> None:
        """Nothing to do; Arrow asks for it."""


class Encoder:
    """Turns batches of one schema into messages."""

    def __init__(self, schema: pa.Schema) -> None:
        """Ready to encode."""
        self._sink = _Sink()
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._sink, "w"), schema)
        self._writer.write_batch(pa.RecordBatch.from_pylist([], schema))  # brings the schema out, which is not wanted
        self._sink.parts = []

    def encode(self, batch: pa.RecordBatch, key: Key, meta: Mapping[str, Any]) -> list[Bytes]:
        """The message of a batch, with its key and meta as custom metadata. Large parts share the memory of the batch.

        Raises:
            ValueError: the meta is no JSON.
        """
        try:
            text = json.dumps(meta, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"got meta {meta!r} for {key}; expected plain JSON values ({error})") from error
        try:
            self._writer.write_batch(batch, custom_metadata={"key": json.dumps(key), "meta": text})
            return self._sink.parts
        finally:
            self._sink.parts = []


def decode(message: pa.Buffer, schema: pa.Schema) -> pa.RecordBatch:
    """The batch of a message; its columns are views of it."""
    return pa.ipc.read_record_batch(message, schema)


def decode_all(segment: pa.Buffer) -> Iterator[tuple[pa.RecordBatch, dict[str, Any]]]:
    """All batches of a segment (cut behind the last whole one) and their metas, in order."""
    stream = pa.ipc.open_stream(segment.slice(len(MAGIC)))
    for batch, metadata in stream.iter_batches_with_custom_metadata():
        yield batch, json.loads(metadata["meta"])


def footer(segment: pa.Buffer, schema: pa.Schema) -> list[Bytes] | None:
    """What has to follow the last batch to make a segment an Arrow IPC file.

    Arrow writes the segment once more, to nowhere, and only the footer is kept.

    Args:
        segment: from the magic to the end of the last batch.
        schema: of its batches.

    Returns:
        The footer; None where this version of Arrow lays batches out otherwise than the one that wrote the segment.
    """
    sink = _Sink()
    writer = pa.ipc.new_file(pa.PythonFile(sink, "w"), schema)
    stream = pa.ipc.open_stream(segment.slice(len(MAGIC)))
    for batch, metadata in stream.iter_batches_with_custom_metadata():
        writer.write_batch(batch, custom_metadata=metadata)
        sink.parts = []
    written = sink.position
    writer.close()
    if written == 0:  # without a batch the schema comes with the footer
        start = len(header(schema))
        return [b"".join(sink.parts)[start:]] if start == segment.size else None
    return sink.parts if written == segment.size else None
