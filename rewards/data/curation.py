"""Curation of preference pairs: what two reward models agree with is kept, what both contradict is turned round.

p is the chance σ(r_chosen − r_rejected) that a model gives to a label. One model is the best so far, the other one was
taught with pairs that people have verified and with no others (gold):

    kept     p_best > c or an annotator agrees, and p_gold > c
    flipped  p_best < 1 − c and p_gold < 1 − c, and no annotator agrees
    dropped  all others

Before that, pairs to be annotated are looked for where the model errs: to each verified pair with chance p of its own
label, the k nearest unverified ones, k_max where p ≤ 1/2, else ⌈k_max (1 − p)⌉.

Source: Skywork-Reward-V2 (Liu et al. 2025), stage 2 and the retrieval of stage 1. c is 1/2 there, and k_max 8; one
threshold for both rules is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.cosines import cosines

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Curated(NamedTuple):
    """What becomes of each pair `[P]`; where it is neither kept nor flipped it is dropped."""

    kept: Mask
    flipped: Mask

    @property
    def soft_labels(self) -> Floats:
        """1 where kept, 0 where flipped, NaN where dropped: as a loss over pairs takes them."""
        return np.select([self.kept, self.flipped], [1.0, 0.0], np.nan)

    @property
    def weights(self) -> Floats:
        """1 for pairs that are used, 0 for those that are dropped."""
        return (self.kept | self.flipped).astype(np.float64)


def consistent(
    best: ArrayLike, gold: ArrayLike, annotated: ArrayLike | None = None, confidence: float = 0.5
) -> Curated:
    """Compare the labels of pairs with what two models, and perhaps an annotator, think of them.

    A model that has no score agrees with nothing and contradicts nothing.

    Args:
        best: p of the best model `[P]`, NaN where NULL.
        gold: p of the model taught with verified pairs alone `[P]`, NaN where NULL.
        annotated: chance of the label by an annotator who saw the pair again `[P]`, above 1/2 where he agrees; NaN
            where nobody was asked.
        confidence: c, in [1/2, 1).

    Raises:
        ValueError: shapes that differ, what is no probability, or a confidence outside [1/2, 1).
    """
    first, second = np.asarray(best, np.float64), np.asarray(gold, np.float64)
    third = np.full(first.shape, np.nan) if annotated is None else np.asarray(annotated, np.float64)
    if first.ndim != 1 or not first.shape == second.shape == third.shape:
        raise ValueError(f"got shapes {first.shape}, {second.shape} and {third.shape}; expected one chance a pair, [P]")
    if any(((chance < 0) | (chance > 1)).any() for chance in (first, second, third)):
        raise ValueError("got what is no probability; expected σ(r_chosen − r_rejected), not the scores themselves")
    if not 0.5 <= confidence < 1:
        raise ValueError(f"got confidence={confidence}; expected 0.5 or more, and below 1")
    agrees = third > 0.5
    kept = ((first > confidence) | agrees) & (second > confidence)
    contradicted = (first < 1 - confidence) & (second < 1 - confidence) & ~agrees
    return Curated(kept, contradicted)


def retrieval_counts(chances: ArrayLike, most: int = 8) -> Ints:
    """How many to look for near each verified pair `[G]`: k_max where the model errs, fewer the surer it is.

    Args:
        chances: p of the verified labels `[G]`.
        most: k_max, at least 1.

    Raises:
        ValueError: what is no probability (NaN is none), or k_max below 1.
    """
    p = np.asarray(chances, np.float64)
    if not ((p >= 0) & (p <= 1)).all() or most < 1:
        raise ValueError(f"got most={most} and chances; expected at least 1, and probabilities: leave NULLs out")
    return np.where(p <= 0.5, most, np.ceil(most * (1 - p))).astype(np.int64)


def retrieved(queries: ArrayLike, pool: ArrayLike, counts: ArrayLike, taken: ArrayLike | None = None) -> Ints:
    """Places in the pool of what is most like the queries, by cosine; each once, in order `[K]`.

    Args:
        queries: embeddings of verified pairs `[G, D]`.
        pool: of unverified ones `[N, D]`.
        counts: how many for each query `[G]`.
        taken: which of the pool are not to be had any more `[N]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    asked, offered, k = np.asarray(queries, np.float64), np.asarray(pool, np.float64), np.asarray(counts, np.int64)
    gone = np.zeros(len(offered), np.bool_) if taken is None else np.asarray(taken, np.bool_)
    fits = asked.ndim == offered.ndim == 2 and asked.shape[1] == offered.shape[1]
    if not fits or k.shape != (len(asked),) or gone.shape != (len(offered),):
        raise ValueError(
            f"got shapes {asked.shape}, {offered.shape}, {k.shape} and {gone.shape}; expected [G, D], [N, D], [G], [N]"
        )
    free = np.flatnonzero(~gone)
    likeness = cosines(asked, offered[free])
    nearest = np.argsort(-likeness, axis=1, kind="stable")
    return np.unique(free[nearest[np.arange(len(free)) < k[:, None]]])
