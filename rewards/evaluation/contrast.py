"""Contrast instructions: whether a reward model looks at the question as well as at the answer.

Two instructions I and I' that sound alike have different right responses R and R'. A consistent model gives each its
own one:

    C_res = P[r(I, R) > r(I, R')]      C_ins = P[r(I, R) > r(I', R)]      both from either side; chance is ½

A model that looks at the response alone scores R the same under both, so its C_ins is ½.

Source: Shen et al. 2023, "The Trickle-down Impact of Reward (In-)consistency on RLHF" (arXiv 2309.16155); instructions
sound alike where the cosine of their sentence embeddings is between 0.75 and 0.9. A tie counts half, chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rewards.cosines import cosines
from rewards.evaluation.accuracy import Rate, pair_accuracy


@dataclass(frozen=True)
class Contrast:
    """Consistency of a reward model.

    Attributes:
        response: C_res, of the right response to an instruction against that to the other.
        instruction: C_ins, of a response's own instruction against the other.
    """

    response: Rate
    instruction: Rate


def contrast(own: ArrayLike, other: ArrayLike) -> Contrast:
    """Score N pairs of instructions.

    Args:
        own: r(I, R) and r(I', R') `[N, 2]`; NaN is NULL, and what is compared with it is left out.
        other: r(I, R') and r(I', R) `[N, 2]`.

    Raises:
        ValueError: other shapes.
    """
    a, b = np.asarray(own, np.float64), np.asarray(other, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2:
        raise ValueError(f"got rewards {a.shape} and {b.shape}; expected [N, 2] for both")
    # under the same instruction stand columns 0 and 0; with the same response r(I, R) and r(I', R): 0 and 1
    return Contrast(pair_accuracy(a.ravel(), b.ravel()), pair_accuracy(a.ravel(), b[:, ::-1].ravel()))


def contrast_pairs(embeddings: ArrayLike, least: float = 0.75, most: float = 0.9) -> list[tuple[int, int]]:
    """Pairs of instructions that sound alike and are not the same: `least` ≤ cosine ≤ `most`, the most alike first.

    Args:
        embeddings: of sentences `[N, d]`.
        least: below it they do not sound alike.
        most: above it they may ask for the same.
    """
    found = cosines(embeddings, embeddings)
    first, second = np.triu_indices(len(found), 1)
    alike = found[first, second]
    kept = np.flatnonzero((alike >= least) & (alike <= most))
    kept = kept[np.argsort(-alike[kept], kind="stable")]
    return [(int(i), int(j)) for i, j in zip(first[kept], second[kept], strict=True)]
