"""PAPO: a policy that would say the same without looking has not looked.

    J = J_RL + γ KL[π(·|q, I) ‖ π(·|q, I_mask)] − η₁ H[π(·|q, I)] − η₂ H[π(·|q, I_mask)]

on the tokens that were sampled with the full observation I; I_mask is I with most of it hidden. The entropies are there
because a large γ can be had more cheaply than by looking: by a masked distribution that is sure of something else.

Source: PAPO, Perception-Aware Policy Optimization (γ 0.01 to 0.02, η 0.03, share hidden 0.6, KL by the k3 estimator).
The entropies are estimated by −log π of the sampled tokens, as is usual there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Perception(NamedTuple):
    """Of each answer `[B]`.

    Attributes:
        loss: −γ KL + η₁ H + η₂ H_mask; to be added to the loss of the policy gradient.
        divergence: KL.
        entropy: H.
        masked_entropy: H of the policy that sees little.
    """

    loss: Tensor
    divergence: Tensor
    entropy: Tensor
    masked_entropy: Tensor


def perception_loss(
    seen: Tensor, masked: Tensor, mask: Tensor, gamma: float = 0.02, entropy: float = 0.0, masked_entropy: float = 0.0
) -> Perception:
    """What is added for looking.

    The k3 estimate of KL[π ‖ π_mask] on samples of π is r − log r − 1 with r = π_mask / π: never negative, and with
    gradient 0 where both are equal. log r is limited to 10, beyond which one token would be all of the loss.

    Args:
        seen: log-probabilities of the sampled tokens given the full observation `[B, T]`.
        masked: given the masked one `[B, T]`.
        mask: which tokens count `[B, T]`; what stands elsewhere, −∞ too, changes nothing.
        gamma: γ.
        entropy: η₁.
        masked_entropy: η₂.

    Raises:
        ValueError: shapes that differ, or a weight below 0.
    """
    if seen.shape != masked.shape or mask.shape != seen.shape:
        raise ValueError(f"got shapes {tuple(seen.shape)}, {tuple(masked.shape)}, {tuple(mask.shape)}; expected equal")
    if min(gamma, entropy, masked_entropy) < 0:
        raise ValueError(
            f"got gamma={gamma}, entropy={entropy}, masked_entropy={masked_entropy}; expected none below 0"
        )
    weights = mask.to(seen.dtype)
    seen, masked = torch.where(mask.bool(), seen, 0.0), torch.where(mask.bool(), masked, 0.0)
    number = weights.sum(-1).clamp(min=1)

    def mean(values: Tensor) -> Tensor:
        return (values * weights).sum(-1) / number

    apart = (masked - seen).clamp(-10.0, 10.0)
    divergence = mean(apart.exp() - apart - 1)
    own, hidden = mean(-seen), mean(-masked)
    return Perception(-gamma * divergence + entropy * own + masked_entropy * hidden, divergence, own, hidden)


def hidden(observation: Tensor, share: float, token: int, generator: torch.Generator) -> Tensor:
    """An observation `[B, N]` of tokens (patches, cells) with each hidden behind `token` with chance `share`.

    Raises:
        ValueError: a share outside of 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"got share={share}; expected between 0 and 1")
    return torch.where(torch.rand(observation.shape, generator=generator) < share, token, observation)
