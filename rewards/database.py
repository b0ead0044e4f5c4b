"""One SQLite file that several processes of a machine share: what caches, budgets and rate limits keep.

SQLite holds what has to hold when a process is killed in the middle: a transaction is there as a whole or not at all.
Writers take turns (`transaction`), readers do not wait for them (write-ahead log). The file must lie on a local disk:
the locks of network file systems are not to be relied on.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_S = 10.0


class DatabaseForeign(ValueError):
    """The file is not ours, or of a version that this code does not know."""


def open_database(path: Path | None, kind: str, version: int, schema: str, busy_s: float = 5.0) -> sqlite3.Connection:
    """Open a file, and make it where it is missing.

    Args:
        path: the file; None keeps all in the memory of this process.
        kind: what it holds, such as "budget"; written into the file.
        version: of the schema.
        schema: the statements that make the tables.
        busy_s: how long a statement waits for other writers.

    Returns:
        A connection without automatic transactions, for one thread at a time.

    Raises:
        DatabaseForeign: something else lies there, or another version.
        sqlite3.DatabaseError: the file is damaged.
        sqlite3.OperationalError: it cannot be opened or written.
    """
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path or ":memory:", timeout=busy_s, isolation_level=None, check_same_thread=False, cached_statements=32
    )
    try:
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        with transaction(connection):
            mark = zlib.crc32(f"guerdon {kind}".encode()) >> 1  # it is stored in 32 bits with a sign
            expected = mark, version
            found = _number(connection, "application_id"), _number(connection, "user_version")
            if found == (0, 0) and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                connection.execute(f"PRAGMA application_id = {mark}")
                connection.execute(f"PRAGMA user_version = {version}")
                for statement in filter(str.strip, schema.split(";")):
                    connection.execute(statement)
            elif found != expected:
                raise DatabaseForeign(
                    f"got {path} with mark and version {found}; expected a {kind} file of {expected}: "
                    "name another file, or move this one away"
                )
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """What is done inside happens as a whole or not at all, and no other writer comes between."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; who comes at the same moment as another is refused without waiting, so try again."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
