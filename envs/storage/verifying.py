"""`verify`: everything that is wrong with a store, beyond what opening it would stop at."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from envs.storage.description import read_description
from envs.storage.errors import StoreCorrupt, StoreForeign
from envs.storage.loading import load
from envs.storage.messages import decode_all
from envs.storage.segment import Segment


def verify(directory: Path) -> list[str]:
    """Every problem of a store that nobody writes to, in one line each; empty: it is sound.

    Beyond what opening checks, all batches are checked as Arrow: lengths, offsets, text that is UTF-8, and the footer.
    """
    directory, problems = Path(directory), list[str]()
    try:
        schema = read_description(directory)
        found = load(directory, schema, problems)
    except (StoreCorrupt, StoreForeign, OSError) as error:
        return [*problems, str(error)]
    problems += found.notes
    problems += [
        f"{path}: left over by a step that was interrupted; the next writer removes it" for path in found.leftovers
    ]
    for segment in found.segments:
        try:
            if segment.sealed:
                _require_footer(segment)
            for batch, _ in decode_all(segment.content):
                batch.validate(full=True)
        except (pa.ArrowInvalid, ValueError) as error:
            problems.append(f"{segment.path}: no sound Arrow, though its checksums match: {error}")
    return [" ".join(problem.split()) for problem in problems]


def _require_footer(segment: Segment) -> None:
    batches = pa.ipc.open_file(segment.buffer).num_record_batches
    if batches != len(segment.entries):
        raise ValueError(f"the footer has {batches} batches, the manifest {len(segment.entries)}")
