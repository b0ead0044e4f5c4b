"""Rewards that have a gradient, maximised by a flow: of the clean sample foreseen on the way, or of the end of a chain.

At the noise levels of the sampler one evaluation of the velocity foresees the clean sample, and rewards are maximised
directly through that evaluation:

    x̂₀ = x_σ − σ v(x_σ, σ)        L = −Σ_k w_k r_k(x̂₀)

At the last step x̂₀ is the sample itself, and with one reward this is ReFL. Or a sample that is there is noised to
σ = τ and only the rest of the chain is walked, τ of its steps, with gradient through the last of them.

Sources: Seedance 1.0 (several reward models, each with its own preferences); ReFL of ImageReward (Xu et al. 2023);
InstructVideo (the rest of a chain). The weights of Seedance are not published, nor which steps are drawn: here any,
evenly. InstructVideo has a diffusion model with DDIM steps; here it is a flow with Euler steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from learners.flows.losses import noised
from learners.flows.sampler import Field
from learners.flows.steps import flow_mean

Reward = Callable[[Tensor], Tensor]
"""From samples `[N, …]` their rewards `[N]`, with gradient."""


def foreseen(velocity: Field, start: Tensor, steps: int, at: int) -> Tensor:
    """x̂₀ `[N, …]` at one step of the sampler, with gradient through the evaluation there and none before.

    Args:
        velocity: v(x, σ).
        start: noise `[N, …]`.
        steps: of the whole chain, of equal σ.
        at: which of them, from 0; steps − 1: the sample itself.

    Raises:
        ValueError: a step that there is not.
    """
    if not 0 <= at < steps:
        raise ValueError(f"got step {at} of {steps}; expected one from 0 to {steps - 1}")
    with torch.no_grad():
        x = _walked(velocity, start, steps, 0, at)
    sigma = 1 - at / steps
    return x - sigma * velocity(x, sigma)


def edited(velocity: Field, clean: Tensor, noise: Tensor, steps: int, left: int, gradients: int = 1) -> Tensor:
    """Samples made anew by the last steps of the chain `[N, …]`; with left = steps, of the noise alone.

    Args:
        velocity: v(x, σ).
        clean: samples, of the flow or of data `[N, …]`.
        noise: ε, of the same shape.
        steps: of the whole chain, of equal σ.
        left: steps that are walked: τ times as many.
        gradients: the last steps, through which there is a gradient.

    Raises:
        ValueError: more steps than there are, or none.
    """
    if not 1 <= gradients <= left <= steps:
        raise ValueError(
            f"got gradients={gradients}, left={left}, steps={steps}; expected 1 <= gradients <= left <= steps"
        )
    with torch.no_grad():
        start = noised(clean, noise, clean.new_full((len(clean),), left / steps))
        x = _walked(velocity, start, steps, steps - left, steps - gradients)
    return _walked(velocity, x, steps, steps - gradients, steps)


def _walked(velocity: Field, x: Tensor, steps: int, first: int, last: int) -> Tensor:
    """States after the Euler steps from number `first` to before `last`."""
    for k in range(first, last):
        sigma = 1 - k / steps
        x = flow_mean(x, velocity(x, sigma), sigma, 1 - (k + 1) / steps, 0.0)
    return x


def reward_losses(samples: Tensor, rewards: Mapping[str, Reward], weights: Mapping[str, float]) -> Tensor:
    """−Σ_k w_k r_k of each sample `[N]`.

    Args:
        samples: clean ones, or foreseen `[N, …]`.
        rewards: by name.
        weights: by the same names.

    Raises:
        ValueError: no reward, or names that differ.
    """
    if not rewards or set(rewards) != set(weights):
        raise ValueError(
            f"got rewards {sorted(rewards)} and weights {dict(weights)}; expected the same names, and some"
        )
    return -torch.stack([weights[name] * reward(samples) for name, reward in rewards.items()]).sum(0)
