"""Steps of a flow-matching sampler with noise, so that a policy gradient has densities to work with.

σ goes from 1 (noise) to 0 (data), x_σ = (1 − σ) x₀ + σ ε, and the network gives the velocity v = ε − x₀. With dσ < 0:

    x̂₀ = x − σ v        score = −(x − (1 − σ) x̂₀) / σ²
    mean = x + v dσ − ½ η² score dσ + s g / |g|        x' = mean + η √|dσ| ε

η = 0 is the Euler step of the ordinary differential equation, which has no density. g leads towards what a reward model
of noisy states likes (Euphonium); without it this is the step of DanceGRPO and Flow-GRPO. Noise in a window of steps
alone is Fast-GRPO: only what is in it is learnt from, and needs the network with gradient.

Sources: DanceGRPO (Xue et al. 2025); Euphonium, Steering Video Flow Matching via Process Reward Gradient Guided
Stochastic Dynamics (η = 0.25, s = η² / 2β = 0.01); PrismAudio (Fast-GRPO).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from learners.losses import ROUNDING


def flow_mean(
    x: Tensor,
    velocity: Tensor,
    sigma: float,
    after: float,
    eta: float,
    guide: Tensor | None = None,
    strength: float = 0.0,
) -> Tensor:
    """Mean of the next state, of the shape of `x`.

    Args:
        x: states `[N, …]`.
        velocity: v of them.
        sigma: σ now, above 0.
        after: σ of the next state, below `sigma`.
        eta: size of the noise; 0 for none.
        guide: g, the gradient of a process reward at x; None: no guidance. A row of zeros is not moved.
        strength: s, how far it leads a step.

    Raises:
        ValueError: σ that does not fall, or is not within 0 to 1.
    """
    if not 0 <= after < sigma <= 1:
        raise ValueError(f"got a step from σ = {sigma} to {after}; expected 0 <= after < sigma <= 1")
    step = after - sigma
    clean = x - sigma * velocity
    score = -(x - (1 - sigma) * clean) / sigma**2
    mean = x + velocity * step - 0.5 * eta**2 * score * step
    if guide is None or not strength:
        return mean
    size = guide.flatten(1).norm(dim=1).reshape(-1, *[1] * (guide.ndim - 1))
    guided: Tensor = mean + strength * guide / size.clamp_min(1e-12)
    return guided


def flow_log_prob(after: Tensor, mean: Tensor, sigma: float, next_sigma: float, eta: float) -> Tensor:
    """Log-density of the next states under the step `[N]`.

    Raises:
        ValueError: a step without noise, which has none.
    """
    if eta <= 0:
        raise ValueError(f"got η = {eta}; expected noise: a step of the ordinary equation has no density")
    variance = eta**2 * (sigma - next_sigma)
    squares = (after - mean).flatten(1).square()
    return -(squares / (2 * variance) + 0.5 * math.log(2 * math.pi * variance)).sum(1)


def noise_window(steps: int, width: int, generator: torch.Generator) -> range:
    """Which steps have noise: `width` of `steps` in a row, drawn evenly (Fast-GRPO); all of them with width = steps.

    Raises:
        ValueError: a window that is empty or does not fit.
    """
    if not 1 <= width <= steps:
        raise ValueError(f"got a window of {width} of {steps} steps; expected from 1 to {steps}")
    start = int(torch.randint(steps - width + 1, (), generator=generator))
    return range(start, start + width)


def dual_advantage(
    process: Tensor, outcome: Tensor, groups: Tensor, weights: tuple[float, float] = (1.0, 1.0)
) -> Tensor:
    """Advantage of each step `[N, T]`: of its own score, and of the outcome, each normalised within groups.

    Scores of states are compared with those of the same step in the group. The sum of both with one clipped ratio is
    the sum of both losses wherever no ratio is clipped. Equals have no advantage.

    Source: Euphonium's dual-reward GRPO (weights 1 and 1).

    Args:
        process: score of each step's next state by a process reward model `[N, T]`.
        outcome: reward of the sample `[N]`.
        groups: number of each sample's group, from 0 `[N]`.
        weights: of process and outcome.

    Raises:
        ValueError: shapes that do not fit.
    """
    if process.ndim != 2 or outcome.shape != process.shape[:1] or groups.shape != outcome.shape:
        raise ValueError(
            f"got shapes {tuple(process.shape)}, {tuple(outcome.shape)} and {tuple(groups.shape)}; "
            "expected [N, T], [N] and [N]"
        )
    both = torch.cat([process, outcome[:, None]], 1)
    count = torch.bincount(groups).clamp_min(1).to(both)[:, None]
    zeros = both.new_zeros(len(count), both.shape[1])
    mean = (zeros.index_add(0, groups, both) / count)[groups]
    deviation = (zeros.index_add(0, groups, (both - mean).square()) / count)[groups].sqrt()
    normal = torch.where(deviation <= ROUNDING * mean.abs(), 0.0, (both - mean) / (deviation + 1e-6))
    return weights[0] * normal[:, :-1] + weights[1] * normal[:, -1:]
