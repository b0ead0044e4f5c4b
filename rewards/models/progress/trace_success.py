"""`TraceSuccess`: whether what was seen of a run fulfils what was asked, and at which step it first does not.

    L = −log p(label | instruction, o_1 … o_T) − log p(first failing step), where that is known

It never sees actions or reasoning: only frames, as patches, of which any may be left out (`token_pruning`). Negatives
whose failing step is known are made by `near_misses`.

Source: ExeVRM, Video-Based Reward Modeling for Computer-Use Agents, a language model that reads video; the small
recurrent network, and that the failing step is a choice among all steps, are chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Traced(NamedTuple):
    """What is told of runs.

    Attributes:
        success: logit of success `[B]`.
        failing: logits of each step to be the first that fails, if one does `[B, T]`; −inf where there is none.
    """

    success: Tensor
    failing: Tensor

    def loss(self, label: Tensor, first: Tensor) -> Tensor:
        """The loss of each run `[B]`.

        Args:
            label: 1 for success, 0 for failure `[B]`.
            first: the first failing step `[B]`; below 0 where nobody knows it, or none fails.
        """
        told = F.binary_cross_entropy_with_logits(self.success, label, reduction="none")
        where = F.cross_entropy(self.failing, first.clamp(min=0), reduction="none")
        return told + torch.where(first >= 0, where, 0.0)


class TraceSuccess(nn.Module):
    """A recurrent network over frames: how well the best patch matches each sub-goal, and what all patches show."""

    def __init__(
        self, vocabulary: int, goals: int, patches: int, features: int, hidden: int = 48, seed: int = 0
    ) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            vocabulary: sub-goals that there are.
            goals: K, sub-goals of an instruction.
            patches: P, of a frame.
            features: of a patch.
            hidden: width.
            seed: of the weights.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.goal = nn.Embedding(vocabulary, hidden)
            self.place = nn.Embedding(patches, hidden)
            nn.init.normal_(self.place.weight, std=0.1)  # or a small change in one of many places would not be seen
            self.token = nn.Linear(features, hidden)
            self.cell = nn.GRU(goals + hidden, hidden, batch_first=True)
            self.success = nn.Linear(hidden, 1)
            self.failing = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, instructions: Tensor, tokens: Tensor, kept: Tensor, steps: Tensor) -> Traced:
        """What is told of runs.

        Args:
            instructions: sub-goals `[B, K]`.
            tokens: features of patches `[B, T, P, d]`.
            kept: which patches are read `[B, T, P]`, bool.
            steps: how many frames each run has, 1 to T `[B]`.
        """
        asked, read = self.goal(instructions), (self.token(tokens) + self.place.weight).relu()
        alike = torch.einsum("bkh,btph->btkp", asked, read) / asked.shape[-1] ** 0.5
        match = alike.masked_fill(~kept[:, :, None], -torch.inf).amax(-1)
        match = torch.where(kept.any(-1)[..., None], match, 0.0)
        shown = (read * kept[..., None]).sum(-2) / kept.sum(-1, keepdim=True).clamp(min=1)
        along, _ = self.cell(torch.cat([match, shown], -1))
        last = along[torch.arange(len(steps), device=steps.device), steps - 1]
        both = torch.cat([along, last[:, None].expand_as(along)], -1)
        there = torch.arange(along.shape[1], device=steps.device) < steps[:, None]
        failing = self.failing(both)[..., 0].masked_fill(~there, -torch.inf)
        return Traced(self.success(last)[:, 0], failing)
