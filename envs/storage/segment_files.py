"""How the files of a segment are called, and which a directory holds. Names are numbers, never text from a file."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

MANIFEST, INDEX, DELETED = "manifest.json", "index", "deleted"

_NAME = re.compile(r"(\d{6,})(?:-(\d+)\.arrow|\.(index|manifest\.json|dead|deleted))(\.partial)?")


def data_path(directory: Path, number: int, generation: int) -> Path:
    """The batches: an Arrow IPC file, or the beginning of one. Each compaction makes a new generation."""
    return directory / f"{number:06d}-{generation}.arrow"


def index_path(directory: Path, number: int) -> Path:
    """Where each batch lies, while the segment is written."""
    return directory / f"{number:06d}.index"


def manifest_path(directory: Path, number: int) -> Path:
    """Where each batch lies, from when the segment is sealed."""
    return directory / f"{number:06d}.manifest.json"


def dead_path(directory: Path, number: int) -> Path:
    """Which batches are no longer needed."""
    return directory / f"{number:06d}.dead"


def deleted_path(directory: Path, number: int) -> Path:
    """The manifest of a segment whose deletion has begun."""
    return directory / f"{number:06d}.deleted"


def is_final(name: str, beside: Collection[str]) -> bool:
    """Whether a file of a directory with these names is never written to again: a manifest, a sealed segment."""
    match = _NAME.fullmatch(name)
    if match is None or match[4]:
        return False
    return match[3] == MANIFEST or (match[2] is not None and f"{match[1]}.{MANIFEST}" in beside)


@dataclass
class SegmentFiles:
    """What a directory holds of one segment.

    Attributes:
        generations: of the files with batches.
        kinds: of the others: `index`, `manifest.json`, `dead`, `deleted`.
        partial: files that were being written when a crash came.
    """

    generations: set[int] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    partial: set[Path] = field(default_factory=set)


def list_segments(directory: Path) -> dict[int, SegmentFiles]:
    """The segments of a directory by number, in ascending order; what is called otherwise is not the store's."""
    found: dict[int, SegmentFiles] = {}
    for name in os.listdir(directory):
        match = _NAME.fullmatch(name)
        if match is None or match[1] != f"{int(match[1]):06d}":
            continue
        files = found.setdefault(int(match[1]), SegmentFiles())
        if match[4]:
            files.partial.add(directory / name)
        elif match[2]:
            files.generations.add(int(match[2]))
        else:
            files.kinds.add(match[3])
    return dict(sorted(found.items()))
