"""`PolicyLoss`: three choices make a policy loss: where the ratio is measured, what bounds it, how tokens are averaged.

PPO, GRPO, Dr. GRPO, DAPO, RLOO, REINFORCE++, GSPO, CISPO and SAPO are points of this space
(`learners.language.presets`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from learners.language.aggregation import Aggregation
from learners.language.clipping import Bound, Clip
from learners.language.ratios import Level, log_ratios


class PolicyLoss(BaseModel):
    """Which loss.

    Attributes:
        ratio: over what the ratio is measured.
        bound: what keeps it near 1.
        aggregation: how tokens are averaged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ratio: Level = "token"
    bound: Bound = Clip()
    aggregation: Aggregation = Aggregation()


class TokenLosses(NamedTuple):
    """Of each token, `[N]`: loss with gradient, ratio, and whether the bound was felt; 0 where it does not count."""

    loss: Tensor
    ratio: Tensor
    clipped: Tensor


def policy_losses(
    log_probs: Tensor, anchor: Tensor, advantages: Tensor, weights: Tensor, sequence: Tensor, config: PolicyLoss
) -> TokenLosses:
    """Loss of each token, before aggregation.

    Args:
        log_probs: log pi of each token, with gradient, `[N]`.
        anchor: log-probabilities that the ratio is measured from: of the policy that acted, or of the proximal one,
            `[N]`.
        advantages: `[N]`; no gradient flows through them.
        weights: a token of weight 0 has loss 0, whatever stands in the other streams, `[N]`.
        sequence: which sequence each token belongs to, `[N]`.
        config: which loss.
    """
    counts = weights > 0
    ratio = log_ratios(log_probs, anchor, weights, sequence, config.ratio).exp()
    advantages = torch.where(counts, advantages.detach(), 0.0)
    loss, clipped = config.bound.surrogate(ratio, advantages, torch.where(counts, log_probs, 0.0))
    return TokenLosses(torch.where(counts, loss, 0.0), ratio.detach(), clipped & counts)
