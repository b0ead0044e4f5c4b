"""ASAF: imitation whose discriminator is made of the policy, so that fitting it is all the learning there is.

The discriminator tells an expert's trajectories from those of a generator π_G that stands still meanwhile:

    D(τ) = Π_t π_θ(a|s) / (Π_t π_θ(a|s) + Π_t π_G(a|s))

Its best π_θ is the expert's policy wherever the generator has been, whatever π_G is. Then π_G is set to π_θ, and
samples anew: there is no reinforcement learning in between, and no reward.

Source: Adversarial Soft Advantage Fitting: Imitation Learning without Policy Optimization (Barde, Roy et al. 2020),
equation 9; part of Roy's thesis "Effective Reward Specification in Deep Reinforcement Learning".
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def log_odds(policy: Tensor, generator: Tensor, mask: Tensor) -> Tensor:
    """Log D − log(1 − D) of each trajectory: Σ_t log π_θ − log π_G over its steps, `[N]`.

    Args:
        policy: log π_θ of the actions `[N, T]`.
        generator: log π_G of the same actions `[N, T]`; it takes no gradient.
        mask: steps that there are `[N, T]`. With T of 1 the discriminator is of transitions (ASAF-1), with a window of
            a trajectory of windows (ASAF-w).

    Raises:
        ValueError: shapes that differ.
    """
    if policy.shape != generator.shape or policy.shape != mask.shape or policy.ndim != 2:
        raise ValueError(
            f"got shapes {tuple(policy.shape)}, {tuple(generator.shape)} and {tuple(mask.shape)}; expected [N, T]"
        )
    return torch.where(mask.bool(), policy - generator.detach(), 0.0).sum(-1)


def adversarial_fitting(expert: Tensor, generated: Tensor) -> Tensor:
    """−E_expert log D − E_generated log(1 − D), of log-odds `[N]` and `[M]`; 2 log 2 where π_θ = π_G.

    Raises:
        ValueError: there are none of one of them.
    """
    if not expert.numel() or not generated.numel():
        raise ValueError(f"got {expert.numel()} and {generated.numel()} trajectories; expected at least one of each")
    return F.softplus(-expert).mean() + F.softplus(generated).mean()
