"""Preferences by principles that are drawn: which of two answers is better depends on what is asked for.

A judge scores each pair under each principle, in both orders. Then a few principles are drawn for each pair, some of
them negated, and the one under which the answers lie furthest apart decides:

    s_k = mean of both orders / var_k, 0 where they contradict each other
    the first answer is better  ⟺  σ_k s_k > 0,  k = argmax |s_k| over the drawn ones,  σ_k = −1 where k is negated

So any set of principles has its preferences, and a reward model that is to know them all has to read the principles.

Source: SALMON, Self-Alignment with Principle-Following Reward Models (Sun et al. 2023). The variance, one principle or
more with chance 0.8 of each further one, up to eight, and every other one negated are those of the released code, which
also turns a tenth of the labels round; that is left to the caller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Decided(NamedTuple):
    """What becomes of each pair.

    Attributes:
        first: 1 where the first answer is better, 0 where the second is, NaN where no principle decides `[N]`.
        by: number of the principle that decided, −1 where none did `[N]`.
    """

    first: Floats
    by: Ints


def both_orders(forward: ArrayLike, backward: ArrayLike) -> Floats:
    """Scores of pairs under principles, free of a taste for places, on a scale on which principles can be compared.

    Args:
        forward: log-odds that the first answer is better by each principle, asked in this order `[N, K]`; NaN: NULL.
        backward: the same, asked in the other order and turned back `[N, K]`.

    Returns:
        `[N, K]`; NaN where either order is NULL.

    Raises:
        ValueError: shapes that do not fit.
    """
    one, other = np.asarray(forward, np.float64), np.asarray(backward, np.float64)
    if one.ndim != 2 or one.shape != other.shape:
        raise ValueError(f"got scores {one.shape} and {other.shape}; expected [N, K] twice")
    both = np.concatenate([one, other])
    known = ~np.isnan(both)
    count = np.maximum(known.sum(0), 1)
    apart = np.where(known, both - np.where(known, both, 0.0).sum(0) / count, 0.0)
    variance = (apart**2).sum(0) / count
    means = np.where(one * other < 0, 0.0, (one + other) / 2)
    found: Floats = means / np.where(variance > 0, variance, 1.0)
    return found


def drawn(random: np.random.Generator, number: int, principles: int, stop: float = 0.2, most: int = 8) -> Ints:
    """Principles for each of N pairs: 1, −1 where it is negated, 0 where it is not drawn, `[N, K]`.

    Args:
        random: source of chance.
        number: N, of pairs.
        principles: K, that there are.
        stop: chance to stop after each one; how many there are is geometric, up to the bound.
        most: bound on how many are drawn.

    Raises:
        ValueError: a chance outside (0, 1], or nothing to draw.
    """
    if not 0 < stop <= 1 or min(principles, most) < 1:
        raise ValueError(f"got stop={stop}, {principles} principles and most={most}; expected (0, 1], and 1 or more")
    sizes = np.arange(1, min(principles, most) + 1)
    chances = (1 - stop) ** (sizes - 1)
    size = random.choice(sizes, number, p=chances / chances.sum())
    place = random.random((number, principles)).argsort(axis=1).argsort(axis=1)
    signs = np.where(random.random((number, principles)) < 0.5, -1, 1)
    return np.where(place < size[:, None], signs, 0)


def decided(scores: ArrayLike, signs: ArrayLike) -> Decided:
    """Let the drawn principle with the largest score decide each pair; of equals, the one with the lowest number.

    Args:
        scores: of the first answer over the second by each principle `[N, K]`; a NULL (NaN) decides nothing.
        signs: as `drawn` gives them `[N, K]`.

    Raises:
        ValueError: shapes that do not fit, or signs other than −1, 0 and 1.
    """
    by, sign = np.asarray(scores, np.float64), np.asarray(signs, np.int64)
    if by.ndim != 2 or by.shape != sign.shape or not np.isin(sign, (-1, 0, 1)).all():
        raise ValueError(f"got scores {by.shape} and signs {sign.shape}; expected [N, K] twice, signs of −1, 0 and 1")
    if not by.shape[1]:
        raise ValueError("got no principles; expected one or more")
    signed = np.where(np.isnan(by), 0.0, by) * sign
    rows, largest = np.arange(len(by)), np.abs(signed).argmax(axis=1)
    value = signed[rows, largest]
    return Decided(np.where(value != 0, value > 0, np.nan), np.where(value != 0, largest, -1))
