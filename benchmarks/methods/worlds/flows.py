"""A flow-matching generator of points, taught by data and then by rewards: velocity field, sampler, and GRPO.

Points have two numbers (or a few more); everything is batched, and a second is some two hundred updates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from learners.objectives.flow_steps import flow_log_prob, flow_mean

STEPS = 10
Guide = Callable[[Tensor, float], Tensor]
"""From states `[N, d]` and σ, a direction `[N, d]`."""


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


def match(flow: Velocity, data: Callable[[int], tuple[Tensor, Tensor | None]], steps: int, rate: float = 2e-3) -> None:
    """Flow matching on what `data` draws (points and conditions), in place."""
    optimiser = torch.optim.Adam(flow.parameters(), rate)
    for _ in range(steps):
        clean, condition = data(256)
        noise, sigma = torch.randn_like(clean), torch.rand(len(clean), 1)
        loss = (flow((1 - sigma) * clean + sigma * noise, sigma, condition) - (noise - clean)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


class Path(NamedTuple):
    """Samples with the way to them.

    Attributes:
        states: `[N, STEPS + 1, d]`; the last is the sample.
        log_probs: of the steps with noise `[N, W]`.
        window: which those are.
        guided: what guidance moved the means by `[N, W, d]`.
    """

    states: Tensor
    log_probs: Tensor
    window: Sequence[int]
    guided: Tensor


@torch.no_grad()
def sample(
    flow: Velocity,
    start: Tensor,
    condition: Tensor | None = None,
    eta: float = 0.0,
    window: Sequence[int] = range(STEPS),
    guide: Guide | None = None,
    strength: float = 0.0,
) -> Path:
    """Samples from noise `[N, d]`; with `eta` 0 by the ordinary equation."""
    states, log_probs, guided = [start], [], []
    for k in range(STEPS):
        sigma, after = 1 - k / STEPS, 1 - (k + 1) / STEPS
        x, noisy = states[-1], bool(eta) and k in window
        plain = flow_mean(x, flow(x, sigma, condition), sigma, after, eta if noisy else 0.0)
        led = guide(x, sigma) if guide is not None else torch.zeros_like(x)
        mean = plain + strength * led / led.norm(dim=1, keepdim=True).clamp_min(1e-12)
        made = mean + eta * (sigma - after) ** 0.5 * torch.randn_like(x) if noisy else mean
        if noisy:
            log_probs.append(flow_log_prob(made, mean, sigma, after, eta))
            guided.append(mean - plain)
        states.append(made)
    none = torch.zeros(len(start), 0)
    return Path(
        torch.stack(states, 1),
        torch.stack(log_probs, 1) if log_probs else none,
        list(window) if eta else [],
        torch.stack(guided, 1) if guided else none[..., None],
    )


def log_probs(flow: Velocity, path: Path, eta: float, condition: Tensor | None = None) -> Tensor:
    """Log-densities of a path's noisy steps under the flow as it is now `[N, W]`; guidance counts as it was."""
    found = []
    for place, k in enumerate(path.window):
        sigma, after = 1 - k / STEPS, 1 - (k + 1) / STEPS
        x = path.states[:, k]
        mean = flow_mean(x, flow(x, sigma, condition), sigma, after, eta) + path.guided[:, place]
        found.append(flow_log_prob(path.states[:, k + 1], mean, sigma, after, eta))
    return torch.stack(found, 1)


def ascend(
    flow: Velocity,
    optimiser: torch.optim.Optimizer,
    path: Path,
    advantage: Tensor,
    eta: float,
    condition: Tensor | None = None,
    epochs: int = 2,
    clip: float = 0.2,
) -> None:
    """Clipped policy gradient on the noisy steps of a path; advantages `[N, W]` or `[N, 1]`."""
    for _ in range(epochs):
        ratio = (log_probs(flow, path, eta, condition) - path.log_probs).clamp(-20, 20).exp()
        loss = -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimiser.step()
