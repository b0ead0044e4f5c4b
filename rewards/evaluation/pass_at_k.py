"""pass@k: the chance that one of k answers is right, estimated without bias from n answers of which c are.

    pass@k = 1 − C(n − c, k) / C(n, k)

Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code". Best-of-k with an oracle for scores is the
same number (`rewards.evaluation.accuracy.best_of_n`), summed up over answers; here it is of counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def pass_at_k(correct: ArrayLike, samples: ArrayLike, k: int) -> Floats:
    """pass@k of each problem `[P]`; NaN where fewer than k answers were given.

    Args:
        correct: c of each problem `[P]`.
        samples: n of each, or one number for all `[P]`.
        k: answers that are drawn without replacement, at least 1.

    Raises:
        ValueError: k below 1, or more right answers than answers.
    """
    c, n = np.broadcast_arrays(np.asarray(correct, np.int64), np.asarray(samples, np.int64))
    if k < 1 or ((c < 0) | (c > n)).any():
        raise ValueError(f"got k={k} and counts; expected k of at least 1, and right answers from 0 to all of them")
    drawn = np.arange(k)
    wrong, left = (n - c)[..., None] - drawn, n[..., None] - drawn
    none = np.prod(np.clip(wrong, 0, None) / np.maximum(left, 1), axis=-1)
    return np.where(n >= k, 1.0 - none, np.nan)


def pass_at_k_of(right: ArrayLike, k: int) -> float | None:
    """Mean pass@k over problems that have k known answers; None where none has.

    Args:
        right: 1 where an answer is right, 0 where not, NaN where that is not known `[P, N]`.
        k: at least 1.

    Raises:
        ValueError: not `[P, N]`, values that are neither 0 nor 1, or k below 1.
    """
    values = np.asarray(right, np.float64)
    known = ~np.isnan(values)
    if values.ndim != 2 or not np.isin(values[known], (0.0, 1.0)).all():
        raise ValueError(f"got answers of shape {values.shape}; expected [P, N] of 0, 1, and NaN where not known")
    found = pass_at_k(np.where(known, values, 0.0).sum(1), known.sum(1), k)
    return None if np.isnan(found).all() else float(np.nanmean(found))
