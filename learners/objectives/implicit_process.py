"""A process reward model that is a policy itself, learnt from how trajectories ended.

The model π_φ starts as the policy, and the reward of a token is r_t = β (log π_φ − log π_ref). Nobody labels steps:
π_φ learns from outcomes, online, on what the policy writes. The sum of r_t up to a token is its Q-value.

PRIME: Process Reinforcement through Implicit Rewards (Cui et al. 2025). π_ref is the first policy, and π_φ learns to
foretell each outcome by cross-entropy on σ(Σ_t r_t). It learns before it rewards. Prompts that are nearly always or
nearly never answered rightly are left out. Its advantage is

    A_t = Σ_{s ≥ t} γ^{s−t} [r_s − mean_{j ≠ i} r̄^j] + r_o^i − mean_{j ≠ i} r_o^j,    r̄ the mean of a trajectory's r_t,

which is a view of parts: the bracket is r_s − r̄^i and the leave-one-out advantage of r̄^i.

OPRL (iStar): Online Process Reward Learning for Agentic Reinforcement Learning. π_ref is the policy that wrote, the
reward of a step is the sum of its tokens', and π_φ learns by DPO on trajectories of one task, of which one succeeded
and the other did not. Steps are averaged, as in the released code; the paper sums them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from learners.language.preferences import dpo


def implicit_rewards(log_probs: Tensor, reference: Tensor, beta: float = 0.05) -> Tensor:
    """r_t = β (log π_φ − log π_ref) of each token, `[B, T]`.

    Args:
        log_probs: of the model π_φ `[B, T]`.
        reference: of π_ref, for the same tokens `[B, T]`.
        beta: β.

    Raises:
        ValueError: shapes that differ, or a β that is not positive.
    """
    if log_probs.shape != reference.shape or beta <= 0:
        raise ValueError(
            f"got log-probabilities of shapes {tuple(log_probs.shape)} and {tuple(reference.shape)} and beta={beta}; "
            "expected one shape, and a beta above 0"
        )
    return beta * (log_probs - reference)


def outcome_cross_entropy(rewards: Tensor, outcomes: Tensor) -> Tensor:
    """−o log σ(R) − (1 − o) log σ(−R) of the trajectories whose outcome is known, `[K]`.

    Args:
        rewards: R = Σ_t r_t of each trajectory `[B]`.
        outcomes: o, 0 or 1, or between them `[B]`; NaN where it is not known.

    Raises:
        ValueError: shapes that differ, or outcomes outside [0, 1].
    """
    known = ~outcomes.isnan()
    told = outcomes[known]
    if rewards.shape != outcomes.shape or bool(((told < 0) | (told > 1)).any()):
        raise ValueError(
            f"got rewards of shape {tuple(rewards.shape)} and outcomes of {tuple(outcomes.shape)}; expected one a "
            "trajectory, and outcomes of 0 to 1"
        )
    return binary_cross_entropy_with_logits(rewards[known], told.to(rewards.dtype), reduction="none")


def instructive(outcomes: Tensor, group: Tensor, low: float = 0.2, high: float = 0.8) -> Tensor:
    """Which trajectories are of a task whose share of good outcomes is above `low` and below `high`, bool `[B]`.

    Args:
        outcomes: `[B]`; NaN where it is not known, and the trajectory is not counted.
        group: of each trajectory, numbers from 0 `[B]`.
        low: below 0: tasks that are never solved are kept.
        high: above 1: tasks that are always solved are kept.

    Raises:
        ValueError: bounds out of order.
    """
    if not low < high:
        raise ValueError(f"got low={low} and high={high}; expected low < high")
    known = ~outcomes.isnan()
    size = int(group.max()) + 1 if len(group) else 0
    count = torch.bincount(group, known.float(), size)
    share = torch.bincount(group, outcomes.nan_to_num(0.0), size) / count.clamp(min=1)
    return ((count > 0) & (share > low) & (share < high))[group] & known


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
