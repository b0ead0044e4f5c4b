"""MetaRM: a reward model that learns most from those pairs which help it to tell the answers of today's policy apart.

The policy moves on, and the reward model finds its answers more and more alike. Nobody has labelled them, but that they
differ is known. Each step looks from where the model would tell them further apart, and moves it from where it is:

    J(θ) = 2/k² Σ_{i<j} σ(|r_θ(x, s_i) − r_θ(x, s_j)|),   θ' = θ + η ∇J(θ),   θ ← θ − α ∇L(θ')

L is the loss over the labelled pairs, s the k answers of the policy to a prompt.

Source: Secrets of RLHF in Large Language Models, part II (Wang et al. 2024), equations 11 to 14. The mean over prompts
is chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def score_difference(scores: Tensor) -> Tensor:
    """J of each prompt, `[B]`: (k − 1) / 2k where all scores are equal, towards (k − 1) / k where they are far apart.

    Args:
        scores: of k answers to each prompt, `[B, k]`.

    Raises:
        ValueError: fewer than two answers, or a score that is not finite.
    """
    if scores.ndim != 2 or scores.shape[1] < 2 or not bool(scores.isfinite().all()):
        raise ValueError(
            f"got scores of shape {tuple(scores.shape)}; expected finite ones [B, k], two answers or more: "
            "leave out prompts with an answer that has no score"
        )
    k = scores.shape[1]
    first, second = torch.triu_indices(k, k, offset=1, device=scores.device)
    return 2 / k**2 * (scores[:, first] - scores[:, second]).abs().sigmoid().sum(-1)


def meta_gradients(
    parameters: Iterable[nn.Parameter], difference: Callable[[], Tensor], loss: Callable[[], Tensor], rate: float
) -> Tensor:
    """Leave ∇L(θ') in `.grad` for an optimiser, with the parameters where they were.

    Args:
        parameters: θ.
        difference: J at the parameters as they are, a scalar.
        loss: L at the parameters as they are, a scalar.
        rate: η, at least 0; 0: the plain gradient of L.

    Returns:
        L(θ').

    Raises:
        ValueError: a rate below 0.
    """
    if not rate >= 0:
        raise ValueError(f"got rate={rate}; expected at least 0")
    moved = [parameter for parameter in parameters if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in moved]
    upwards = torch.autograd.grad(difference(), moved, allow_unused=True)
    try:
        with torch.no_grad():
            for parameter, gradient in zip(moved, upwards, strict=True):
                if gradient is not None:
                    parameter.add_(gradient, alpha=rate)
        found = loss()
        downwards = torch.autograd.grad(found, moved, allow_unused=True)
    finally:  # to the bit: adding and taking off again would not be
        with torch.no_grad():
            for parameter, value in zip(moved, before, strict=True):
                parameter.copy_(value)
    for parameter, gradient in zip(moved, downwards, strict=True):
        parameter.grad = gradient
    return found.detach()
