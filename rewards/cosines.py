"""Cosines of embeddings: how alike texts, tokens or pairs are to whatever has embedded them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def cosines(one: ArrayLike, other: ArrayLike) -> Floats:
    """Cosines of all vectors of one set `[N, d]` with all of another `[M, d]`: `[N, M]`; a vector of zeros has 0."""
    found: Floats = _unit(one) @ _unit(other).T
    return np.clip(found, -1.0, 1.0)


def _unit(vectors: ArrayLike) -> Floats:
    x = np.asarray(vectors, np.float64)
    size = np.linalg.norm(x, axis=1, keepdims=True)
    unit: Floats = x / np.where(size > 0, size, 1.0)
    return unit
