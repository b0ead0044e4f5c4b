"""Pairs from a policy's own answers, by the reward that it is trained with: it learns what the reward wants by DPO.

Now and then, between phases of policy gradient, each prompt's answers are scored by rule, and the highest is preferred
to the lowest.

Source: Tool-Star, the self-critic phase. Of equals the first is taken, chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor


def critic_pairs(rewards: Tensor, least: float = 0.0) -> tuple[Tensor, Tensor]:
    """Numbers of the chosen and the rejected answer of each prompt `[P]`; −1 where their rewards are not apart.

    Args:
        rewards: `[P, G]`; NaN where one is not known.
        least: by how much they must differ at least; always by more than 0.

    Raises:
        ValueError: not `[P, G]` with at least two answers, or a bound below 0.
    """
    if rewards.ndim != 2 or rewards.shape[1] < 2 or least < 0:
        raise ValueError(
            f"got rewards of shape {tuple(rewards.shape)} and least={least}; expected [P, G] with G of at least 2, and "
            "least of at least 0"
        )
    known = ~rewards.isnan()
    high, low = rewards.masked_fill(~known, -torch.inf), rewards.masked_fill(~known, torch.inf)
    chosen, rejected = high.argmax(1), low.argmin(1)
    gap = high.amax(1) - low.amin(1)
    apart = (gap > 0) & (gap >= least) & (known.sum(1) >= 2)
    return torch.where(apart, chosen, -1), torch.where(apart, rejected, -1)
