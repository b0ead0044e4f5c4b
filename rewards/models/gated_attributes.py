"""`GatedAttributes`: a reward that is a sum of attributes, weighted by what was asked.

    r' = W f(x, y)      attributes of an answer, from fixed heads
    g  = softmax(MLP(f(x)))      how much each counts, from the prompt alone
    R  = g · r'

The weights tell why an answer is preferred. Only the gate learns, by Bradley-Terry on β R, β a learnt scale; the heads
come from `fit_heads`, and without what length explains from `debiasing.without`.

Source: ArmoRM, Interpretable Preferences via Multi-Objective Reward Modeling and Mixture-of-Experts (Wang, Xiong et al.
2024), stage 2: three hidden layers of 1024, β 100 at first, which suits attributes between 0 and 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Explained(NamedTuple):
    """A score, and what it is made of.

    Attributes:
        score: R `[...]`.
        attributes: r' `[..., K]`.
        weights: g `[..., K]`; none below 0, and their sum is 1.
    """

    score: Tensor
    attributes: Tensor
    weights: Tensor


class GatedAttributes(nn.Module):
    """Attributes by fixed linear heads, and a gate over them that reads the prompt."""

    heads: Tensor

    def __init__(
        self, heads: Tensor, prompt: int, hidden: int = 1024, layers: int = 3, scale: float = 100.0, seed: int = 0
    ) -> None:
        """A gate with random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            heads: W `[K, d]`; they do not learn.
            prompt: numbers of a prompt's features.
            hidden: width of the gate.
            layers: hidden layers of the gate.
            scale: β at first.
            seed: of the gate's weights.

        Raises:
            ValueError: heads that are no matrix, or a scale that is not above 0.
        """
        super().__init__()
        if heads.ndim != 2 or scale <= 0:
            raise ValueError(f"got heads {tuple(heads.shape)} and scale={scale}; expected [K, d] and a number above 0")
        self.register_buffer("heads", heads)
        self.scale = nn.Parameter(torch.tensor(scale))
        widths = [prompt, *[hidden] * layers]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            body = [m for k in range(layers) for m in (nn.Linear(widths[k], widths[k + 1]), nn.ReLU())]
            self.gate = nn.Sequential(*body, nn.Linear(widths[-1], len(heads)))

    def forward(self, prompts: Tensor, answers: Tensor) -> Explained:
        """Score, attributes and weights of answers.

        Args:
            prompts: features of prompts `[..., p]`.
            answers: features of answers to them `[..., d]`.
        """
        attributes = answers @ self.heads.T
        weights = self.gate(prompts).softmax(-1)
        return Explained((weights * attributes).sum(-1), attributes, weights)
