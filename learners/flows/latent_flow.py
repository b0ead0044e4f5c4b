"""A flow of hidden states, and how far a policy's hidden states leave it: a reward of tokens from the latent space.

A small conditional flow is fitted on hidden states h_t of good sequences, given those of the token before. For tokens
of the policy the error of its velocity, at one noise level σ, tells how strange they are there:

    x = (1 − σ) h_t + σ ε        D_t = (1 − σ)/σ · mean over layers of ‖v(x, σ, h_{t−1}) − (ε − h_t)‖² / d

In a view `peaks` stretches D_t within the response and keeps what stands out, which is taken off the verifiable reward.
The flow goes on learning from responses that were right.

Source: RLFR, Extending Reinforcement Learning for LLMs with Flow Environment (Zhang et al. 2025), and its released
code: six residual blocks with adaptive normalisation, layers at 25, 50 and 75 % of the depth, and σ = 0.2 (τ = 0.8
there, which is 1 − σ).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from learners.flows.losses import matching_losses, noised

LatentField = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""From noised states `[N, d]`, σ `[N]`, states before `[N, d]` and places of layers from 0 to 1 `[N]`: velocities."""


class Block(nn.Module):
    """A residual layer whose normalisation, and whose share, follow from the condition; at first it does nothing."""

    def __init__(self, width: int) -> None:
        """Random weights, from torch's generator."""
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.body = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.adapt = nn.Linear(width, 3 * width)
        nn.init.zeros_(self.adapt.weight)
        nn.init.zeros_(self.adapt.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Both `[N, width]`."""
        shift, scale, gate = self.adapt(nn.functional.silu(condition)).chunk(3, -1)
        found: Tensor = x + gate * self.body(self.norm(x) * (1 + scale) + shift)
        return found


class LatentFlow(nn.Module):
    """v of hidden states, given the noise level, the state of the token before, and the layer."""

    def __init__(self, size: int, width: int = 64, blocks: int = 6, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            size: d, of the hidden states.
            width: of the blocks.
            blocks: how many.
            seed: of the weights.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.enter = nn.Linear(size, width)
            self.condition = nn.Linear(size + 2, width)
            self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
            self.leave = nn.Linear(width, size)

    def forward(self, x: Tensor, sigma: Tensor, before: Tensor, layer: Tensor) -> Tensor:
        """Velocities `[N, d]`; the arguments are those of a `LatentField`."""
        condition = self.condition(torch.cat([before, sigma[:, None], layer[:, None]], -1))
        x = self.enter(x)
        for block in self.blocks:
            x = block(x, condition)
        found: Tensor = self.leave(x)
        return found


def latent_losses(flow: LatentField, latents: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Matching loss of each token `[B, T]`, per number and averaged over layers: what the flow learns from.

    Args:
        flow: a `LatentFlow`, or another field.
        latents: hidden states of some layers, of the last token of the prompt and of each one after it
            `[B, layers, T + 1, d]`.
        sigma: σ of each token `[B, T]`; drawn evenly from 0 to 1 for training.
        generator: of ε.

    Raises:
        ValueError: shapes that do not fit.
    """
    if latents.ndim != 4 or sigma.shape != (len(latents), latents.shape[2] - 1):
        raise ValueError(
            f"got latents {tuple(latents.shape)} and sigma {tuple(sigma.shape)}; "
            "expected [B, layers, T + 1, d] and [B, T]"
        )
    rows, layers, tokens, size = len(latents), latents.shape[1], sigma.shape[1], latents.shape[3]
    clean, before = latents[:, :, 1:].reshape(-1, size), latents[:, :, :-1].reshape(-1, size)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    level = sigma[:, None].expand(rows, layers, tokens).reshape(-1)
    place = ((torch.arange(layers) + 1.0) / (layers + 1)).to(clean)[:, None].expand(rows, layers, tokens).reshape(-1)
    losses = matching_losses(flow(noised(clean, noise, level), level, before, place), clean, noise) / size
    return losses.view(rows, layers, tokens).mean(1)


@torch.no_grad()
def velocity_deviation(flow: LatentField, latents: Tensor, generator: torch.Generator, sigma: float = 0.2) -> Tensor:
    """D of each token `[B, T]`; the arguments are those of `latent_losses`.

    Raises:
        ValueError: σ that is not between 0 and 1, or shapes that do not fit.
    """
    if not 0 < sigma < 1:
        raise ValueError(f"got sigma={sigma}; expected 0 < sigma < 1")
    level = latents.new_full((len(latents), max(latents.shape[-2] - 1, 0)), sigma)
    return (1 - sigma) / sigma * latent_losses(flow, latents, level, generator)
