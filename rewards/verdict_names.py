"""`Names`: whether a name may have come before, of very many, by 64-bit hashes that are kept sorted.

New names are by far the most frequent, and are sure to be new after a few binary searches, however many there are. Two
names of one hash only cost a closer look. The hash is that of no language: it is computed over Arrow's buffers for all
names at once, without a Python object for each.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that its powers are all different for very long
_END = np.uint64(0xD6E8FEB86659FD93)


def hashes(names: pa.Array) -> Hashes:
    """One number a name, `[N]`: the sum of each byte times a power of a base, modulo 2^64.

    Args:
        names: `[N]` strings, none NULL.
    """
    if not len(names):
        return np.zeros(0, np.uint64)
    _, offsets, data = names.buffers()
    ends = np.frombuffer(offsets, np.int32)[names.offset : names.offset + len(names) + 1].astype(np.int64)
    lengths = np.diff(ends)
    text = np.zeros(0, np.uint64)
    if ends[-1] > ends[0]:
        text = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].astype(np.uint64)
    ends -= ends[0]
    within = np.arange(len(text)) - np.repeat(ends[:-1], lengths)
    powers = _powers(int(lengths.max()).bit_length())
    sums = np.append(np.uint64(0), (text * powers[within]).cumsum(dtype=np.uint64))
    found: Hashes = sums[ends[1:]] - sums[ends[:-1]] + lengths.astype(np.uint64) * _END
    return found


@cache
def _powers(bits: int) -> Hashes:
    """The first 2^bits powers of the base."""
    powers: Hashes = np.cumprod(np.append(np.uint64(1), np.full(2**bits - 1, _BASE)), dtype=np.uint64)
    return powers


class Names:
    """Hashes of all names so far, in a few sorted runs, each more than twice as long as the next."""

    def __init__(self) -> None:
        """None so far."""
        self._runs: list[Hashes] = []

    def add(self, new: Hashes) -> None:
        """Names came."""
        self._runs.append(np.sort(new))
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]), kind="stable")

    def may_have(self, asked: Hashes) -> bool:
        """Whether one of some names may be among them; False is certain."""
        for run in self._runs:
            if len(run) and (run[np.minimum(run.searchsorted(asked), len(run) - 1)] == asked).any():
                return True
        return False
