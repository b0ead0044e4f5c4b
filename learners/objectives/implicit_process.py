"""A process reward model that is a policy itself, learnt from which of two trajectories ended better.

OPRL (iStar): Online Process Reward Learning for Agentic Reinforcement Learning. The model π_φ starts as the policy; the
reward of a step is r_t = β Σ_tokens (log π_φ − log π_old), and π_φ learns by DPO on trajectories of one task, of which
one succeeded and the other did not. Steps are averaged, as in the released code; the paper sums them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from learners.language.preferences import dpo


def outcome_pairs(outcomes: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Every pair of a better and a worse trajectory of the same group.

    Args:
        outcomes: `[B]`; NaN where it is not known, and the trajectory is in no pair.
        group: of each trajectory `[B]`.

    Returns:
        Indices of the better and of the worse ones, `[P]` each.
    """
    better = (outcomes[:, None] > outcomes[None, :]) & (group[:, None] == group[None, :])
    found = better.nonzero()
    return found[:, 0], found[:, 1]


def trajectory_preference(
    log_ratios: Tensor, steps: Tensor, better: Tensor, worse: Tensor, beta: float = 0.05
) -> Tensor:
    """−log σ(mean_t q_t⁺ − mean_t q_t⁻) with q_t = β Σ_tokens of step t (log π_φ − log π_old), `[P]`.

    Args:
        log_ratios: log π_φ − log π_old of whole trajectories, summed over the policy's own tokens `[B]`.
        steps: how many steps each trajectory has `[B]`.
        better: indices `[P]`; see `outcome_pairs`.
        worse: indices `[P]`.
        beta: β.

    Raises:
        ValueError: a trajectory without steps.
    """
    if (steps < 1).any():
        raise ValueError(f"got a trajectory of {int(steps.min())} steps; expected at least one")
    mean = log_ratios / steps.to(log_ratios.dtype)
    if not len(better):
        return torch.zeros(0, dtype=mean.dtype, device=mean.device)
    return dpo(mean[better] - mean[worse], beta)
