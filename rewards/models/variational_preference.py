"""Preferences of people who differ, told apart by a latent that is inferred from a few choices of each.

    q(z | choices of one person) = N(μ, σ²)                 an encoder of sets
    P(s⁺ ≻ s⁻ | z) = σ(r(s⁺, z) − r(s⁻, z))                  one reward for all, given z
    loss = −Σ_n log P(s⁺_n ≻ s⁻_n | z) + β KL(q ‖ N(0, I))   z drawn from q

Rewards of different people are on scales of their own. `rate`, how often a state is preferred to others, lies between 0
and 1 for everybody (VPL-SPO); in a view, `reference_relative` does the same.

Source: VPL, Personalizing Reinforcement Learning from Human Feedback with Variational Preference Learning (Poddar et
al. 2024). There the encoder reads a fixed number of pairs side by side; here it adds up what each pair tells, so that
there may be any number, in any order, and KL has its factor ½, which the released code lacks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


class Latent(NamedTuple):
    """Where the latent of each person is, `[B, Z]` each."""

    mean: Tensor
    log_variance: Tensor

    def drawn(self, generator: torch.Generator) -> Tensor:
        """A sample `[B, Z]`, with gradients."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype)
        return self.mean + (0.5 * self.log_variance).exp() * noise.to(self.mean.device)


def divergence(latent: Latent) -> Tensor:
    """KL(q ‖ N(0, I)) of each person, in nats `[B]`."""
    mean, log_variance = latent
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)


def negative_elbo(chosen: Tensor, rejected: Tensor, latent: Latent, beta: float = 1.0) -> Tensor:
    """−Σ_n log σ(r⁺ − r⁻) + β KL(q ‖ N(0, I)) of each person, `[B]`.

    Args:
        chosen: rewards of what each preferred, given their latent `[B, N]`.
        rejected: of the others `[B, N]`.
        latent: q.
        beta: β.
    """
    return -logsigmoid(chosen - rejected).sum(-1) + beta * divergence(latent)


class VariationalPreference(nn.Module):
    """An encoder of choices, and a reward that depends on what it finds."""

    def __init__(self, size: int, latent: int = 32, hidden: int = 64, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            size: numbers of a state.
            latent: numbers of z.
            hidden: width of all layers.
            seed: of the weights.
        """
        super().__init__()
        self.latent = latent
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.pair = nn.Sequential(nn.Linear(2 * size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
            self.place = nn.Linear(hidden, 2 * latent)
            self.decoder = nn.Sequential(
                nn.Linear(size + latent, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
            )

    def infer(self, chosen: Tensor, rejected: Tensor) -> Latent:
        """Where the latents of people are, by their choices.

        Args:
            chosen: states that each preferred `[B, N, d]`.
            rejected: to these `[B, N, d]`; N may be 0.
        """
        told = self.pair(torch.cat([chosen, rejected], -1)).sum(1)
        mean, log_variance = self.place(told).chunk(2, -1)
        return Latent(mean, log_variance)

    def reward(self, states: Tensor, z: Tensor) -> Tensor:
        """r(s, z), `[B, S]`.

        Args:
            states: `[B, S, d]`.
            z: a latent of each person `[B, Z]`; zeros for one reward for all.
        """
        each = z[:, None].expand(-1, states.shape[1], -1)
        found: Tensor = self.decoder(torch.cat([states, each], -1))[..., 0]
        return found

    def rate(self, states: Tensor, others: Tensor, z: Tensor) -> Tensor:
        """How often each state is preferred to one of `others`, mean_s' σ(r(s, z) − r(s', z)), `[B, S]`.

        Args:
            states: `[B, S, d]`.
            others: what they are compared with `[B, M, d]`.
            z: `[B, Z]`.
        """
        return torch.sigmoid(self.reward(states, z)[:, :, None] - self.reward(others, z)[:, None]).mean(-1)
