"""The end of a segment's life: a full one is sealed, a half-empty one compacted, an empty one deleted.

Each step leaves files from which the step before or the step itself can be finished, wherever a crash comes.
"""

from __future__ import annotations

import os
from contextlib import suppress

import pyarrow as pa

from envs.storage.files import crc32, open_file, read_json, sync_directory, sync_file, write_at, write_json
from envs.storage.index import Entry
from envs.storage.messages import Encoder, decode_all, footer, header
from envs.storage.segment import Copy, Segment, map_file
from envs.storage.segment_files import data_path, dead_path, deleted_path, index_path, manifest_path

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
    copy, parts = None, None if without_dead else footer(segment.content, segment.schema)
    if parts is None:
        copy = compact(segment)
    else:
        size = write_at(descriptor, parts, segment.end)
        os.ftruncate(descriptor, size)
        sync_file(descriptor)
        first = segment.content.slice(0, segment.start)
        _write_manifest(segment, segment.generation, first, segment.entries, size, crc32(parts))
    index_path(segment.directory, segment.number).unlink(missing_ok=True)
    return copy


def compact(segment: Segment) -> Copy:
    """Write the segment anew, each dead batch without its rows, so that the live ones keep their positions.

    The segment itself goes on with its old file, which is deleted, until it is given the copy.

    Raises:
        OSError: the disk is full; the segment is what it was.
    """
    generation = segment.generation + 1
    while os.path.lexists(path := data_path(segment.directory, segment.number, generation)):
        generation += 1
    dead, encoder = set(segment.dead), Encoder(segment.schema)  # more may die meanwhile
    nothing = pa.RecordBatch.from_pylist([], segment.schema)
    entries: list[Entry] = []
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        start = end = write_at(descriptor, [header(segment.schema)], 0)
        for number, (entry, (batch, meta)) in enumerate(zip(segment.entries, decode_all(segment.content), strict=True)):
            if number in dead:
                batch, meta = nothing, {}
            message = encoder.encode(batch, entry.key, meta)
            offset, end = end, write_at(descriptor, message, end)
            entries.append(Entry(offset, end - offset, batch.num_rows, *entry.key, crc32(message)))
        buffer = map_file(path, end)
        parts = footer(buffer, segment.schema)
        if parts is None:
            raise RuntimeError(f"{path}: Arrow wrote {end} bytes, and another number when asked again")
        size = write_at(descriptor, parts, end)
        sync_file(descriptor)
        _write_manifest(segment, generation, buffer.slice(0, start), entries, size, crc32(parts))
    except BaseException:
        if not _is_current(segment, generation):
            path.unlink()
        raise
    finally:
        os.close(descriptor)
    with suppress(OSError):  # it is left over, and the next `Store` removes it
        segment.path.unlink()
    return Copy(generation, start, entries, buffer)


def delete(segment: Segment) -> None:
    """Delete all files of a sealed segment. From the renaming on it is gone, whatever is left of it."""
    deleted = deleted_path(segment.directory, segment.number)
    os.replace(manifest_path(segment.directory, segment.number), deleted)
    sync_directory(segment.directory)
    for path in segment.directory.glob(f"{segment.number:06d}-*.arrow"):  # what a compaction could not remove, too
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
