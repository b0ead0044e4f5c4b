"""How well defects of trajectories are found: whether, of what kind, and when.

    score = mean of (detection, category, IoU of spans, 1 − distance of spans)

A span is its first and its last step, both in it; −1 and −1 are none. What was called sound is named no kind and has no
span, so that a miss costs in all four.

Source: DeeptraceReward (Fu et al. 2025), which scores detection, explanation, region and time. That a category stands
for the explanation, the distance below, and that all count the same are chosen here; there are no regions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Localisation(NamedTuple):
    """How well defects were found.

    Attributes:
        detection: share of trajectories that are rightly called sound or defective.
        category: share of the defective ones whose kind is named.
        iou: mean over those whose span is known.
        distance: mean over the same.
        score: mean of the first three and 1 − distance.
    """

    detection: float
    category: float
    iou: float
    distance: float
    score: float


def span_iou(found: ArrayLike, annotated: ArrayLike) -> Floats:
    """Steps in both spans, as a share of those in one of them `[N]`; NaN where no span is annotated.

    Args:
        found: first and last step `[N, 2]`.
        annotated: likewise.

    Raises:
        ValueError: other shapes, or a span that ends before it begins.
    """
    ours, theirs = _spans(found, annotated)
    overlap = np.maximum(np.minimum(ours[:, 1], theirs[:, 1]) - np.maximum(ours[:, 0], theirs[:, 0]) + 1, 0)
    size = [np.where(one[:, 0] >= 0, one[:, 1] - one[:, 0] + 1, 0) for one in (ours, theirs)]
    known = theirs[:, 0] >= 0
    return np.where(known, overlap / np.maximum(size[0] + size[1] - overlap, 1), np.nan)


def span_distance(found: ArrayLike, annotated: ArrayLike, length: int) -> Floats:
    """How far onset and offset are off on average, as a share of the trajectory `[N]`.

    1 where nothing was found, NaN where no span is annotated.

    Args:
        found: first and last step `[N, 2]`.
        annotated: likewise.
        length: T, steps of a trajectory.

    Raises:
        ValueError: other shapes, a span that ends before it begins, or one that ends behind the last step.
    """
    ours, theirs = _spans(found, annotated)
    if max(ours.max(initial=-1), theirs.max(initial=-1)) >= length:
        raise ValueError(f"got a span that ends behind the last of {length} steps; expected places below {length}")
    far = np.abs(ours - theirs).mean(1) / length
    return np.where(theirs[:, 0] >= 0, np.where(ours[:, 0] >= 0, far, 1.0), np.nan)


def localisation(
    found_kind: ArrayLike, found: ArrayLike, kind: ArrayLike, annotated: ArrayLike, length: int
) -> Localisation:
    """Whether, what and when, of one model.

    Args:
        found_kind: 0 for sound, else a kind `[N]`.
        found: spans `[N, 2]`.
        kind: what is annotated `[N]`.
        annotated: spans `[N, 2]`; −1 and −1 where sound, or where nobody knows.
        length: T.

    Raises:
        ValueError: shapes that do not fit, or no defective trajectory whose span is known.
    """
    said, true = np.asarray(found_kind, np.int64), np.asarray(kind, np.int64)
    overlap, far = span_iou(found, annotated), span_distance(found, annotated, length)
    known = (true > 0) & ~np.isnan(overlap) if true.shape == said.shape == overlap.shape else np.zeros(0, np.bool_)
    if not known.any():
        raise ValueError(
            f"got kinds {said.shape} and {true.shape} of {len(overlap)} spans; expected as many of each, and a "
            "defective trajectory with a span among them"
        )
    detection = float(((said > 0) == (true > 0)).mean())
    category = float((said == true)[true > 0].mean())
    iou, distance = float(overlap[known].mean()), float(far[known].mean())
    return Localisation(detection, category, iou, distance, (detection + category + iou + 1 - distance) / 4)


def _spans(found: ArrayLike, annotated: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ours, theirs = np.asarray(found, np.int64), np.asarray(annotated, np.int64)
    if ours.shape != theirs.shape or ours.ndim != 2 or ours.shape[1] != 2:
        raise ValueError(f"got spans {ours.shape} and {theirs.shape}; expected [N, 2] for both")
    if any((one[:, 1] < one[:, 0]).any() for one in (ours, theirs)):
        raise ValueError("got a span that ends before it begins; expected its first step, then its last")
    return ours, theirs
