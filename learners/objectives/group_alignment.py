"""GRAO: a group explores, a demonstration in the group is imitated as long as it is the better one.

    J = mean_i A_i ℓ_i + β A_y ℓ_y + λ mean_i A_i (ℓ_i − ℓ_y)

ℓ is the mean log-probability of an answer's tokens, y the demonstration, A = (R − μ) / σ over the G samples and the
demonstration together. Once the policy is better than what it was shown, A_y is negative and the demonstration is
unlearnt: imitate, explore, transcend. There is no ratio and no clip: samples are of the policy itself.

Source: GRAO, Learning to Align, Aligning to Learn (Wang et al. 2025), equation 3. β and λ are not given there as
numbers; 0.5 and 0.5 are chosen here. Whether μ and σ include the demonstration is a choice too: `within`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Advantages(NamedTuple):
    """Of the samples `[P, G]` and of the demonstration `[P]`."""

    samples: Tensor
    demonstration: Tensor


def joint_advantages(rewards: Tensor, shown: Tensor, within: bool = True) -> Advantages:
    """(R − μ) / σ; 0 where all rewards of a group are equal.

    Args:
        rewards: of the samples `[P, G]`.
        shown: of the demonstration `[P]`.
        within: whether the demonstration is one of the group; else μ and σ are of the samples alone.

    Raises:
        ValueError: shapes that do not fit, or a group of one.
    """
    if rewards.ndim != 2 or shown.shape != rewards.shape[:1] or rewards.shape[1] < 2:
        raise ValueError(
            f"got rewards of shape {tuple(rewards.shape)} and of demonstrations {tuple(shown.shape)}; expected [P, G] "
            "with G of at least 2, and [P]"
        )
    group = torch.cat([rewards, shown[:, None]], dim=1) if within else rewards
    mean, deviation = group.mean(1, keepdim=True), group.std(1, keepdim=True)
    scale = torch.where(deviation > 1e-6, deviation, torch.inf)
    return Advantages((rewards - mean) / scale, ((shown[:, None] - mean) / scale)[:, 0])


def group_alignment(
    samples: Tensor, demonstration: Tensor, advantages: Advantages, imitation: float = 0.5, alignment: float = 0.5
) -> Tensor:
    """−J of each prompt `[P]`.

    Args:
        samples: mean log-probability per token of each sample `[P, G]`.
        demonstration: of the demonstration `[P]`.
        advantages: of `joint_advantages`; no gradient flows through them.
        imitation: β.
        alignment: λ; with β = λ = 0 it is REINFORCE with group advantages.

    Raises:
        ValueError: β or λ below 0.
    """
    if imitation < 0 or alignment < 0:
        raise ValueError(f"got imitation={imitation}, alignment={alignment}; expected both to be at least 0")
    gain, shown = advantages.samples.detach(), advantages.demonstration.detach()
    explore = (gain * samples).mean(1)
    align = (gain * (samples - demonstration[:, None])).mean(1)
    return -(explore + imitation * shown * demonstration + alignment * align)
