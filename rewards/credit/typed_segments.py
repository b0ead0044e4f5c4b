"""Rewards of segments by the type of error, paid where each segment ends.

    r_t = Σ_k w_k Σ_j 1[t = end_j] R_k(segment_j)

A classifier for each type of error, such as things that are not there, wrong attributes, wrong relations, reads every
segment. R_k is its log-odds that the segment is free of that error, or 1 and −1. One segment and one type are the
ordinary reward of a sequence.

Source: FGAIF, Aligning Large Vision-Language Models with Fine-grained AI Feedback (Jing and Du 2024). Which of the two
values R_k has is not known here; a KL to a reference is left to whoever has one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def verdicts(log_odds: ArrayLike) -> Floats:
    """1 where a segment is rather free of an error, −1 where it rather has it, 0 at a tie; NULL (NaN) stays NULL.

    Args:
        log_odds: log P(no error) − log P(error), of any shape.
    """
    return np.sign(np.asarray(log_odds, np.float64))


def segment_rewards(scores: ArrayLike, ends: ArrayLike, weights: ArrayLike, length: int) -> Floats:
    """The reward of each token `[B, length]`; 0 where no segment ends, NaN where a score of the one that does is NULL.

    Args:
        scores: R_k of each segment and type of error `[B, S, K]`.
        ends: place of the last token of each segment `[B, S]`; negative where there is no such segment.
        weights: w_k `[K]`.
        length: T, tokens of a sequence.

    Raises:
        ValueError: shapes that do not fit, or a segment that ends behind the last token.
    """
    told, last, share = np.asarray(scores, np.float64), np.asarray(ends, np.int64), np.asarray(weights, np.float64)
    if told.ndim != 3 or last.shape != told.shape[:2] or share.shape != told.shape[2:]:
        raise ValueError(
            f"got scores {told.shape}, ends {last.shape} and weights {share.shape}; expected [B, S, K], [B, S] and [K]"
        )
    if last.max(initial=-1) >= length:
        raise ValueError(f"got a segment that ends at {last.max()}; expected places below {length}")
    row, segment = np.nonzero(last >= 0)
    found = np.zeros((len(told), length))
    np.add.at(found, (row, last[row, segment]), told[row, segment] @ share)
    return found
