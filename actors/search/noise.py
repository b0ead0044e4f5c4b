"""The noise that a generator makes the best sample of: gradient ascent on noise, with everything else frozen.

    ε* = argmax Σ_i λ_i R_i(G(ε)) + ρ K(ε)        K(ε) = (d − 1) log |ε| − |ε|² / 2

K is the log-density of the norm of d standard normal numbers, largest at |ε| = √(d − 1): it keeps the noise what the
generator knows, and leaves its direction free. Steps are of gradient with Nesterov's momentum, each row's gradient
clipped to a norm; of all iterates the one with the most reward is kept, not the last.

Source: ReNO, Enhancing One-step Text-to-Image Models through Reward-based Noise Optimization (Eyring et al. 2024): 50
steps, rate 5, clip 0.1 and ρ = 0.01, for noise of some ten thousand numbers. Chosen here: each row is searched for
itself, and ρ = ∞ holds the norm that the noise began with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Reward = Callable[[Tensor], Tensor]
"""From samples `[N, …]` their rewards `[N]`, with gradient."""


class Ascent(NamedTuple):
    """What the search found.

    Attributes:
        noise: the best noise of each row `[N, …]`.
        samples: what the generator makes of it.
        rewards: Σ λ R of every iterate, the start first `[N, steps]`.
    """

    noise: Tensor
    samples: Tensor
    rewards: Tensor


def norm_log_density(noise: Tensor) -> Tensor:
    """K(ε) of each row `[N]`, up to a constant; its gradient is ((d − 1) / |ε|² − 1) ε."""
    flat = noise.flatten(1)
    size = flat.norm(dim=1)
    found: Tensor = (flat.shape[1] - 1) * size.log() - size.square() / 2
    return found


def ascend_noise(
    noise: Tensor,
    generate: Callable[[Tensor], Tensor],
    rewards: Sequence[tuple[float, Reward]],
    steps: int = 50,
    rate: float = 5.0,
    clip: float = 0.1,
    regulariser: float = 0.01,
    momentum: float = 0.9,
) -> Ascent:
    """The best of `steps` iterates of each row: as many calls of the generator, the first of them on the noise given.

    Args:
        noise: ε to begin with, of a standard normal distribution `[N, …]`; it is not changed.
        generate: G, frozen: samples of noise, with gradient.
        rewards: λ and R, as pairs.
        steps: iterates.
        rate: of a step.
        clip: largest norm of a row's gradient.
        regulariser: ρ; 0: none; infinite: the norm stays what it was.
        momentum: of Nesterov; 0: plain ascent.

    Raises:
        ValueError: no step, no reward, a rate or a clip that is not above 0, or a regulariser below 0.
    """
    if steps < 1 or not rewards or rate <= 0 or clip <= 0 or not regulariser >= 0 or not 0 <= momentum < 1:
        raise ValueError(
            f"got steps={steps}, {len(rewards)} rewards, rate={rate}, clip={clip}, regulariser={regulariser}, "
            f"momentum={momentum}; expected at least one step and reward, rate and clip above 0, a regulariser of at "
            "least 0, and momentum from 0 to below 1"
        )
    held, size = math.isinf(regulariser), _norms(noise)
    here, speed = noise.detach().clone(), torch.zeros_like(noise)
    kept = made = noise.detach()
    highest, trace = noise.new_full((len(noise),), -torch.inf), list[Tensor]()
    for step in range(steps):
        with torch.enable_grad():
            here.requires_grad_()
            samples = generate(here)
            worth = torch.stack([weight * reward(samples) for weight, reward in rewards]).sum(0)
            if worth.shape != (len(here),) or not bool(worth.isfinite().all()):
                raise ValueError(
                    f"got rewards of shape {tuple(worth.shape)} at iterate {step}, {int((~worth.isfinite()).sum())} of "
                    f"them not finite; expected a finite number for each of {len(here)} samples"
                )
            goal = worth if held or not regulariser else worth + regulariser * norm_log_density(here)
            slope = torch.autograd.grad(goal.sum(), here)[0]
        here, samples, worth = here.detach(), samples.detach(), worth.detach()
        better = worth > highest
        kept = torch.where(_beside(better, here), here, kept)
        made = torch.where(_beside(better, samples), samples, made) if step else samples
        highest = torch.maximum(worth, highest)
        trace.append(worth)
        slope = slope * (clip / _norms(slope).clamp_min(1e-12)).clamp(max=1)
        speed = momentum * speed + slope
        here = here + rate * (slope + momentum * speed)
        if held:
            here = here * (size / _norms(here))
    return Ascent(kept, made, torch.stack(trace, 1))


def _norms(rows: Tensor) -> Tensor:
    """|x| of each row, of as many dimensions as x."""
    return _beside(rows.flatten(1).norm(dim=1), rows)


def _beside(values: Tensor, rows: Tensor) -> Tensor:
    """One value a row `[N]`, shaped to be multiplied with rows `[N, …]`."""
    return values.reshape(-1, *[1] * (rows.ndim - 1))
