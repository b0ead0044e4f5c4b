"""The way from noise to a sample by a velocity field, with noise in some steps, and its densities under another field.

Any function of (x, σ) that gives a velocity is a field: a network with its condition bound is one. The path says what
a policy gradient needs of it: the states, which steps had noise, and how likely these were.

Sources: Flow-GRPO and DanceGRPO (noise in all steps); PrismAudio's Fast-GRPO (in a window); Euphonium (guidance).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from learners.flows.steps import flow_log_prob, flow_mean

Field = Callable[[Tensor, float], Tensor]
"""From states `[N, …]` and σ, as many velocities, or directions of guidance."""


class Path(NamedTuple):
    """Samples with the way to them.

    Attributes:
        states: `[N, steps + 1, …]`; the first is the noise, the last the sample.
        log_probs: of the steps with noise `[N, W]`.
        window: numbers of those steps, rising.
        guided: what guidance moved their means by `[N, W, …]`.
        eta: size of the noise.
    """

    states: Tensor
    log_probs: Tensor
    window: Sequence[int]
    guided: Tensor
    eta: float


@torch.no_grad()
def sample(
    velocity: Field,
    start: Tensor,
    steps: int,
    eta: float = 0.0,
    window: Sequence[int] | None = None,
    guide: Field | None = None,
    strength: float = 0.0,
    generator: torch.Generator | None = None,
) -> Path:
    """Samples of a velocity field, in `steps` steps of equal σ.

    Args:
        velocity: v(x, σ).
        start: noise, of a standard normal distribution `[N, …]`.
        steps: how many.
        eta: size of the noise on the way; 0: the Euler steps of the ordinary equation.
        window: which steps have noise; None: all.
        guide: gradient of a process reward; None: no guidance.
        strength: how far that leads a step.
        generator: of the noise on the way; None: torch's own.

    Raises:
        ValueError: no step, or a window of steps that there are not.
    """
    if steps < 1:
        raise ValueError(f"got {steps} steps; expected at least 1")
    if strange := [k for k in window or () if k not in range(steps)]:
        raise ValueError(f"got a window with {strange} of {steps} steps; expected numbers from 0 to {steps - 1}")
    window = tuple(k for k in range(steps) if window is None or k in window) if eta else ()
    states, log_probs, guided = [start], [], []
    for k in range(steps):
        sigma, after = 1 - k / steps, 1 - (k + 1) / steps
        x, noise = states[-1], eta if k in window else 0.0
        field = velocity(x, sigma)
        plain = flow_mean(x, field, sigma, after, noise)
        led = None if guide is None else guide(x, sigma)
        mean = flow_mean(x, field, sigma, after, noise, led, strength)
        made = mean
        if noise:
            made = mean + noise * (sigma - after) ** 0.5 * torch.randn(x.shape, generator=generator).to(x)
            log_probs.append(flow_log_prob(made, mean, sigma, after, noise))
            guided.append(mean - plain)
        states.append(made)
    return Path(
        torch.stack(states, 1),
        torch.stack(log_probs, 1) if log_probs else start.new_zeros(len(start), 0),
        window,
        torch.stack(guided, 1) if guided else start.new_zeros(len(start), 0, *start.shape[1:]),
        eta,
    )


def path_log_probs(velocity: Field, path: Path) -> Tensor:
    """Log-densities of a path's noisy steps under a field, with gradient `[N, W]`; guidance counts as it was.

    Raises:
        ValueError: a path without noise, which has none.
    """
    if not path.window:
        raise ValueError("got a path without noise, which has no density; expected one that was sampled with eta > 0")
    steps, found = path.states.shape[1] - 1, []
    for place, k in enumerate(path.window):
        sigma, after = 1 - k / steps, 1 - (k + 1) / steps
        x = path.states[:, k]
        mean = flow_mean(x, velocity(x, sigma), sigma, after, path.eta) + path.guided[:, place]
        found.append(flow_log_prob(path.states[:, k + 1], mean, sigma, after, path.eta))
    return torch.stack(found, 1)


def guided_velocity(velocity: Tensor, guide: Tensor, strength: float, steps: int) -> Tensor:
    """V − s g / (|g| |dσ|): the velocity whose Euler step is the guided one, of the shape of `velocity`.

    A field that is fitted to it needs no reward model any more (Euphonium's distillation; its form is chosen here).

    Args:
        velocity: of the field as it is `[N, …]`.
        guide: g, of the same shape; where it is 0 nothing is added.
        strength: s, how far guidance leads a step.
        steps: of the sampler.
    """
    size = guide.flatten(1).norm(dim=1).reshape(-1, *[1] * (guide.ndim - 1))
    found: Tensor = velocity - strength * steps * guide / size.clamp_min(1e-12)
    return found
