"""Confidence of a reward model by what its reward rests on: how near an answer is to answers whose labels are known.

    distance_d = min_k ‖h − c_dk‖, to the centroids of what each label of dimension d gathers in the representation

A small distance says that the reward rests on that dimension. Far from the centroids of all of them it rests on
nothing that is known; such rewards may be left out, or count for less: `distances(…).min(1) <= threshold`, with a
quantile of the distances of answers with known labels for a threshold.

Source: Wang et al. 2025, "Probing Preference Representations" (MRMBench, arXiv 2511.12464), inference-time probing.
Chosen here: k-means that starts from far points, and so needs no seed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def centroids(features: ArrayLike, labels: ArrayLike, clusters: int = 1) -> list[Floats]:
    """Of each dimension, the centres of what its labels gather: `clusters` for each label, by k-means.

    Args:
        features: h `[N, d]`.
        labels: by dimension, NaN where nobody knows `[N, D]`.
        clusters: of one label, at most.

    Returns:
        D arrays `[K, d]`.

    Raises:
        ValueError: fewer than one cluster.
    """
    if clusters < 1:
        raise ValueError(f"got clusters={clusters}; expected at least 1")
    h, told = np.asarray(features, np.float64), np.asarray(labels, np.float64)
    groups = [[h[own == label] for label in np.unique(own[~np.isnan(own)])] for own in told.T]
    return [np.concatenate([_means(points, clusters) for points in own]) for own in groups]


def distances(features: ArrayLike, centres: Sequence[Floats]) -> Floats:
    """From each representation to the nearest centroid of each dimension `[B, D]`.

    Args:
        features: h `[B, d]`.
        centres: of each dimension `[K, d]`.
    """
    h = np.asarray(features, np.float64)
    return np.stack([np.linalg.norm(h[:, None] - own, axis=-1).min(axis=1) for own in centres], axis=1)


def _means(points: Floats, clusters: int, rounds: int = 50) -> Floats:
    """Centres of k-means, started from the point nearest to the mean and then from what is farthest `[K, d]`."""
    first = np.linalg.norm(points - points.mean(axis=0), axis=1).argmin()
    centres = points[[first]]
    while len(centres) < clusters:
        apart = np.linalg.norm(points[:, None] - centres, axis=-1).min(axis=1)
        if apart.max() == 0:  # no more different points
            break
        centres = np.concatenate([centres, points[[apart.argmax()]]])
    for _ in range(rounds):
        nearest = np.linalg.norm(points[:, None] - centres, axis=-1).argmin(axis=1)
        moved = np.stack(
            [points[nearest == k].mean(axis=0) if (nearest == k).any() else centres[k] for k in range(len(centres))]
        )
        if np.allclose(moved, centres):
            break
        centres = moved
    return centres
