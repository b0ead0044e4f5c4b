"""Controllers of what is written, one for each dimension of its reward, and a decoder of how much of each comes when.

    h'' = h + Σ_n ε_n W_n h,    W_n = U_n V_n of low rank

h is the last hidden state before the logits, ε_n the level of dimension n for the sentence that a token is in. Trained
with the reward Σ_n ε_n r_n, less a price for leaving the model, W_n moves the text along r_n by as much as it is asked
to; with all ε at 0 the model is what it was. From the levels of the sentences so far, a recurrent decoder foretells
those of the next, such as novelty first and feasibility in a plan of experiments.

Source: LDC, Learning to Generate Research Ideas with Dynamic Control (Li et al. 2024), with the form of LM-Steer (Han
et al. 2024). Chosen here: the low rank, U at 0 at first, and a decoder that sees levels only, between −1 and 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DimensionalControllers(nn.Module):
    """The matrices W_n.

    Attributes:
        dimensions: N.
    """

    def __init__(self, dimensions: int, hidden: int, rank: int = 4) -> None:
        """Controllers that do nothing yet.

        Args:
            dimensions: N, of the reward.
            hidden: size of the hidden state.
            rank: of each W_n.

        Raises:
            ValueError: sizes below 1, or a rank above that of the hidden state.
        """
        super().__init__()
        if dimensions < 1 or not 1 <= rank <= hidden:
            raise ValueError(
                f"got {dimensions} dimensions, rank {rank} of {hidden}; expected at least 1, rank ≤ hidden"
            )
        self.dimensions = dimensions
        self.down = nn.Parameter(torch.randn(dimensions, rank, hidden) / hidden**0.5)
        self.up = nn.Parameter(torch.zeros(dimensions, hidden, rank))

    def forward(self, hidden: Tensor, levels: Tensor) -> Tensor:
        """Steered hidden states `[…, H]`.

        Args:
            hidden: of each token `[…, H]`.
            levels: ε of each token `[…, N]`.

        Raises:
            ValueError: levels of another number of dimensions.
        """
        if levels.shape[-1] != self.dimensions:
            raise ValueError(f"got levels of {levels.shape[-1]} dimensions; expected {self.dimensions}")
        inner = torch.einsum("nrh,...h->...nr", self.down, hidden) * levels[..., None]
        steered: Tensor = hidden + torch.einsum("nhr,...nr->...h", self.up, inner)
        return steered


class LevelDecoder(nn.Module):
    """Levels of the next sentence from those of the sentences before it."""

    def __init__(self, dimensions: int, hidden: int = 16) -> None:
        """Random weights."""
        super().__init__()
        self.cell = nn.GRU(dimensions, hidden, batch_first=True)
        self.head = nn.Linear(hidden, dimensions)

    def forward(self, levels: Tensor) -> Tensor:
        """What is foretold of each sentence from those before it `[B, S, N]`; of the first from nothing.

        Args:
            levels: of sentences as they were `[B, S, N]`.
        """
        found, _ = self.cell(nn.functional.pad(levels[:, :-1], (0, 0, 1, 0)))
        foretold: Tensor = self.head(found).tanh()
        return foretold

    @torch.no_grad()
    def schedule(self, sentences: int) -> Tensor:
        """Levels of a text of so many sentences, each from those that were foretold before `[S, N]`."""
        levels = torch.zeros(1, sentences, self.head.out_features)
        for number in range(sentences):
            levels[:, number] = self(levels)[:, number]
        return levels[0]
