"""Reward models of several aspects that know nothing of each other, and one reward of all of them.

    L_k = −log σ(r_k(better) − r_k(worse))        pairs of aspect k, from easy to hard
    R = Σ_k w_k σ((r_k − m_k) / s_k)              m_k, s_k: mean and deviation over what aspect k was taught with

Each reads features of its own, and is taught with pairs of which the worse one was made worse in that aspect alone. So
R says not only that something is wrong, but pays for each thing that is right.

Source: RESTL (Fang et al. 2025), for propositions, meaning, succinctness and symbols of temporal formulas. The loss,
the logistic of standard scores and equal weights are chosen here; it does not matter what the aspects are of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rewards.data.curriculum import batches
from rewards.models.mlp_head import MLPHead
from rewards.models.ranking import bradley_terry_loss


class AspectPairs(NamedTuple):
    """Pairs that differ in one aspect.

    Attributes:
        better: features `[P, d]`.
        worse: features `[P, d]`.
        difficulty: of telling them apart `[P]`.
    """

    better: Tensor
    worse: Tensor
    difficulty: ArrayLike


class MultiAspect(nn.Module):
    """One head an aspect."""

    def __init__(
        self, features: Mapping[str, int], weights: Mapping[str, float] | None = None, hidden: int = 64, seed: int = 0
    ) -> None:
        """Random weights that `seed` determines.

        Args:
            features: by aspect, how many numbers it reads.
            weights: w of each; None: equal ones that sum to 1.
            hidden: width of the heads.
            seed: of the weights.

        Raises:
            ValueError: no aspect, or weights of others.
        """
        super().__init__()
        self.weights = dict.fromkeys(features, 1 / max(len(features), 1)) if weights is None else dict(weights)
        if not features or self.weights.keys() != features.keys():
            raise ValueError(f"got weights of {sorted(self.weights)}; expected one for each of {sorted(features)}")
        self.heads = nn.ModuleDict(
            {name: MLPHead(size, hidden, seed=seed + number) for number, (name, size) in enumerate(features.items())}
        )
        self.scale: Tensor  # mean and deviation of each aspect's scores; goes with the weights
        self.register_buffer("scale", torch.tensor([[0.0, 1.0]]).repeat(len(features), 1))

    def teach(
        self,
        aspect: str,
        pairs: AspectPairs,
        steps: int,
        seed: int,
        first: float = 0.1,
        batch: int = 64,
        rate: float = 3e-3,
    ) -> None:
        """Teach one aspect, in place.

        Args:
            aspect: which.
            pairs: of that aspect.
            steps: of gradient.
            seed: of the batches.
            first: share of the pairs, the easiest ones, that it begins with; 1 is no curriculum.
            batch: pairs a step.
            rate: of Adam.

        Raises:
            ValueError: an aspect that there is not.
        """
        if aspect not in self.heads:
            raise ValueError(f"got aspect {aspect!r}; expected one of {sorted(self.heads)}")
        head, even = self.heads[aspect], torch.full((batch,), 1.0)
        optimiser = torch.optim.Adam(head.parameters(), rate)
        for drawn in batches(pairs.difficulty, steps, batch, np.random.default_rng(seed), first):
            rows = torch.as_tensor(drawn)
            loss = bradley_terry_loss(head(pairs.better[rows]), head(pairs.worse[rows]), even)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            scores = head(torch.cat([pairs.better, pairs.worse]))
        self.scale[list(self.heads).index(aspect)] = torch.stack([scores.mean(), scores.std().clamp(min=1e-6)])

    @torch.no_grad()
    def aspects(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each aspect by itself, between 0 and 1 `[B]`.

        Args:
            features: by aspect `[B, d]`.

        Raises:
            ValueError: features of other aspects.
        """
        if features.keys() != set(self.heads):
            raise ValueError(f"got features of {sorted(features)}; expected those of {sorted(self.heads)}")
        found = {}
        for (name, head), (mean, deviation) in zip(self.heads.items(), self.scale, strict=True):
            found[name] = ((head(features[name]) - mean) / deviation).sigmoid()
        return found

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """R `[B]`, of features by aspect `[B, d]`."""
        return torch.stack([self.weights[name] * score for name, score in self.aspects(features).items()]).sum(0)
