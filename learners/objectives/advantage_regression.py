"""DA-PO: a policy whose log-ratio to the reference is regressed on the advantage of each step, offline.

    L = ½ ( log π(a|s) − log π_ref(a|s) − A(s, a) / β )²,   A(s, a) = V(s + a) − V(s)

V(s) is the chance that the reference finishes right from the partial answer s, learnt once by cross-entropy from
Monte-Carlo completions; the last step's V is the verifier's 0 or 1. It is the regression form of
π ∝ π_ref exp(A / β); the log-partition is left out, as E_ref[A] = 0 makes it of second order in A / β.

Source: Direct Advantage Policy Optimization (Liu et al. 2024); not ByteDance's DAPO. That the partition is left out is
as recalled.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def advantage_regression(log_ratio: Tensor, advantages: Tensor, beta: float) -> Tensor:
    """The loss of each step `[N]`.

    Args:
        log_ratio: log π − log π_ref, summed over the tokens of a step, `[N]`.
        advantages: A, `[N]`; no gradient flows through them.
        beta: price of leaving the reference.

    Raises:
        ValueError: shapes that differ, or a β that is not positive.
    """
    if log_ratio.shape != advantages.shape or beta <= 0:
        raise ValueError(
            f"got log-ratios of shape {tuple(log_ratio.shape)}, advantages of {tuple(advantages.shape)} and "
            f"beta={beta}; expected the same shapes, and beta > 0"
        )
    return 0.5 * (log_ratio - advantages.detach() / beta).square()


def step_advantages(values: Tensor, outcome: Tensor) -> Tensor:
    """A of each step `[..., T]`: how much more likely it has made the right end.

    Args:
        values: V before each step `[..., T]`, between 0 and 1.
        outcome: 1 where the verifier accepts the whole, else 0, `[...]`.
    """
    return torch.cat([values[..., 1:], outcome[..., None].to(values.dtype)], dim=-1) - values


def success_loss(logits: Tensor, rates: Tensor) -> Tensor:
    """Cross-entropy of the critic's V = σ(logits) with Monte-Carlo success rates between 0 and 1, `[N]`."""
    return F.binary_cross_entropy_with_logits(logits, rates, reduction="none")
