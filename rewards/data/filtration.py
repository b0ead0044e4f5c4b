"""Which answers of a group are learnt from, where a reward model can be trusted at some of its scores only.

Weights of the members by their rank: the best alone (BoN), the best and one of the others (BR), or the best and the
worst (BW). Which filter suits a reward model is told by R² over what each keeps: the share of the true scores' variance
that a line through the rewards explains.

Source: PF-PPO, Policy Filtration in RLHF to Fine-Tune LLM for Code Generation (Shen and Zhang 2024); in its released
code the best of five has weight 0.4 and each other 0.1, which are the halves taken here for groups of any size.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rewards.columns import Column
from rewards.comparison.correlation import pearson
from rewards.groups import best_of, known

Filter = Literal["all", "best", "best_and_random", "best_and_worst"]


def filtration_weights(rewards: Column, keep: Filter) -> NDArray[np.float64]:
    """How often each member is to be learnt from, of once for its group: sampling weights `[groups, members]`.

    They sum to 1 in each group where a reward is known, and to 0 in others; a NULL is never kept. A group of one keeps
    that one whatever the filter. Of equals the first is the best and the last the worst.

    Args:
        rewards: of a reward model `[groups, members]`.
        keep: all alike; the best; the best with a half, the others with the other half; the best and the worst with a
            half each.

    Raises:
        ValueError: a filter that there is not, or rewards that are not `[groups, members]`.
    """
    groups = known(rewards)
    best = best_of(rewards)
    if keep == "all":
        weights = groups.valid.astype(np.float64)
    elif keep == "best":
        weights = best.astype(np.float64)
    elif keep == "best_and_random":
        weights = np.where(best, np.maximum(groups.count - 1, 1), groups.valid).astype(np.float64)
    elif keep == "best_and_worst":
        worst = best_of(Column(-rewards.values[:, ::-1], rewards.valid[:, ::-1]))[:, ::-1]
        weights = (best | worst).astype(np.float64)
    else:
        raise ValueError(f"got filter {keep!r}; expected one of {get_args(Filter)}")
    return np.asarray(weights / np.maximum(weights.sum(1, keepdims=True), 1.0))


def r_squared(rewards: Column, scores: Column, weights: NDArray[np.float64]) -> float | None:
    """R² of the line that tells true scores from rewards, over what is kept and known of both; None where one is flat.

    Args:
        rewards: of a reward model, on answers whose true scores are known `[groups, members]`.
        scores: the true ones `[groups, members]`.
        weights: of a filter `[groups, members]`.

    Raises:
        ValueError: shapes differ.
    """
    correlation = pearson(rewards.values.ravel(), scores.values.ravel(), weights.ravel())
    return None if correlation is None else correlation**2
