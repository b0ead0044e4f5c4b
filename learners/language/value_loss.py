"""Squared error of a value head, token by token."""

from __future__ import annotations

import torch
from torch import Tensor


def value_losses(values: Tensor, before: Tensor, targets: Tensor, clip: float | None = None) -> Tensor:
    """max((V - target)^2, (before + clip(V - before, -clip, clip) - target)^2), `[N]` (PPO, as in its reference code).

    Args:
        values: V of each token, with gradient, `[N]`.
        before: V before the update, `[N]`.
        targets: what V should become, `[N]`; no gradient flows through them.
        clip: how far V may move; None: anywhere.
    """
    targets = targets.detach()
    error = (values - targets).square()
    if clip is None:
        return error
    bounded = before.detach() + (values - before.detach()).clamp(-clip, clip)
    return torch.maximum(error, (bounded - targets).square())
