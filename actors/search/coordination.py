"""`Coordinator`: whether to act now or to prepare, foretold from what a critic makes of both and how it went so far.

A small classifier reads the highest values of both kinds of motion, how crowded the target is and how often it was
tried in vain, and foretells whether acting would succeed. Its labels are the outcomes of acting, and cost nothing.

Source: Grasping the Invisible (Yang, Liang and Choi 2020): 16 and 8 hidden units and cross-entropy as in its released
code; batch normalisation is replaced by a fixed scale of the features, chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Coordinator(nn.Module):
    """Foretells whether acting now succeeds."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, features: Tensor) -> None:
        """Random weights; the scale of each feature is that of these `[N, F]`.

        Raises:
            ValueError: fewer than two, which have no scale.
        """
        super().__init__()
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"got features of shape {tuple(features.shape)}; expected [N, F], two at least")
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("deviation", features.std(0).clamp(min=1e-6))
        width = features.shape[1]
        self.layers = nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Log-odds that acting succeeds `[B]`, of features `[B, F]`."""
        found: Tensor = self.layers((features - self.mean) / self.deviation)[..., 0]
        return found

    @torch.no_grad()
    def acts(self, features: Tensor) -> Tensor:
        """Whether to act rather than to prepare `[B]`: success is more likely than not."""
        return self.forward(features) > 0
