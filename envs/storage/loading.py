"""Segments from disk, every byte checked against its checksum. Nothing here writes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from envs.storage.errors import StoreCorrupt, StoreForeign
from envs.storage.files import content_end, crc32, open_file, read_file, read_json
from envs.storage.index import HEADER_BYTES, RECORD_BYTES, Entry, Header, unpack_header, unpack_records
from envs.storage.messages import MAGIC, header
from envs.storage.sealing import FORMAT
from envs.storage.segment import Segment, map_file
from envs.storage.segment_files import (
    DELETED,
    INDEX,
    MANIFEST,
    SegmentFiles,
    data_path,
    deleted_path,
    index_path,
    list_segments,
    manifest_path,
)


@dataclass
class Loaded:
    """What a directory holds.

    Attributes:
        segments: in order.
        capacities: of those that are hot, by number: the size of their data file while it is written.
        leftovers: files of steps that a crash interrupted, of which nothing is needed.
        dropped_bytes: behind the last whole batch of hot segments.
        notes: what a crash cut short, one line each.
    """

    segments: list[Segment] = field(default_factory=list)
    capacities: dict[int, int] = field(default_factory=dict)
    leftovers: list[Path] = field(default_factory=list)
    dropped_bytes: int = 0
    notes: list[str] = field(default_factory=list)


def load(directory: Path, schema: pa.Schema, problems: list[str] | None = None) -> Loaded:
    """All segments of a directory.

    Args:
        directory: of a store.
        schema: of its batches.
        problems: where to note what is wrong, and go on; None: raise it.

    Raises:
        StoreCorrupt: a file is missing, or is not what was written.
        StoreForeign: a segment is of a newer version.
        FileNotFoundError: a file was deleted meanwhile, by the store's writer.
    """
    found = Loaded()
    for number, files in list_segments(directory).items():
        try:
            _load_segment(found, directory, schema, number, files)
        except (StoreCorrupt, StoreForeign) as error:
            if problems is None:
                raise
            problems.append(str(error))
    return found


def _load_segment(found: Loaded, directory: Path, schema: pa.Schema, number: int, files: SegmentFiles) -> None:
    found.leftovers += sorted(files.partial)
    datas = {generation: data_path(directory, number, generation) for generation in sorted(files.generations)}
    if DELETED in files.kinds:
        others = [directory / f"{number:06d}.{kind}" for kind in sorted(files.kinds - {DELETED})]
        found.leftovers += [*datas.values(), *others, deleted_path(directory, number)]  # the mark goes last
        return
    if MANIFEST in files.kinds:
        segment = _load_sealed(directory, schema, number)
        found.leftovers += [path for generation, path in datas.items() if generation != segment.generation]
        found.leftovers += [index_path(directory, number)] if INDEX in files.kinds else []
    elif INDEX in files.kinds:
        hot = _load_hot(found, directory, schema, number)
        found.leftovers += [path for generation, path in datas.items() if generation != 0 or hot is None]
        if hot is None:
            found.leftovers.append(index_path(directory, number))
            return
        segment = hot
    else:
        missing = manifest_path(directory, number)
        raise StoreCorrupt(f"{missing}: missing, and so is the index, but other files of segment {number} are there")
    found.notes += segment.load_dead()
    found.segments.append(segment)


def _load_sealed(directory: Path, schema: pa.Schema, number: int) -> Segment:
    path = manifest_path(directory, number)
    manifest = read_json(path)
    if manifest.get("format") != FORMAT:
        raise StoreForeign(f"{path}: got format {manifest.get('format')}; expected {FORMAT}: update this program")
    try:
        generation, size, start = int(manifest["generation"]), int(manifest["bytes"]), int(manifest["start"])
        columns = manifest["columns"]
        entries = [Entry(**dict(zip(columns, values, strict=True))) for values in manifest["batches"]]
        checks, own, writers = (
            (manifest["start_crc32"], manifest["end_crc32"]),
            manifest["segment"],
            manifest["writers"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreCorrupt(f"{path}: not the form of a manifest ({error!r}); restore it from a copy") from error
    if own != number:
        raise StoreCorrupt(f"{path}: got the manifest of segment {own}; expected that of {number}: was it renamed?")
    data = data_path(directory, number, generation)
    try:
        got = _size(data)
    except FileNotFoundError:
        if path.exists() and read_json(path) == manifest:
            raise StoreCorrupt(f"{data}: missing; its manifest expects {size} bytes: restore it from a copy") from None
        raise  # deleted or compacted meanwhile
    if got != size:
        raise StoreCorrupt(f"{data}: got {got} bytes; expected {size}: restore it from a copy")
    buffer = map_file(data, size)
    segment = Segment(directory, schema, number, generation, start, entries, buffer)
    segment.sealed, segment.writers = True, writers
    view = memoryview(buffer)
    if crc32([view[:start]]) != checks[0]:
        raise StoreCorrupt(f"{data}: the first {start} bytes do not match their checksum; restore it from a copy")
    _require_schema(segment)
    end = start
    for index, entry in enumerate(entries):
        if fault := _fault(entry, end, view):
            raise StoreCorrupt(f"{data}: batch {index}: {fault}; restore it from a copy")
        end = entry.end
    if crc32([view[end:]]) != checks[1]:
        raise StoreCorrupt(f"{data}: the footer does not match its checksum; restore it from a copy")
    return segment


def _load_hot(found: Loaded, directory: Path, schema: pa.Schema, number: int) -> Segment | None:
    """The whole batches of a segment that was not sealed; None where its making was interrupted."""
    path, data = index_path(directory, number), data_path(directory, number, 0)
    content = read_file(path)
    about = unpack_header(content)
    records = unpack_records(content)
    synced = max((record[1] for record in records if record is not None), default=0)
    stored = any(record is not None for record in records)
    try:
        descriptor = open_file(data, os.O_RDONLY)
    except FileNotFoundError:
        if not path.exists():
            raise  # sealed meanwhile
        if stored:
            raise StoreCorrupt(f"{data}: missing; its index has batches: restore it from a copy") from None
        found.notes.append(f"{path.name}: the segment was not begun")
        return None
    try:
        size = os.fstat(descriptor).st_size
        first = os.pread(descriptor, about.length, 0) if about else b""
        if about is None or crc32([first]) != about.crc32 or len(first) < about.length:
            begin = about.length if about else len(header(schema))
            if stored or content_end(descriptor, begin) > begin:
                which = data if about else path
                raise StoreCorrupt(f"{which}: its beginning does not match its checksum; restore it from a copy")
            found.notes.append(f"{path.name}: the segment was not begun")
            return None
        if about.number != number:
            raise StoreCorrupt(f"{path}: got the index of segment {about.number}; expected that of {number}")
        buffer = map_file(data, size)
        entries, fault = _whole(about, records, memoryview(buffer))
        if len(entries) < synced:
            raise StoreCorrupt(
                f"{data}: batch {len(entries)} of at least {synced} that were on disk: {fault}; restore it from a copy"
            )
        segment = Segment(directory, schema, number, 0, about.length, entries, buffer)
        _require_schema(segment)
        tail = content_end(descriptor, segment.end) - segment.end
    finally:
        os.close(descriptor)
    rest = len(content) - HEADER_BYTES - RECORD_BYTES * len(entries)
    if tail or rest or size != about.capacity:
        if manifest_path(directory, number).exists():
            raise FileNotFoundError(path)  # sealed meanwhile
        found.dropped_bytes += tail
        found.notes.append(
            f"{data.name}: {len(entries)} whole batches, then {tail} bytes and {rest} of the index that were cut short"
            f"{f' ({fault})' if fault else ''}; {size} of {about.capacity} bytes long"
        )
    found.capacities[number] = about.capacity
    return segment


def _whole(about: Header, records: list[tuple[Entry, int] | None], view: memoryview) -> tuple[list[Entry], str | None]:
    """Entries up to the first that is not whole, and what is wrong with that one."""
    entries: list[Entry] = []
    end = about.length
    for record in records:
        fault = "its record does not match its checksum" if record is None else _fault(record[0], end, view)
        if record is None or fault:
            return entries, fault
        entries.append(record[0])
        end = record[0].end
    return entries, None


def _fault(entry: Entry, begin: int, view: memoryview) -> str | None:
    """What is wrong with a batch, if anything is."""
    if entry.offset != begin or entry.end > len(view):
        return f"bytes {entry.offset} to {entry.end} of {len(view)} do not follow byte {begin}"
    if crc32([view[entry.offset : entry.end]]) != entry.crc32:
        return f"bytes {entry.offset} to {entry.end} do not match their checksum"
    return None


def _require_schema(segment: Segment) -> None:
    try:
        schema = pa.ipc.read_schema(segment.buffer.slice(len(MAGIC), segment.start - len(MAGIC)))
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreCorrupt(f"{segment.path}: no schema at its beginning ({error}); restore it from a copy") from error
    if not schema.equals(segment.schema, check_metadata=True):
        raise StoreCorrupt(f"{segment.path}: its batches have another schema than store.json says; was it copied here?")


def _size(path: Path) -> int:
    descriptor = open_file(path, os.O_RDONLY)
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
