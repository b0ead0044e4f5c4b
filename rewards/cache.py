"""`VerdictCache`: what a judge has said once, it is not asked again: in this run, in another, or in another process.

An answer is found by the judge's fingerprint, which covers all that can change an answer, and the question's subject,
which is a hash of what is asked. Only answers with a value are kept: a failure is worth another try. Each entry carries
a checksum; one that does not fit is deleted and asked anew. A cache that cannot be read or written costs money, and
never the run: its faults are counted, and the question goes to the judge.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import time
import weakref
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rewards.database import open_database, transaction
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status

VERSION = 1
_SCHEMA = """
CREATE TABLE answer (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL,
    checksum INTEGER NOT NULL
)
"""
_PRUNE_EVERY = 1000  # entries written between two looks at the size
_BUSY_S = 1.0  # asking the judge is better than waiting long for the disk


class Config(BaseModel):
    """Where answers are kept, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str | None = Field(default=None, description="SQLite file on a local disk; None: in memory, for this run")
    memory_entries: int = Field(default=100_000, ge=0, description="answers kept in memory, those used last")
    file_entries: int = Field(default=2_000_000, ge=1, description="answers kept in the file, those written last")


@dataclass
class Counts:
    """How the cache did. `corrupt` are entries that did not fit.

    `faults` are reads and writes that the disk refused, and answers that are no JSON.
    """

    memory_hits: int = 0
    file_hits: int = 0
    misses: int = 0
    stored: int = 0
    corrupt: int = 0
    faults: int = 0

    @property
    def hit_rate(self) -> float:
        """Share of look-ups that found an answer; 0 before the first."""
        hits = self.memory_hits + self.file_hits
        return hits / (hits + self.misses) if hits + self.misses else 0.0


class VerdictCache:
    """Answers by judge and question, in memory and in a file that processes may share. For one thread."""

    def __init__(self, config: Config | None = None) -> None:
        """Open the cache; a damaged file is put aside, under a name of its own, and a new one begun.

        Raises:
            rewards.database.DatabaseForeign: the file is no cache of ours, or of another version.
            OSError: its folder cannot be made.
        """
        self.config = config or Config()
        self.counts = Counts()
        self._memory: OrderedDict[bytes, Answer] = OrderedDict()
        self._file: sqlite3.Connection | None = None
        self._written = 0
        if self.config.file is not None:
            path = Path(self.config.file).expanduser()
            try:
                self._file = _opened(path)
            except sqlite3.OperationalError as error:
                raise OSError(f"the verdict cache {path} cannot be opened: {error}; name another cache.file") from error
            except sqlite3.DatabaseError:
                self.counts.corrupt += 1
                with suppress(FileNotFoundError):  # another process was faster
                    os.replace(path, path.with_name(f"{path.name}.damaged-{time.time_ns()}"))
                for ending in ("-wal", "-shm"):  # they belong to the file that was put aside
                    path.with_name(path.name + ending).unlink(missing_ok=True)
                self._file = _opened(path)
            weakref.finalize(self, self._file.close)

    def get(self, fingerprint: str, question: Question) -> Answer | None:
        """What this judge said of this question, if that is known; its latency is 0."""
        key = _key(fingerprint, question)
        if (answer := self._memory.get(key)) is not None:
            self._memory.move_to_end(key)
            self.counts.memory_hits += 1
            return replace(answer, latency_s=0.0)
        if (answer := self._read(key)) is not None:
            self._remember(key, answer)
            self.counts.file_hits += 1
            return answer
        self.counts.misses += 1
        return None

    def put(self, fingerprint: str, answered: Iterable[tuple[Question, Answer]]) -> None:
        """Keep answers of a judge; those without a value are left out. The first one said of a question stays."""
        rows = []
        for question, answer in answered:
            if answer.status is not Status.OK or answer.value is None or not math.isfinite(answer.value):
                continue
            key = _key(fingerprint, question)
            self._remember(key, self._memory.get(key, answer))
            self.counts.stored += 1
            if self._file is not None:
                try:
                    text = json.dumps(
                        {**asdict(answer), "status": answer.status.value, "latency_s": 0.0}, sort_keys=True
                    )
                except (TypeError, ValueError):  # such as numbers of numpy
                    self.counts.faults += 1
                    continue
                rows.append((key, fingerprint, text, _checksum(key, text)))
        if self._file is None or not rows:
            return
        try:
            with transaction(self._file):
                self._file.executemany(
                    "INSERT OR IGNORE INTO answer (key, fingerprint, answer, checksum) VALUES (?, ?, ?, ?)", rows
                )
                self._prune(len(rows))
        except sqlite3.Error:
            self.counts.faults += 1

    def forget(self, fingerprint: str) -> int:
        """Drop every answer of one judge, such as one that was found to be fooled; gives how many the file held."""
        self._memory.clear()  # keys do not tell whose they are; what is dropped too much is read again
        if self._file is None:
            return 0
        with transaction(self._file):
            return self._file.execute("DELETE FROM answer WHERE fingerprint = ?", (fingerprint,)).rowcount

    def __len__(self) -> int:
        """Answers in the file, or in memory where there is no file."""
        if self._file is None:
            return len(self._memory)
        return int(self._file.execute("SELECT count(*) FROM answer").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _remember(self, key: bytes, answer: Answer) -> None:
        self._memory[key] = answer
        self._memory.move_to_end(key)
        while len(self._memory) > self.config.memory_entries:
            self._memory.popitem(last=False)

    def _read(self, key: bytes) -> Answer | None:
        if self._file is None:
            return None
        try:
            row = self._file.execute("SELECT answer, checksum FROM answer WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            text, checksum = row
            if (answer := _answer(text) if checksum == _checksum(key, text) else None) is None:
                self.counts.corrupt += 1
                self._file.execute("DELETE FROM answer WHERE key = ?", (key,))
            return answer
        except sqlite3.Error:
            self.counts.faults += 1
            return None

    def _prune(self, written: int) -> None:
        """Drop the entries written first where there are too many."""
        assert self._file is not None
        self._written += written
        if self._written >= min(_PRUNE_EVERY, self.config.file_entries):
            self._written = 0
            self._file.execute(
                "DELETE FROM answer WHERE id <= (SELECT id FROM answer ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (self.config.file_entries,),
            )


def _opened(path: Path) -> sqlite3.Connection:
    return open_database(path, "verdict cache", VERSION, _SCHEMA, busy_s=_BUSY_S)


def _key(fingerprint: str, question: Question) -> bytes:
    name = "\n".join((fingerprint, question.kind, question.subject))
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def _checksum(key: bytes, text: Any) -> int:
    return zlib.crc32(str(text).encode(), zlib.crc32(key))


def _answer(text: str) -> Answer | None:
    """The answer that was written; None where this version of the code knows another form."""
    try:
        raw = json.loads(text)
        return Answer(**{**raw, "status": Status(raw["status"]), "scores": tuple(raw["scores"])})
    except (ValueError, TypeError, KeyError):
        return None
