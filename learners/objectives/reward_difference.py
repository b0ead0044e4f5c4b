"""Reward differences as a regression target: the best policy under a price on KL is where the loss is 0.

The policy that maximises E[r] − β KL(π ‖ π_ref) has r_a − r_b = β (log-ratio_a − log-ratio_b) for any two answers of a
prompt. PRDP regresses to that. The log-ratio of an image is the sum over its denoising steps, that of a completion the
sum over its tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reward_difference(
    log_ratio: Tensor, rewards: Tensor, beta: float, old: Tensor | None = None, clip: float | None = None
) -> Tensor:
    """(r_a − r_b − β (l_a − l_b))², `[P]`; with `clip` the larger of that and the same with l near its old value.

    Where many steps are taken on one batch, an answer whose log-ratio has moved by more than `clip` can no longer lower
    the loss (PRDP's proximal update, as PPO bounds its ratio).

    Args:
        log_ratio: l = log π(y) − log π_ref(y) of both answers, `[P, 2]`.
        rewards: of both answers, `[P, 2]`; a pair with one that is not finite has loss 0: nobody knows which is better.
        beta: β, the price of a nat.
        old: l under the policy that sampled, `[P, 2]`.
        clip: ε; None: no bound.

    Raises:
        ValueError: β or ε that is not positive, shapes that do not fit, or a clip without the old values.
    """
    if beta <= 0 or (clip is not None and clip <= 0):
        raise ValueError(f"got beta={beta} and clip={clip}; expected positive numbers")
    if log_ratio.shape != rewards.shape or log_ratio.shape[-1:] != (2,):
        raise ValueError(f"got log-ratios {tuple(log_ratio.shape)} and rewards {tuple(rewards.shape)}; expected [P, 2]")
    known = rewards.isfinite().all(-1)
    wanted = torch.where(known, rewards[:, 0] - rewards[:, 1], 0.0)

    def error(ratio: Tensor) -> Tensor:
        return torch.where(known, wanted - beta * (ratio[:, 0] - ratio[:, 1]), 0.0).square()

    if clip is None:
        return error(log_ratio)
    if old is None:
        raise ValueError("got a clip without the log-ratios of the policy that sampled; expected both")
    near = old.detach() + (log_ratio - old.detach()).clamp(-clip, clip)
    return torch.maximum(error(log_ratio), error(near))
