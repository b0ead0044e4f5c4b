"""Whole numbers that stand for values, so that what is equal or in order is found by one sort, or by none.

NumPy finds equal pairs by sorting records, two hundred times slower than it counts whole numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

DENSE = 4
"""Numbers that spread over at most so many times their count are counted; others are sorted."""


def ordered(values: NDArray[Any]) -> Ints:
    """Whole numbers from 0 to 2^32 - 1 that are in the order of these float32 values `[N]`, and equal where they are.

    The bits of a float, read as a whole number, grow with it; of negative ones they are turned round. No value is NaN.
    """
    bits = (np.asarray(values, np.float32) + np.float32(0.0)).view(np.int32).astype(np.int64)  # -0 is 0
    found: Ints = np.where(bits < 0, -1 - bits, bits + 2**31)
    return found


def numbered(keys: NDArray[Any]) -> Ints:
    """Of each key, how many different ones are smaller `[N]`: 0, 1, … without gaps, in the order of the keys.

    Args:
        keys: whole numbers, or floats without NaN, `[N]`.
    """
    if not len(keys):
        return np.zeros(0, np.int64)
    low, high = keys.min(), keys.max()
    if float(high) - float(low) <= DENSE * len(keys) and _whole(keys):
        place = (keys - low).astype(np.int64)
        seen = np.zeros(int(place.max()) + 1, np.bool_)
        seen[place] = True
        dense: Ints = (np.cumsum(seen) - 1)[place]
        return dense
    order = np.argsort(keys, kind="stable")  # faster than others where much is in order
    new = np.empty(len(keys), np.bool_)
    new[0] = False
    np.not_equal(keys[order[1:]], keys[order[:-1]], out=new[1:])
    found = np.empty(len(keys), np.int64)
    found[order] = np.cumsum(new)
    return found


def _whole(keys: NDArray[Any]) -> bool:
    return keys.dtype.kind in "iu" or bool((keys == np.rint(keys)).all())


def ranks(group: Ints, keys: Ints) -> Ints:
    """Of each, how many of its group come before it `[N]`: by their keys, and of equal keys as they stand.

    Args:
        group: of each `[N]`, from 0 on.
        keys: whole numbers from 0 to 2^33 - 2 `[N]`.
    """
    if not len(group):
        return np.zeros(0, np.int64)
    count = np.bincount(group)
    even = len(count) * int(count.max()) <= DENSE * len(group)  # else one group is large, and many are small
    order = np.argsort(group, kind="stable") if even else np.lexsort((keys, group))
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(group)) - (np.cumsum(count) - count)[group[order]]
    if not even:
        return place
    # A row for each group, sorted by itself; the low bits of a number say where in the row it stood.
    bits = 30
    last = ((2**33 - 1) << bits) + np.arange(int(count.max()))
    grid = np.repeat(last[None], len(count), axis=0)
    grid[group, place] = (keys << bits) + place
    grid.sort(axis=1)
    rank = np.empty_like(grid)
    np.put_along_axis(rank, grid & (2**bits - 1), np.arange(grid.shape[1])[None], axis=1)
    return rank[group, place]


def pairs(one: Ints, two: NDArray[Any]) -> Ints:
    """Of each pair, its number among the different pairs `[N]`: in the order of `one`, then of `two`.

    Args:
        one: whole numbers from 0 on `[N]`.
        two: whole numbers or floats without NaN `[N]`.
    """
    second = numbered(two)
    return numbered(one * (int(second.max(initial=0)) + 1) + second)
