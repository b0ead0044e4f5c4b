"""How well moves point at where a model imagines the way to lead."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def imagined_targets(positions: ArrayLike, displacements: ArrayLike, every: int = 5) -> Floats:
    """Where each step is to lead: p + δ of the step at which was imagined last, `[..., T, d]`.

    Imagined anew every `every` steps, so that a target is pursued for a while and not moved along with the one who
    pursues it. Displacements are in the frame of the positions: rotate those of a robot's own frame first.

    Source: SC-VLA (sparse world imagination; every 5 steps).

    Args:
        positions: before each step `[..., T, d]`.
        displacements: δ that the model imagines at each step `[..., T, d]`.
        every: steps between two imaginations.

    Raises:
        ValueError: shapes that differ, or fewer than one step between imaginations.
    """
    places, moves = np.asarray(positions, np.float64), np.asarray(displacements, np.float64)
    if places.shape != moves.shape or places.ndim < 2 or every < 1:
        raise ValueError(
            f"got positions of shape {places.shape}, displacements of {moves.shape} and {every} steps between; "
            "expected [..., T, d] both, and at least 1"
        )
    asked = np.arange(places.shape[-2]) // every * every
    return (places + moves)[..., asked, :]


def move_cosine(positions: ArrayLike, targets: ArrayLike, least: float = 1e-4) -> Floats:
    """cos(p_{t+1} − p_t, target_t − p_t) `[..., T]`; 0 for who moves less than `least`, or is there already.

    Args:
        positions: before each step and after the last `[..., T + 1, d]`.
        targets: of each step `[..., T, d]`.
        least: length of a move that counts.

    Raises:
        ValueError: shapes that do not fit.
    """
    places, aims = np.asarray(positions, np.float64), np.asarray(targets, np.float64)
    moved = np.diff(places, axis=-2)
    if moved.shape != aims.shape:
        raise ValueError(
            f"got positions of shape {places.shape} for targets of {aims.shape}; "
            "expected [..., T + 1, d] for [..., T, d]"
        )
    wanted = aims - places[..., :-1, :]
    length, distance = np.linalg.norm(moved, axis=-1), np.linalg.norm(wanted, axis=-1)
    counts = (length >= least) & (distance > 0)
    found: Floats = (moved * wanted).sum(-1) / np.where(counts, length * distance, 1.0)
    return np.where(counts, np.clip(found, -1.0, 1.0), 0.0)
