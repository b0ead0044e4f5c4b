"""ConvexDA: of many rewordings of a text, those at the rim.

Word substitution makes any number of variants that a reward model should score like the original. Most of them lie
between others and add little; the corners of their convex hull reach farthest. So a reward model is trained on these
alone, and not for longer.

Source: Shen et al. 2023, "The Trickle-down Impact of Reward (In-)consistency on RLHF" (arXiv 2309.16155): synonyms for
words of a response, sentence embeddings, brought to two dimensions. That these are the two principal components of a
text's own variants is chosen here.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
STRAIGHT = 1e-8
"""A corner that turns by less is none: coordinates are at most 1."""


def convex_corners(embeddings: ArrayLike) -> list[int]:
    """Which variants of a text are corners of their convex hull in two principal components, in rising order.

    Of variants in the same place the first counts; of variants on a line, the two ends.

    Args:
        embeddings: of the variants, the text itself among them `[M, d]`.

    Raises:
        ValueError: no variant, or not a matrix.
    """
    points = np.asarray(embeddings, np.float64)
    if points.ndim != 2 or not points.size:
        raise ValueError(f"got embeddings {points.shape}; expected [M, d] of one variant or more")
    flat = _flattened(points)
    order = np.lexsort((np.arange(len(flat)), flat[:, 1], flat[:, 0])).tolist()
    distinct = [order[0], *(b for a, b in pairwise(order) if (flat[a] != flat[b]).any())]
    if len(distinct) < 3:
        return sorted(distinct)
    return sorted({*_chain(flat, distinct), *_chain(flat, distinct[::-1])})


def _flattened(points: Floats) -> Floats:
    """The two principal components `[M, 2]`, at most 1; what differs by rounding is in the same place."""
    apart = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(apart, full_matrices=False)
    found = np.zeros((len(points), 2))
    found[:, : len(axes[:2])] = apart @ axes[:2].T
    largest = float(np.abs(found).max()) or 1.0
    flat: Floats = np.round(found / largest, 9)
    return flat


def _chain(points: Floats, order: list[int]) -> list[int]:
    """One half of the hull of points in an order from one side to the other (Andrew 1979)."""
    chain: list[int] = []
    for place in order:
        while len(chain) > 1 and _turn(points[chain[-2]], points[chain[-1]], points[place]) <= STRAIGHT:
            chain.pop()
        chain.append(place)
    return chain


def _turn(a: Floats, b: Floats, c: Floats) -> float:
    """Above 0 where the way from a over b to c turns left."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
