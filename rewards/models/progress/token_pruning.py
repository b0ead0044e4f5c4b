"""Which patches of the frames of a recording are worth reading: those that changed, and those that are no background.

Recordings of screens repeat themselves: large areas have one colour, and most of a frame is the frame before. What
decides between success and failure is small and sudden.

Source: ExeVRM, Video-Based Reward Modeling for Computer-Use Agents (spatiotemporal token pruning). Its temporal bound
is a cosine of 0.9999, and its uniform regions have more than 10 patches; distances for both are chosen here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def changed(tokens: ArrayLike, threshold: float = 0.0) -> Mask:
    """Which patches differ from themselves a frame before by more than `threshold`; at first, all `[..., T, P]`.

    With 0, only those are left out that did not change at all.

    Args:
        tokens: features of patches `[..., T, P, d]`.
        threshold: of the distance.

    Raises:
        ValueError: another shape, or a threshold below 0.
    """
    seen = _seen(tokens, 3, threshold)
    moved = np.linalg.norm(np.diff(seen, axis=-3), axis=-1) > threshold
    return np.concatenate([np.ones_like(seen[..., :1, :, 0], np.bool_), moved], axis=-2)


def distinct(tokens: ArrayLike, threshold: float = 0.0, largest: int = 10) -> Mask:
    """Which patches are in no uniform region of more than `largest` patches `[..., H, W]`.

    Patches side by side, or one above the other, are of one region where they differ by at most `threshold`.

    Args:
        tokens: features of patches, in their places `[..., H, W, d]`.
        threshold: of the distance.
        largest: patches of a region that is kept.

    Raises:
        ValueError: another shape, or a threshold below 0.
    """
    seen = _seen(tokens, 3, threshold)
    height, width = seen.shape[-3:-1]
    flat = seen.reshape(-1, height, width, seen.shape[-1])
    below = np.linalg.norm(np.diff(flat, axis=1), axis=-1) <= threshold
    beside = np.linalg.norm(np.diff(flat, axis=2), axis=-1) <= threshold
    region = np.broadcast_to(np.arange(height * width).reshape(height, width), flat.shape[:3]).copy()
    while True:  # the least number of a region spreads over it
        before = region.copy()
        for one, other, joined in (
            (region[:, :-1], region[:, 1:], below),
            (region[:, :, :-1], region[:, :, 1:], beside),
        ):
            least = np.minimum(one, other)
            np.minimum(one, least, out=one, where=joined)  # a patch that is in both keeps the smaller number
            np.minimum(other, least, out=other, where=joined)
        if (region == before).all():
            break
    numbers = region.reshape(len(flat), -1) + np.arange(len(flat))[:, None] * height * width
    size = np.bincount(numbers.ravel(), minlength=numbers.size)[numbers]
    found: Mask = (size <= largest).reshape(seen.shape[:-1])
    return found


def _seen(tokens: ArrayLike, dimensions: int, threshold: float) -> Floats:
    seen = np.asarray(tokens, np.float64)
    if seen.ndim < dimensions or threshold < 0:
        raise ValueError(
            f"got tokens {seen.shape} and threshold={threshold}; expected {dimensions} dimensions at least, the last "
            "of features, and 0 or more"
        )
    return seen
