"""Steps of a demonstration without labels: where it falls apart into stretches that look alike within.

    min over boundaries of Σ_segments Σ_t ‖f_t − mean of its segment‖²

Source: Unsupervised Perceptual Rewards for Imitation Learning (Sermanet, Xu and Levine 2016), which splits recursively
by the mean standard deviation within segments; that the sum of squares is minimised exactly, by dynamic programming,
and that of equally good splits the most even one is taken, is chosen here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ROUNDING = 1e-12
"""Share of the squared size of features below which a spread is rounding."""
EVEN = 1e-9
"""What evenness counts beside the spread: it decides between equals."""


def step_boundaries(features: ArrayLike, steps: int, shortest: int = 1) -> Ints:
    """The first frame of each segment, and the number of frames at last `[steps + 1]`.

    Args:
        features: of the frames of one demonstration `[T, d]`.
        steps: segments.
        shortest: frames that each has at least.

    Raises:
        ValueError: features that are no matrix of numbers, or fewer frames than the segments need.
    """
    seen = np.asarray(features, np.float64)
    if seen.ndim != 2 or not np.isfinite(seen).all():
        raise ValueError(f"got features {seen.shape}; expected [T, d], all of them finite")
    if steps < 1 or shortest < 1 or len(seen) < steps * shortest:
        raise ValueError(
            f"got {len(seen)} frames for {steps} steps of {shortest} frames at least; expected more frames, or to ask "
            "for fewer steps"
        )
    price, count = _prices(seen), len(seen)
    best, came = np.full((steps + 1, count + 1), np.inf), np.zeros((steps + 1, count + 1), np.int64)
    best[0, 0] = 0.0
    for number in range(1, steps + 1):
        for end in range(number * shortest, count + 1):
            cost = best[number - 1, : end - shortest + 1] + price[: end - shortest + 1, end]
            came[number, end] = cost.argmin()
            best[number, end] = cost.min()
    found = [count]
    for number in range(steps, 0, -1):
        found.append(int(came[number, found[-1]]))
    return np.array(found[::-1])


def steps_of(boundaries: ArrayLike) -> Ints:
    """The step of each frame `[T]`, of boundaries `[steps + 1]`."""
    first = np.asarray(boundaries, np.int64)
    return np.repeat(np.arange(len(first) - 1), first[1:] - first[:-1])


def _prices(seen: Floats) -> Floats:
    """What a segment from one frame (row) to before another (column) costs `[T + 1, T + 1]`; the rest is not read."""
    count, power = len(seen), float((seen**2).sum())
    centred = seen - seen.mean(0)
    total = np.concatenate([np.zeros((1, seen.shape[1])), centred.cumsum(0)])
    squares = np.concatenate([[0.0], (centred**2).sum(1).cumsum()])
    inner = total @ total.T
    size = np.diagonal(inner)
    frames = np.arange(count + 1)
    length = frames[None, :] - frames[:, None]
    spread = squares[None, :] - squares[:, None] - (size[None, :] + size[:, None] - 2 * inner) / np.maximum(length, 1)
    spread = np.where(spread > ROUNDING * power, spread, 0.0)
    scale = spread[0, count] or 1.0
    found: Floats = spread + EVEN * scale * (length / count) ** 2
    return found
