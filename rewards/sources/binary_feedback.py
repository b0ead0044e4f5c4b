"""Feedback that can be answered with yes or no: principles found in what people wrote, and which of them to trust.

A model reads a person's feedback on one answer and names principles, whether the answer fulfils each, and the words
that say so. Two filters follow: the words have to be there, and another person has to have said the same.

Source: RLBFF, Binary Flexible Feedback to bridge between Human Feedback and Verifiable Rewards (Wang et al. 2025).
The bound of likeness, that two people are enough, and that an answer has one kind of feedback are chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.cosines import cosines


class Feedback(NamedTuple):
    """One principle in one person's feedback on an answer.

    Attributes:
        principle: a few words, as "readable code".
        fulfilled: whether the answer fulfils it.
        span: words of the feedback that say so.
    """

    principle: str
    fulfilled: bool
    span: str


def verbatim(one: Feedback, text: str) -> bool:
    """Whether the span stands in the feedback word for word; how much space lies between words does not matter."""
    span = " ".join(one.span.split())
    return bool(span) and span in " ".join(text.split())


def agreed(
    embeddings: ArrayLike, people: ArrayLike, fulfilled: ArrayLike, alike: float = 0.8, least: int = 2
) -> NDArray[np.bool_]:
    """Which principles found in the feedback on one answer at least so many people name, and nobody contradicts.

    Args:
        embeddings: of the principles `[M, d]`.
        people: number of the person whose feedback names it `[M]`.
        fulfilled: whether the answer is said to fulfil it `[M]`.
        alike: cosine from which on two principles are the same.
        least: people who have to name it.

    Returns:
        `[M]`; of principles that are the same, all are kept or, where they contradict each other, none.

    Raises:
        ValueError: shapes that do not fit, or fewer than one person.
    """
    vectors, who, told = np.asarray(embeddings, np.float64), np.asarray(people), np.asarray(fulfilled, np.bool_)
    if vectors.ndim != 2 or not who.shape == told.shape == (len(vectors),) or least < 1:
        raise ValueError(
            f"got embeddings {vectors.shape}, people {who.shape}, verdicts {told.shape} and least={least}; expected "
            "[M, d], [M], [M] and 1 or more"
        )
    same = (cosines(vectors, vectors) >= alike) | np.eye(len(vectors), dtype=np.bool_)
    named_by = (same[:, :, None] & (who[:, None] == np.unique(who))[None]).any(axis=1).sum(axis=1)
    contradicted = (same & (told[:, None] != told)).any(axis=1)
    kept: NDArray[np.bool_] = (named_by >= least) & ~contradicted
    return kept
