"""The end of a segment's life: a full one is sealed, a half-empty one compacted, an empty one deleted.

Each step leaves files from which the step before or the step itself can be finished, wherever a crash comes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pyarrow as pa

from envs.storage.files import Bytes, crc32, open_file, read_json, sync_directory, sync_file, write_at, write_json
from envs.storage.index import Entry
from envs.storage.messages import Encoder, decode_all, footer, header
from envs.storage.segment import Copy, Segment, map_file
from envs.storage.segment_files import data_path, dead_path, deleted_path, index_path, manifest_path
from envs.storage.writers import Key

FORMAT = 1
"""Of manifests."""


def seal(segment: Segment, descriptor: int, without_dead: bool) -> Copy | None:
    """Make the data file an Arrow IPC file, and put the manifest in the place of the index.

    Args:
        segment: with the table of writers behind its last batch.
        descriptor: of its data file, for writing.
        without_dead: whether to write the live batches alone, to another file.

    Returns:
        That file.

    Raises:
        OSError: the disk is full, or failed; it is still hot, and sealing can be tried again.
    """
    if without_dead:
        copy = compact(segment)
    elif (parts := footer(segment.content, segment.schema)) is None:
        copy = compact(segment, anew=True)
    else:
        copy = None
        size = write_at(descriptor, parts, segment.end)
        os.ftruncate(descriptor, size)
        sync_file(descriptor)
        first = segment.content.slice(0, segment.start)
        _write_manifest(segment, segment.generation, first, segment.entries, size, crc32(parts))
    index_path(segment.directory, segment.number).unlink(missing_ok=True)
    return copy


def compact(segment: Segment, anew: bool = False) -> Copy:
    """Write the segment once more, each dead batch without its rows, so that the live ones keep their positions.

    Where nothing is live, no batch is written, and only the table of writers is left.

    The segment itself goes on with its old file, which is nobody's, until it is given the copy.

    Args:
        segment: to copy.
        anew: whether to have Arrow lay the batches out again.

    Raises:
        OSError: the disk is full; the segment is what it was.
    """
    generation = segment.generation + 1
    while os.path.lexists(path := data_path(segment.directory, segment.number, generation)):
        generation += 1
    entries: list[Entry] = []
    messages = iter(()) if segment.all_dead else _encoded(segment) if anew else _copied(segment)
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        start = end = write_at(descriptor, [header(segment.schema)], 0)
        for entry, message in messages:
            offset, end = end, write_at(descriptor, message, end)
            entries.append(entry._replace(offset=offset, length=end - offset))
        buffer = map_file(path, end)
        parts = footer(buffer, segment.schema)
        if parts is not None:
            size = write_at(descriptor, parts, end)
            sync_file(descriptor)
            _write_manifest(segment, generation, buffer.slice(0, start), entries, size, crc32(parts))
    except BaseException:
        if not _is_current(segment, generation):
            path.unlink()
        raise
    finally:
        os.close(descriptor)
    if parts is None:
        path.unlink()
        if anew:
            raise RuntimeError(f"{path}: Arrow wrote {end} bytes, and another number when asked again")
        return compact(segment, anew=True)
    return Copy(generation, start, entries, buffer)


def _copied(segment: Segment) -> Iterator[tuple[Entry, Sequence[Bytes]]]:
    """What is to be written for each batch: its own bytes, or those of no rows."""
    dead, content = set(segment.dead), memoryview(segment.content)  # more may die meanwhile
    none = Encoder(segment.schema).encode(_no_rows(segment), Key(0, 0, 0), {})
    check = crc32(none)
    for number, entry in enumerate(segment.entries):
        if number in dead:
            yield entry._replace(rows=0, crc32=check), none
        else:
            yield entry, [content[entry.offset : entry.end]]


def _encoded(segment: Segment) -> Iterator[tuple[Entry, Sequence[Bytes]]]:
    """The same, as this version of Arrow lays batches out."""
    dead, nothing, encoder = set(segment.dead), _no_rows(segment), Encoder(segment.schema)
    for number, (entry, (batch, meta)) in enumerate(zip(segment.entries, decode_all(segment.content), strict=True)):
        if number in dead:
            batch, meta = nothing, {}
        message = encoder.encode(batch, entry.key, meta)
        yield entry._replace(rows=batch.num_rows, crc32=crc32(message)), message


def _no_rows(segment: Segment) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], segment.schema)


def delete(segment: Segment) -> None:
    """Delete all files of a sealed segment. From the renaming on it is gone, whatever is left of it."""
    deleted = deleted_path(segment.directory, segment.number)
    os.replace(manifest_path(segment.directory, segment.number), deleted)
    sync_directory(segment.directory)
    for path in segment.directory.glob(f"{segment.number:06d}-*.arrow"):  # also what a compaction left
        path.unlink()
    dead_path(segment.directory, segment.number).unlink(missing_ok=True)
    deleted.unlink()


def _is_current(segment: Segment, generation: int) -> bool:
    """Whether the manifest on disk names this generation: it may, though writing it ended with an error."""
    try:
        return bool(read_json(manifest_path(segment.directory, segment.number))["generation"] == generation)
    except FileNotFoundError:
        return False


def _write_manifest(
    segment: Segment, generation: int, first: pa.Buffer, entries: list[Entry], size: int, end_crc32: int
) -> None:
    write_json(
        manifest_path(segment.directory, segment.number),
        {
            "format": FORMAT,
            "segment": segment.number,
            "generation": generation,
            "bytes": size,
            "start": first.size,
            "start_crc32": crc32([memoryview(first)]),
            "end_crc32": end_crc32,
            "columns": list(Entry._fields),
            "batches": [list(entry) for entry in entries],
            "writers": segment.writers,
        },
    )
