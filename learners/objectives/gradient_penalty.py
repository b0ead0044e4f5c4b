"""Gradient penalty: a discriminator that is kept from being steep, so that its reward is worth following.

    L_GP = E[(‖∇_x f(x)‖ − k)²]        one-sided: E[max(0, ‖∇_x f(x)‖ − k)²]

x are inputs between those of the expert and those of the replay. Where f are the logits of D, the reward −log(1 − D)
is no steeper than they are. Without it a discriminator that tells a few demonstrations from everything else is flat
everywhere but beside them, and says nothing of the way there.

Source: Lipschitzness Is All You Need To Tame Off-policy Generative Adversarial Imitation Learning (Blondé, Strasser and
Kalousis 2022), after Gulrajani et al. 2017; k = 1 and a weight of 10 there, and one draw of u for states and one for
actions, here one for both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def interpolated(one: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """Points u x + (1 − u) y on the lines between pairs, u uniform `[N, D]`.

    Args:
        one: x `[N, D]`.
        other: y `[N, D]`.
        generator: draws u, one a pair.

    Raises:
        ValueError: shapes that differ.
    """
    if one.shape != other.shape or one.ndim != 2:
        raise ValueError(f"got shapes {tuple(one.shape)} and {tuple(other.shape)}; expected the same [N, D]")
    share = torch.rand(len(one), 1, generator=generator, dtype=one.dtype).to(one.device)
    return share * one + (1 - share) * other


def gradient_norms(function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """‖∇_x f(x)‖ at each input, with a gradient of its own `[N]`.

    Args:
        function: f, from inputs `[N, D]` to a number each `[N]`; an input's number depends on no other input.
        inputs: x `[N, D]`.
    """
    at = inputs.detach().requires_grad_()
    (slopes,) = torch.autograd.grad(function(at).sum(), at, create_graph=True)
    found: Tensor = slopes.norm(dim=-1)
    return found


def gradient_penalty(norms: Tensor, limit: float = 1.0, one_sided: bool = False) -> Tensor:
    """L_GP, a scalar; to be weighted beside the loss of the discriminator.

    Args:
        norms: of gradients `[N]`.
        limit: k, at least 0.
        one_sided: whether to be flatter costs nothing.

    Raises:
        ValueError: a limit below 0.
    """
    if not limit >= 0:
        raise ValueError(f"got limit={limit}; expected at least 0")
    beyond = norms - limit
    return (beyond.clamp(min=0) if one_sided else beyond).square().mean()
