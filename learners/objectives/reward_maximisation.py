"""R0: a generator learns from differentiable rewards alone; what kept it honest is replaced by three regularisers.

Weights stay near the pretrained ones, samples are noised again by a random amount between the generator's steps, and
several rewards are followed at once with gradients of one scale.

Source: R0, Rewards Are Enough for Fast Photo-Realistic Text-to-image Generation. Its code is not out: the forms below
are chosen here, without the modality: samples are vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def blended_gradient(gradients: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Σ_i w_i g_i / rms(g_i), times the weighted mean of the rms, `[B, D]`: no reward is loud by its units.

    rms is over the batch, of the lengths of the rows. A reward with no gradient anywhere adds nothing. With one reward
    it is that reward's own gradient, w g.

    Args:
        gradients: of each reward by the samples, `[B, D]`.
        weights: w, by the same names, at least 0.

    Raises:
        ValueError: names that differ, or a negative weight.
    """
    if set(gradients) != set(weights) or not gradients or min(weights.values()) < 0:
        raise ValueError(
            f"got gradients of {sorted(gradients)} and weights {dict(weights)}; expected the same, not below 0"
        )
    scale = {name: g.square().sum(-1).mean().sqrt() for name, g in gradients.items()}
    total = max(sum(weights.values()), torch.finfo(torch.float32).tiny)
    size = torch.stack([weights[name] * s for name, s in scale.items()]).sum() / total
    tiny = torch.finfo(size.dtype).tiny
    return size * torch.stack([weights[n] * g / scale[n].clamp(min=tiny) for n, g in gradients.items()]).sum(0)


def weight_distance(weights: Sequence[Tensor], pretrained: Sequence[Tensor]) -> Tensor:
    """Σ |θ − θ₀|², a scalar; no gradient flows through θ₀."""
    pairs = zip(weights, pretrained, strict=True)
    return torch.stack([(own - first.detach()).square().sum() for own, first in pairs]).sum()


def renoise(kept: Tensor, level: float, eta: Tensor, noise: Tensor, predicted: Tensor) -> Tensor:
    """A sample at noise `level` made of the predicted clean one, part of its own noise kept and part drawn anew.

    x = (1 − s) x̂ + s (√(1 − η²) ε̂ + η ε), with ε̂ the noise of the step before. η = 0 is deterministic,
    η = 1 draws all noise anew; drawn at random, the reward is met from many noises.

    Args:
        kept: ε̂, `[B, D]`.
        level: s, in [0, 1].
        eta: η of each sample, in [0, 1], `[B]`.
        noise: ε, `[B, D]`.
        predicted: x̂, `[B, D]`.

    Raises:
        ValueError: a level outside [0, 1].
    """
    if not 0 <= level <= 1:
        raise ValueError(f"got a noise level of {level}; expected one in [0, 1]")
    share = eta[:, None]
    return (1 - level) * predicted + level * ((1 - share.square()).clamp(min=0).sqrt() * kept + share * noise)
