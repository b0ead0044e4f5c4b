"""Rewards from discriminators: what was seen is told from what a policy, or a model of the world, makes of it.

    r = −log(1 − mean_k min(D_k, c)),  D_k = σ(f_k)             one k and c = 1: softplus(f), the reward of GAIL
    r̃ = ξ r,  ξ = max(exp(−α max(0, ‖∇‖ − k)²), ξ_least)        less where a function is steeper than it may be

Of transitions of a world model, with one discriminator against each of its ever better stages, r is MOREC's dynamics
reward: what holds in the data and does not depend on the policy. r̃ is for rewards of at least 0: pessimism makes them
smaller.

Source: Lipschitzness Is All You Need To Tame Off-policy Generative Adversarial Imitation Learning (Blondé, Strasser and
Kalousis 2022) for the reward and for ξ (PURPLE), whose exact form is chosen here; the released code has the gradients
of a learnt forward model in it, α = 1 after division by a running deviation, and ξ_least = 0.7. Reward-Consistent
Dynamics Models are Strongly Generalizable for Offline Reinforcement Learning (MOREC: Luo et al. 2024) for the mean over
discriminators and c, and its released code for the range that logits are brought to first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def adversarial_reward(logits: Tensor, clip: float = 1.0) -> Tensor:
    """−log(1 − mean_k min(σ(f_k), c)), at least 0, of the shape of the logits without the first dimension.

    Args:
        logits: f of K discriminators, high where something is as in the data `[K, …]`.
        clip: c, in (0, 1]: below 1, nothing is worth more than −log(1 − c).

    Raises:
        ValueError: no discriminator, or a clip outside of (0, 1].
    """
    if logits.ndim < 1 or not len(logits) or not 0 < clip <= 1:
        raise ValueError(
            f"got logits {tuple(logits.shape)} and clip={clip}; expected [K, …] of at least one discriminator, "
            "and a clip in (0, 1]"
        )
    other = logsigmoid(-logits)  # log(1 − D): all digits also where D is nearly 1
    if clip < 1:
        other = other.clamp(min=math.log1p(-clip))
    return math.log(len(logits)) - other.logsumexp(0)


def ranged(logits: Tensor, made: Tensor, real: Tensor) -> Tensor:
    """Logits of discriminators of different strength, brought to one range `[K, …]`.

    Each one's are cut to between its means on what was made and on the data, and these become −h and h, with h the
    largest size of any mean.

    Args:
        logits: f of K discriminators `[K, …]`.
        made: mean of f_k on what it was taught to find made `[K]`.
        real: mean of f_k on the data `[K]`, above the other.

    Raises:
        ValueError: not two means for each, or a discriminator that cannot tell.
    """
    if logits.ndim < 1 or not made.shape == real.shape == logits.shape[:1] or not bool((real > made).all()):
        raise ValueError(
            f"got logits {tuple(logits.shape)} with means {made.tolist()} and {real.tolist()}; expected two a "
            "discriminator, the second above the first: leave out one that cannot tell"
        )
    low, high = (mean.view(-1, *[1] * (logits.ndim - 1)) for mean in (made, real))
    half = torch.stack([made, real]).abs().max()
    return half * (2 * (logits.clamp(low, high) - low) / (high - low) - 1)


def preconditioned(
    rewards: Tensor, norms: Tensor, limit: float = 1.0, strength: float = 1.0, least: float = 0.0
) -> Tensor:
    """The reward times ξ, of the shape of the rewards; as it is where the strength is 0.

    Args:
        rewards: r, at least 0; NaN stays NaN.
        norms: of gradients of the reward, or of a model of the world, there.
        limit: k, how steep it may be.
        strength: α, at least 0.
        least: ξ_least, in [0, 1].

    Raises:
        ValueError: shapes that differ, a reward below 0, or settings out of range.
    """
    if rewards.shape != norms.shape or bool((rewards < 0).any()):
        raise ValueError(
            f"got rewards {tuple(rewards.shape)} and norms {tuple(norms.shape)}, or a reward below 0; expected equal "
            "shapes, and at least 0: pessimism would make it better"
        )
    if not strength >= 0 or not 0 <= least <= 1:
        raise ValueError(f"got strength={strength} and least={least}; expected at least 0, and one in [0, 1]")
    return rewards * torch.exp(-strength * (norms - limit).clamp(min=0).square()).clamp(min=least)
