"""`RateLimit`: requests and tokens a minute, held across processes by token buckets.

A bucket fills at the rate of its limit, up to what flows in during `burst_s`, and a call takes what it needs. A call
that needs more than a bucket holds goes when the bucket is full, and leaves it in debt: the rate holds on average, and
nobody waits for ever. In any span of time no more is taken than its length times the rate, one burst, and one call.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from rewards.database import open_database, transaction

VERSION = 1
_SCHEMA = "CREATE TABLE bucket (name TEXT PRIMARY KEY, level REAL NOT NULL, filled_at REAL NOT NULL)"


class Config(BaseModel):
    """Limits of a judge; those of a provider are written in its account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    burst_s: float = Field(default=1.0, gt=0, description="seconds' worth of either that may be taken at once")
    file: str | None = Field(default=None, description="SQLite file shared by processes; None: this process only")

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return (self.requests_per_minute, self.tokens_per_minute) != (None, None)


class RateLimit:
    """Two buckets of one judge. Every method is one transaction; the clock is one that all processes share."""

    def __init__(self, config: Config, name: str = "judge", clock: Callable[[], float] = time.time) -> None:
        """Open the buckets; new ones are full.

        Args:
            config: rates.
            name: of the judge in the file.
            clock: seconds; where it runs backwards nothing flows in until it has caught up.

        Raises:
            rewards.database.DatabaseForeign: the file is something else.
        """
        self._clock = clock
        per_minute = {"requests": config.requests_per_minute, "tokens": config.tokens_per_minute}
        self._rates = {f"{name} {unit}": rate / 60 for unit, rate in per_minute.items() if rate is not None}
        self._sizes = {bucket: max(1.0, rate * config.burst_s) for bucket, rate in self._rates.items()}
        self._units = {f"{name} {unit}": place for place, unit in enumerate(per_minute)}
        path = Path(config.file).expanduser() if config.file else None
        self._base = open_database(path, "rate limits", VERSION, _SCHEMA)
        weakref.finalize(self, self._base.close)
        for bucket, size in self._sizes.items():
            self._base.execute("INSERT OR IGNORE INTO bucket VALUES (?, ?, ?)", (bucket, size, clock()))

    def take(self, requests: int, tokens: int) -> float:
        """Take what a call needs from both buckets, or nothing.

        Returns:
            0.0 where it was taken, else the seconds until it is worth asking again.
        """
        wanted = (requests, tokens)
        with transaction(self._base):
            levels = {bucket: self._level(bucket) for bucket in self._rates}
            missing = {
                bucket: min(wanted[self._units[bucket]], self._sizes[bucket]) - level
                for bucket, level in levels.items()
            }
            wait_s = max((lack / self._rates[bucket] for bucket, lack in missing.items()), default=0.0)
            if wait_s > 1e-9:  # less is the rounding of floats
                return wait_s
            for bucket, level in levels.items():
                self._set(bucket, level - wanted[self._units[bucket]])
        return 0.0

    def correct(self, tokens: int) -> None:
        """Give back tokens that were taken and not used; a negative number takes what was used beyond."""
        with transaction(self._base):
            for bucket in self._rates:
                if self._units[bucket] == 1:
                    self._set(bucket, min(self._sizes[bucket], self._level(bucket) + tokens))

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _level(self, bucket: str) -> float:
        """What is in a bucket now."""
        level, filled_at = self._base.execute(
            "SELECT level, filled_at FROM bucket WHERE name = ?", (bucket,)
        ).fetchone()
        inflow = max(0.0, self._clock() - filled_at) * self._rates[bucket]
        return float(min(self._sizes[bucket], level + inflow))

    def _set(self, bucket: str, level: float) -> None:
        # Never earlier than it was: a clock that was put back must not let the same seconds flow in twice.
        self._base.execute(
            "UPDATE bucket SET level = ?, filled_at = max(filled_at, ?) WHERE name = ?", (level, self._clock(), bucket)
        )
