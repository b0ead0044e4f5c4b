"""What a store says of itself: store.json, with the version of the format and the schema."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from envs.storage.errors import StoreCorrupt, StoreForeign
from envs.storage.files import read_json, write_json
from envs.storage.schema import described, from_text, require_storable, to_text

DESCRIPTION = "store.json"
FORMAT, VERSION = "guerdon-store", 1


def describe(directory: Path, schema: pa.Schema) -> None:
    """Make a store of an empty directory; one that is a store already is left alone.

    Raises:
        StoreForeign: it holds other things.
    """
    path = directory / DESCRIPTION
    if os.path.lexists(path):
        return
    others = sorted(set(os.listdir(directory)) - {f"{DESCRIPTION}.partial"})
    if others:
        raise StoreForeign(
            f"{directory}: got a directory with {others[0]!r} and without {DESCRIPTION}; "
            "expected a store, or an empty directory"
        )
    fields = described(schema).splitlines()
    write_json(
        path,
        {"format": FORMAT, "version": VERSION, "fields": [line.strip() for line in fields], "schema": to_text(schema)},
    )


def read_description(directory: Path) -> pa.Schema:
    """The schema of a store.

    Raises:
        StoreForeign: it is no store, or one of a newer version.
        StoreCorrupt: its description is not what was written.
    """
    path = directory / DESCRIPTION
    try:
        value = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        raise StoreForeign(f"{directory}: got no {DESCRIPTION}; expected the directory of a store") from None
    if value.get("format") != FORMAT or value.get("version") != VERSION:
        raise StoreForeign(
            f"{path}: got format {value.get('format')!r}, version {value.get('version')!r}; expected {FORMAT!r}, "
            f"version {VERSION}: a newer version needs a newer program"
        )
    try:
        schema = from_text(value["schema"])
        require_storable(schema)
    except (KeyError, TypeError, ValueError, pa.ArrowInvalid, OSError) as error:
        raise StoreCorrupt(f"{path}: no schema that can be stored ({error}); restore the file from a copy") from error
    return schema
