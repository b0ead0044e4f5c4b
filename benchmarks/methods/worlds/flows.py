"""A flow-matching generator of points, taught by data and then by rewards: its network, and how it is trained.

Points have two numbers (or a few more); everything is batched, and a second is some two hundred updates. It stands for
generators of pictures, sounds and movements: what is learnt from is the same, only the network is small.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from learners.flows.losses import clipped_losses, flow_dpo, matching_losses, noised
from learners.flows.sampler import Field, Path, path_log_probs

STEPS = 10


class Velocity(nn.Module):
    """v(x, σ, c) of points, for a condition of a few numbers."""

    def __init__(self, seed: int, size: int = 2, condition: int = 0, hidden: int = 64) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.size = size
        self.body = nn.Sequential(
            nn.Linear(size + condition + 1, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, size),
        )

    def forward(self, x: Tensor, sigma: Tensor | float, condition: Tensor | None = None) -> Tensor:
        """Velocity `[N, d]`; σ is one number or `[N, 1]`."""
        time = torch.as_tensor(sigma, dtype=x.dtype).expand(len(x), 1)
        found: Tensor = self.body(torch.cat([x, time, *([] if condition is None else [condition])], 1))
        return found

    def given(self, condition: Tensor | None) -> Field:
        """The field of a condition `[N, c]`."""
        return lambda x, sigma: self(x, sigma, condition)


def match(flow: Velocity, data: Callable[[int], tuple[Tensor, Tensor | None]], steps: int, rate: float = 2e-3) -> None:
    """Flow matching on what `data` draws (points and conditions), in place."""
    optimiser = torch.optim.Adam(flow.parameters(), rate)
    for _ in range(steps):
        clean, condition = data(256)
        noise, sigma = torch.randn_like(clean), torch.rand(len(clean), 1)
        loss = matching_losses(flow(noised(clean, noise, sigma), sigma, condition), clean, noise).mean() / flow.size
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def ring(number: int) -> tuple[Tensor, None]:
    """Points near a circle of radius 2."""
    angle = 2 * torch.pi * torch.rand(number)
    points = 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(number, 2)
    return points, None


def taught(seed: int) -> Velocity:
    """A flow that makes points of the ring."""
    flow = Velocity(seed)
    match(flow, ring, 800)
    return flow


def prefer(
    flow: Velocity,
    reference: Velocity,
    optimiser: torch.optim.Optimizer,
    chosen: Tensor,
    rejected: Tensor,
    condition: Tensor | None = None,
    beta: float = 1.0,
) -> None:
    """One step of DPO on pairs of samples `[P, d]`, both of a pair at the same noise and σ."""
    losses = []
    noise, sigma = torch.randn_like(chosen), torch.rand(len(chosen), 1)
    for clean in (chosen, rejected):
        x = noised(clean, noise, sigma)
        with torch.no_grad():
            old = matching_losses(reference(x, sigma, condition), clean, noise)
        losses.append(torch.stack([matching_losses(flow(x, sigma, condition), clean, noise), old]))
    loss = flow_dpo(losses[0], losses[1], beta).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def ascend(
    flow: Velocity,
    optimiser: torch.optim.Optimizer,
    path: Path,
    advantage: Tensor,
    condition: Tensor | None = None,
    epochs: int = 2,
    clip: float = 0.2,
) -> None:
    """Clipped policy gradient on the noisy steps of a path; advantages `[N, W]` or `[N, 1]`."""
    for _ in range(epochs):
        loss = clipped_losses(path_log_probs(flow.given(condition), path), path, advantage, clip).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimiser.step()
