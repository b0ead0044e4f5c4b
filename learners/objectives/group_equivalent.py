"""GEPO: preferences between groups of answers; those that mean the same are to be worth the same.

    L = −log σ( mean_W r̂ − mean_L r̂ ) + λ Var_W(r̂),   r̂(y) = β (log π(y) − log π_ref(y))

W are answers that are equivalent to each other and right, L answers that are not. Added to an on-policy loss with a
small weight, it is the preference part of OORL.

Source: OORL, On-Policy Optimization with Group Equivalent Preference (λ = 1; 1 for the RL loss and 0.01 for this one).
The variance is that of the population, chosen here: then one winner has none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from learners.language.preferences import dpo


def group_equivalent(
    winners: Tensor, losers: Tensor, beta: float = 0.1, variance_weight: float = 1.0, known: Tensor | None = None
) -> Tensor:
    """The loss of each prompt `[P]`.

    Args:
        winners: log π − log π_ref of the equivalent right answers, `[P, n]`.
        losers: of the others, `[P, m]`.
        beta: scale of the implicit reward.
        variance_weight: λ; 0: DPO between group means. With n = m = 1 it is DPO.
        known: which winners are there, bool `[P, n]`, where prompts have different numbers of them; all by default.

    Raises:
        ValueError: shapes that do not fit, a prompt without winners or losers, β ≤ 0 or λ < 0.
    """
    there = torch.ones_like(winners, dtype=torch.bool) if known is None else known
    if winners.ndim != 2 or losers.ndim != 2 or len(winners) != len(losers) or there.shape != winners.shape:
        raise ValueError(
            f"got winners of shape {tuple(winners.shape)}, losers of {tuple(losers.shape)} and known of "
            f"{tuple(there.shape)}; expected [P, n], [P, m] and [P, n]"
        )
    if not losers.shape[1] or not bool(there.any(1).all()) or beta <= 0 or variance_weight < 0:
        raise ValueError(
            f"got beta={beta}, variance_weight={variance_weight}, or a prompt without winners or losers; expected "
            "beta > 0, a weight of at least 0, and one of each"
        )
    number = there.sum(1)
    rewards = beta * winners.masked_fill(~there, 0.0)
    mean = rewards.sum(1) / number
    spread = ((rewards - mean[:, None]).square() * there).sum(1) / number
    return dpo(mean - beta * losers.mean(1), 1.0) + variance_weight * spread
