"""`Config`: what a replay keeps, what it gives, and for how long."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from envs.storage.store import Config as StoreConfig
from learners.replay.limiter import Config as LimiterConfig


class Config(BaseModel):
    """Settings of a replay; as they stand, a queue of fragments from which each is taken once.

    Attributes:
        unit: what one item is: all rows of an insert, a row (a trajectory), a window of `length` steps of an episode,
            or all `group_size` rows that share the column `group_id`.
        length: steps of a window (unit `sequence`).
        stride: steps between the beginnings of two windows; None: `length`, so that they do not overlap.
        group_size: rows of a whole group (unit `group`).
        sampler: which items come next: `fifo`, `lifo`, `uniform`, `prioritised`.
        alpha: how much priorities count (Schaul et al. 2016, eq. 1).
        max_times_sampled: how often an item may be sampled; None: any number of times.
        remover: which items make room: `fifo`, `lowest_priority`, `most_sampled`.
        capacity: items that may wait to be sampled; for one more, one goes.
        capacity_rows: rows that may wait; None: any.
        capacity_bytes: bytes of rows that may wait; None: any. What is held for a rewind comes on top of all three.
        max_staleness: policy versions that an item may be behind the learner when it is sampled; those that are
            further behind are dropped. None: any.
        limiter: samples for each insert.
        keep_mb: MiB of rows that stay on disk, the newest, when nothing needs them any more: for whoever looks at a run
            or judges it anew. They are in no count but those of what they became.
        rewindable: samples that can be given once more at most; the oldest beyond them is released by itself. None:
            all, until `release`. What they refer to is kept for as long.
        steps_column: list column whose length is the number of steps of a row.
        store: how rows are kept on disk, and how durable decisions are.
        seed: of chance.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Literal["fragment", "row", "sequence", "group"] = "fragment"
    length: int | None = Field(None, ge=1)
    stride: int | None = Field(None, ge=1)
    group_size: int | None = Field(None, ge=1)
    sampler: Literal["fifo", "lifo", "uniform", "prioritised"] = "fifo"
    alpha: float = Field(0.6, ge=0)
    max_times_sampled: int | None = Field(1, ge=1)
    remover: Literal["fifo", "lowest_priority", "most_sampled"] = "fifo"
    capacity: int = Field(256, ge=1)
    capacity_rows: int | None = Field(None, ge=1)
    capacity_bytes: int | None = Field(None, ge=1)
    max_staleness: int | None = Field(None, ge=0)
    limiter: LimiterConfig = LimiterConfig()
    keep_mb: int = Field(0, ge=0)
    rewindable: int | None = Field(None, ge=1)
    steps_column: str = "action"
    store: StoreConfig = StoreConfig()
    seed: int = Field(0, ge=0)

    @property
    def may_repeat(self) -> bool:
        """Whether an item may be in a sample more than once, so that a sample may have more items than there are."""
        return self.max_times_sampled is None and self.sampler in ("uniform", "prioritised")

    @model_validator(mode="after")
    def _fits(self) -> Config:
        for unit, name in (("sequence", "length"), ("group", "group_size")):
            if (self.unit == unit) != (getattr(self, name) is not None):
                raise ValueError(
                    f"got unit {self.unit} with {name} {getattr(self, name)}; expected {name} for unit {unit} alone"
                )
        if self.stride is not None and (self.length is None or self.stride > self.length):
            raise ValueError(f"got stride {self.stride} with length {self.length}; expected at most the length")
        return self
