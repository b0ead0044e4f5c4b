"""Which schemas a store holds, how one is kept, and how two are told apart."""

from __future__ import annotations

import base64

import pyarrow as pa

from envs.storage.errors import StoreForeign


def require_storable(schema: pa.Schema) -> None:
    """Refuse what a batch cannot carry by itself: extension types (they run code on reading) and dictionaries.

    Raises:
        ValueError: names the columns.
    """
    if not len(schema):
        raise ValueError("got a schema without columns; expected at least one")
    offences = [f"{where}: {kind}" for field in schema for where, kind in _unfit(field, field.name)]
    if offences:
        raise ValueError(
            f"got columns that cannot be stored ({'; '.join(offences)}); expected plain Arrow types: "
            "store an extension's storage type, and a dictionary's values"
        )


def _unfit(field: pa.Field, where: str) -> list[tuple[str, str]]:
    kind = field.type
    metadata = field.metadata or {}
    if isinstance(kind, pa.BaseExtensionType) or b"ARROW:extension:name" in metadata:
        return [(where, f"extension type {kind}")]
    if pa.types.is_dictionary(kind):
        return [(where, f"dictionary {kind}")]
    inner = [kind.field(index) for index in range(kind.num_fields)]
    return [found for child in inner for found in _unfit(child, f"{where}.{child.name}")]


def require_same(got: pa.Schema, expected: pa.Schema, what: str) -> None:
    """Refuse drift in names, types, nullability or metadata.

    Args:
        got: of the rows that came.
        expected: of the store.
        what: where they differ in, to begin the message.

    Raises:
        StoreForeign: shows both schemas.
    """
    if not got.equals(expected, check_metadata=True):
        raise StoreForeign(
            f"{what}: got the schema\n{described(got)}\nexpected that of the store\n{described(expected)}\n"
            "use a store of its own for another schema"
        )


def described(schema: pa.Schema) -> str:
    """A schema in full, one field or metadata entry a line."""
    text: str = schema.to_string(truncate_metadata=False)
    return "\n".join(f"  {line}" for line in text.splitlines())


def to_text(schema: pa.Schema) -> str:
    """The schema as the base64 of its IPC message."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def from_text(text: str) -> pa.Schema:
    """What `to_text` gave."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
