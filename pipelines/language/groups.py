"""`GroupReport`: what an engine says of one group of answers, beside its rows; and which prompt a group answers.

Groups are numbered from 0 for the whole run. The number alone decides the prompt and the chance of every member, so
that a group is the same whoever plays it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

SHUFFLED_UP_TO = 2**20  # longer lists of prompts are random already, and are taken as they come


@dataclass(frozen=True)
class GroupReport:
    """One group, in short.

    Attributes:
        key: `(actor, epoch, sequence)` of its insert.
        group: its number.
        prompt_id: of its prompt.
        row_ids: of its members.
        policy_version: the oldest that wrote a token of it.
        newest_version: the newest that did.
        tokens: that the policy wrote.
        turns: of all members.
        finishes: members by how they ended.
        seconds: that the rollout took, its share of the call.
    """

    key: tuple[int, int, int]
    group: int
    prompt_id: str
    row_ids: tuple[str, ...]
    policy_version: int
    newest_version: int
    tokens: int
    turns: int
    finishes: Mapping[str, int]
    seconds: float = 0.0

    def to_plain(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> GroupReport:
        """What `to_plain` gave."""
        actor, epoch, sequence = plain["key"]
        return cls(**{**plain, "key": (actor, epoch, sequence), "row_ids": tuple(plain["row_ids"])})


class PromptOrder:
    """Which prompt each group answers: all of them in a random order, then all of them in another."""

    def __init__(self, prompts: int, seed: int) -> None:
        """An order of `prompts` prompts.

        Raises:
            ValueError: there are none.
        """
        if prompts < 1:
            raise ValueError("got no prompts; expected at least one: look at the task's data and its split")
        self._prompts, self._seed = prompts, seed
        self._round, self._order = -1, np.zeros(0, np.int64)

    def __call__(self, group: int) -> int:
        """Index of the prompt of a group."""
        number, place = divmod(group, self._prompts)
        if self._prompts > SHUFFLED_UP_TO:
            return place
        if number != self._round:
            self._round = number
            self._order = np.random.default_rng([self._seed, number]).permutation(self._prompts)
        return int(self._order[place])


def together(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Rows of several groups as one batch."""
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def of_groups(rows: pa.RecordBatch, reports: Sequence[GroupReport]) -> list[pa.RecordBatch]:
    """The rows of each group, without a copy, out of a batch in which they follow each other.

    Raises:
        ValueError: there are not as many rows as the groups have members.
    """
    sizes = [len(report.row_ids) for report in reports]
    if rows.num_rows != sum(sizes):
        raise ValueError(f"got {rows.num_rows} rows of {len(reports)} groups; expected {sum(sizes)}")
    return [rows.slice(end - size, size) for size, end in zip(sizes, accumulate(sizes), strict=True)]


def in_order(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Rows of whole groups by group number and member: sums of floats depend on the order, and draws come in any."""
    return pa.Table.from_batches(batches).sort_by([("group_id", "ascending"), ("member", "ascending")])
