"""Data kept or left out by what a reward model says of it, and pairs left out that would teach it to like length.

Samples for supervised learning that a reward model scores lowest are often empty, off the subject or made up.

Source: InternLM-XComposer2.5-Reward (Zang et al. 2025); a share of the scores as the bound, and a ratio as what is much
longer, are chosen here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mask = NDArray[np.bool_]


def lowest(scores: ArrayLike, share: float = 0.1) -> Mask:
    """Which samples are among the lowest share `[N]`; of equals the later ones stay.

    Only the order of scores counts, so that their zero and their scale are of no matter. NULL is not low: what has no
    score is never among them.

    Args:
        scores: `[N]`, NaN where NULL.
        share: of the scores that are known, rounded down.

    Raises:
        ValueError: scores that are not one a sample, or a share outside [0, 1].
    """
    given = np.asarray(scores, np.float64)
    if given.ndim != 1 or not 0 <= share <= 1:
        raise ValueError(f"got scores of shape {given.shape} and share={share}; expected [N] and a share in [0, 1]")
    known = int((~np.isnan(given)).sum())
    found = np.zeros(len(given), np.bool_)
    count = int(share * known + 1e-9)  # 0.29 of 100 is 28.999…
    found[np.argsort(given, kind="stable")[:count]] = True  # NaN stands last
    return found


def length_balanced(chosen: ArrayLike, rejected: ArrayLike, ratio: float = 2.0) -> Mask:
    """Which pairs stay `[P]`: those whose chosen answer is at most `ratio` times as long as the rejected one.

    Args:
        chosen: lengths of the chosen answers `[P]`, at least 0.
        rejected: of the others `[P]`.
        ratio: above which a chosen answer may have been chosen for its length, at least 1.

    Raises:
        ValueError: shapes that differ, a length below 0 or NaN, or a ratio below 1.
    """
    one, other = np.asarray(chosen, np.float64), np.asarray(rejected, np.float64)
    if one.shape != other.shape or not (one >= 0).all() or not (other >= 0).all() or not ratio >= 1:
        raise ValueError(
            f"got lengths of shapes {one.shape} and {other.shape} and ratio={ratio}; expected as many lengths of at "
            "least 0, and a ratio of at least 1"
        )
    found: Mask = one <= ratio * other
    return found
