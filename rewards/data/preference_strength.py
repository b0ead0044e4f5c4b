"""Strength of preferences: what several reward models say of pairs that are labelled already, and labels that heed it.

    d_m = r_m(chosen) − r_m(rejected),   μ = mean_m d_m,   σ = std_m d_m

Models that were taught with the same pairs, each in an order of its own, do not believe a label that most other pairs
speak against: where μ is below 0 it is likely wrong, and near 0 the pair is ambiguous. A label is the chance that the
chosen answer is the better one. μ itself is an adaptive margin of the loss.

Source: Secrets of RLHF in Large Language Models, part II (Wang et al. 2024): equation 4, its flipping and smoothing of
labels. That no label is flipped whose μ is above 0, and σ(μ) as a label, are chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.data.score_filter import lowest

Floats = NDArray[np.float64]


class PreferenceStrength(NamedTuple):
    """Of each pair `[P]`, NaN where no model has scores of both answers.

    Attributes:
        mean: μ.
        deviation: σ, of these models and not of all that there might be.
    """

    mean: Floats
    deviation: Floats


def preference_strength(chosen: ArrayLike, rejected: ArrayLike) -> PreferenceStrength:
    """How sure several models are of each pair.

    Args:
        chosen: scores of the chosen answers `[M, P]`; NaN is NULL, and that model has no say in the pair.
        rejected: of the others `[M, P]`.

    Raises:
        ValueError: shapes that are not both [M, P].
    """
    first, second = np.asarray(chosen, np.float64), np.asarray(rejected, np.float64)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"got scores of shapes {first.shape} and {second.shape}; expected both [models, pairs]")
    apart = first - second
    known = ~np.isnan(apart)
    count = np.where(known.any(0), known.sum(0), np.nan)
    mean: Floats = np.where(known, apart, 0.0).sum(0) / count
    squares = np.where(known, apart - mean, 0.0) ** 2
    return PreferenceStrength(mean, np.sqrt(squares.sum(0) / count))


def flipped(strengths: ArrayLike, share: float = 0.2) -> Floats:
    """Labels `[P]`: 0, the pair turned round, for the lowest share as far as it is below 0; 1 for the others.

    Args:
        strengths: μ `[P]`, NaN where NULL: such a pair keeps its label.
        share: of those that are known, at most.

    Raises:
        ValueError: a share outside [0, 1].
    """
    mean = np.asarray(strengths, np.float64)
    return np.where(lowest(mean, share) & (mean < 0), 0.0, 1.0)


def smoothed(strengths: ArrayLike, smoothing: float = 0.1) -> Floats:
    """Labels `[P]`: 1 − α where μ is below 0, else 1.

    Args:
        strengths: μ `[P]`, NaN where NULL: such a pair keeps its label.
        smoothing: α, in [0, 1/2].

    Raises:
        ValueError: α outside [0, 1/2].
    """
    if not 0 <= smoothing <= 0.5:
        raise ValueError(f"got smoothing={smoothing}; expected 0 to 0.5: more would turn pairs round")
    return np.where(np.asarray(strengths, np.float64) < 0, 1.0 - smoothing, 1.0)


def believed(strengths: ArrayLike) -> Floats:
    """Labels `[P]`: σ(μ), the chance that the models themselves give; NaN where NULL."""
    found: Floats = 0.5 * (1.0 + np.tanh(0.5 * np.asarray(strengths, np.float64)))
    return found
