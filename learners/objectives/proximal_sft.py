"""Supervised learning within a trust region: PPO's clip, with the advantage 1 for each token that is shown.

    L_t = −min(ρ_t, clip(ρ_t, 1 − ε, 1 + ε))        ρ_t = π(y*_t) / π_old(y*_t)

A token that has become 1 + ε times as likely as it was teaches no more until π_old is taken anew. So what is nearly
certain already is hardly touched, and one example cannot carry the policy far at once. At π_old the gradient is that of
supervised learning; without a bound it is that weighted by ρ.

Source: EtCon, Edit-then-Consolidate for Reliable Knowledge Editing (Li et al. 2025), whose first stage (TPSFT) trains
selected layers alone by it: those are given to the optimiser. How often π_old is taken anew is the caller's.
"""

from __future__ import annotations

import math

from torch import Tensor

from learners.language.clipping import Clip, Unbounded


def proximal_sft(log_probs: Tensor, old: Tensor, epsilon: float = 0.2) -> Tensor:
    """Loss of each token, of the shape of `log_probs`.

    Args:
        log_probs: log π of the tokens that are shown `[...]`, with gradient.
        old: log π_old of them.
        epsilon: ε, above 0; infinite: no bound.

    Raises:
        ValueError: shapes that differ, or an ε that is not positive.
    """
    if log_probs.shape != old.shape or not epsilon > 0:
        raise ValueError(
            f"got shapes {tuple(log_probs.shape)} and {tuple(old.shape)} and epsilon={epsilon}; "
            "expected equal shapes and epsilon > 0"
        )
    ratio = (log_probs - old.detach()).exp()
    bound = Unbounded() if math.isinf(epsilon) else Clip(low=min(epsilon, 1.0), high=epsilon)
    return bound.surrogate(ratio, ratio.new_ones(ratio.shape), log_probs).loss
