"""URPO: one model answers and judges answers, and one batch teaches it both.

| rows                      | the model is | reward                                                             |
|---------------------------|--------------|--------------------------------------------------------------------|
| problems with a known end | player       | right or not, by rule                                              |
| answers in a known order  | referee      | Kendall's tau of its scores with that order, `referee_reward`      |
| open instructions         | player       | the score that it gives itself, now, as the referee, `self_scores` |

A group is answers to one problem or instruction, or judgements of one list. So the three may pay in units of their own:
they are columns that are NULL for each other's rows, `first_known` makes one of them, and `group_relative` (grpo)
compares within groups. The referee comes first: until it is competent, rows of open instructions are left out.

Source: URPO, A Unified Reward & Policy Optimization Framework for Large Language Models (Lu et al. 2025). Chosen here:
Kendall's tau, −1 for a judgement without its form, and the mean where a group is judged more than once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.sources.judge_training import ranking_reward

Floats = NDArray[np.float64]


def referee_reward(scores: ArrayLike, order: ArrayLike, formed: ArrayLike | None = None) -> Floats:
    """Kendall's tau of what the referee gave to a list with the known order; of a pair 1 or −1, and 0 for a tie.

    Args:
        scores: of each answer, by the referee `[B, N]`.
        order: the same by the label, higher for a better answer; equals are not compared `[B, N]`.
        formed: whether a judgement has a score for each answer, in the form that was asked for `[B]`; None: all.

    Returns:
        `[B]`; −1 where the form is broken, NaN where the label puts nothing in order.

    Raises:
        ValueError: shapes that do not fit.
    """
    kept = np.ones(np.shape(scores)[:1], np.bool_) if formed is None else formed
    return ranking_reward(scores, order, kept, power=0.0, broken=1.0)


def self_scores(scores: ArrayLike, formed: ArrayLike) -> Floats:
    """What each answer of a group earns: its score by the model itself, the mean of the judgements with their form.

    A judgement reads all answers of a group at once, so that its scores can be compared.

    Args:
        scores: of G groups of N answers, by J judgements of each `[G, J, N]`.
        formed: whether a judgement has a score for each answer, in the form that was asked for `[G, J]`.

    Returns:
        `[G, N]`; NaN for a group without such a judgement.

    Raises:
        ValueError: shapes that do not fit, or a score that is not finite in a judgement that has its form.
    """
    given, kept = np.asarray(scores, np.float64), np.asarray(formed, np.bool_)
    if given.ndim != 3 or kept.shape != given.shape[:2]:
        raise ValueError(f"got scores {given.shape} and forms {kept.shape}; expected [G, J, N] and [G, J]")
    if not np.isfinite(given[kept]).all():
        raise ValueError("got a score that is not finite; expected numbers: say of such a judgement that it lacks form")
    count = kept.sum(1)[:, None]
    total = np.where(kept[..., None], given, 0.0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
