"""`Multifaceted`: three rewards of one model of frames: which of two is nearer the goal, how far one is, if it is done.

    c(a, b) = 2 σ(g(a, b) − g(b, a)) − 1,    c(b, a) = −c(a, b)
    r_t     = w_c c(o_{t−k}, o_t) + w_p (p(o_t) − p(o_{t−k})) + w_s 1[s(o_t) > ½]

    L       = −log σ(± (g(a, b) − g(b, a))) + (p − share of time)² + cross-entropy of s

Which of two frames is nearer is easier to say than how far each is; progress says by how much; and completion is what
it is all about, but comes late.

Source: Large Reward Models: Generalizable Online Robot Reward Generation with Vision-Language Models, where one
language model is asked each in words. The small network, antisymmetry by construction and weights of 1 are chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Weights(NamedTuple):
    """What each of the three counts."""

    contrast: float = 1.0
    progress: float = 1.0
    completion: float = 1.0


ALIKE = Weights()


class Multifaceted(nn.Module):
    """A network of frames with a head for pairs, for progress and for completion."""

    def __init__(self, frame: int, hidden: int = 64, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            frame: numbers of a frame.
            hidden: width.
            seed: of the weights.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Linear(frame, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
            self.pair = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
            self.single = nn.Linear(hidden, 2)

    def nearer(self, one: Tensor, other: Tensor) -> Tensor:
        """Logit that the other frame is nearer to the goal than the one `[...]`, of frames `[..., d]`."""
        a, b = self.body(one), self.body(other)
        found: Tensor = self.pair(torch.cat([a, b], -1)) - self.pair(torch.cat([b, a], -1))
        return found[..., 0]

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Progress, 0 to 1, and the logit of completion of frames `[..., d]`, `[...]` each."""
        progress, done = self.single(self.body(frames)).unbind(-1)
        return progress.sigmoid(), done

    def loss(self, one: Tensor, other: Tensor, nearer: Tensor, progress: Tensor, done: Tensor) -> Tensor:
        """The loss of each pair of frames of a demonstration `[N]`.

        Args:
            one: frames `[N, d]`.
            other: frames of the same demonstrations `[N, d]`.
            nearer: 1 where the other is nearer to the goal, −1 where the one is `[N]`.
            progress: of the other frame, 0 to 1 `[N]`.
            done: 1 where it shows the task completed, else 0 `[N]`.
        """
        told, logit = self(other)
        contrast = F.softplus(-nearer * self.nearer(one, other))
        completion = F.binary_cross_entropy_with_logits(logit, done, reduction="none")
        found: Tensor = contrast + (told - progress) ** 2 + completion
        return found

    @torch.no_grad()
    def reward(self, before: Tensor, after: Tensor, weights: Weights = ALIKE) -> Tensor:
        """What is paid for getting from one frame to another `[...]`, of frames `[..., d]`.

        Args:
            before: some steps ago.
            after: now.
            weights: of the three.
        """
        (was, _), (now, logit) = self(before), self(after)
        contrast = 2 * self.nearer(before, after).sigmoid() - 1
        done = (logit > 0).to(now.dtype)
        found: Tensor = weights.contrast * contrast + weights.progress * (now - was) + weights.completion * done
        return found
