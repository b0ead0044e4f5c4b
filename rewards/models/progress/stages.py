"""`StageProgress`: in which stage of a task a window of frames is, and how far within it.

    k = argmax stage(o),    y = Σ_{j<k} B_j + B_k τ_k(o)

The stage is told before progress is: who mistakes the stage by one is off by its share, but time alone moves nobody on.
Labels are those of `progress_labels`. A model that sees several frames learns what going back looks like from
demonstrations that are run backwards from somewhere on (`rewound`).

Sources: SARM, Stage-Aware Reward Modeling for Long Horizon Robot Manipulation (a stage and a progress head on windows
of frames; rewinding as in ReWiND), and ProcVLM, Procedure-Grounded Progress Rewards (which actions remain, then
progress). Both encode images by large models. That one small network has a progress for each stage, and that both
losses are simply added, is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

Floats = NDArray[np.float64]


class Staged(NamedTuple):
    """What is told of frames.

    Attributes:
        stage: logits of the stages `[..., K]`.
        within: τ, progress within each stage if it is that one, 0 to 1 `[..., K]`.
    """

    stage: Tensor
    within: Tensor

    def progress(self, shares: Tensor) -> Tensor:
        """Progress y of each window `[...]`, of shares B `[K]`."""
        likeliest = self.stage.argmax(-1, keepdim=True)
        before = shares.cumsum(0) - shares
        return before[likeliest[..., 0]] + (shares * self.within).gather(-1, likeliest)[..., 0]

    def loss(self, stage: Tensor, within: Tensor) -> Tensor:
        """Cross-entropy of the stage and squared error within it `[N]`.

        Args:
            stage: k `[N]`.
            within: τ `[N]`; with the stage, it is `located` of a progress.
        """
        told = self.within.gather(-1, stage[..., None])[..., 0]
        return F.cross_entropy(self.stage, stage, reduction="none") + (told - within) ** 2


class StageProgress(nn.Module):
    """A network with a head for the stage and one for progress within each stage."""

    def __init__(self, inputs: int, stages: int, hidden: int = 64, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            inputs: numbers of a window of frames.
            stages: K; with one, it is a plain regression on progress.
            hidden: width.
            seed: of the weights.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
            self.stage = nn.Linear(hidden, stages)
            self.within = nn.Linear(hidden, stages)

    def forward(self, seen: Tensor) -> Staged:
        """What is told of windows `[..., inputs]`."""
        found = self.body(seen)
        return Staged(self.stage(found), self.within(found).sigmoid())


def windows(frames: ArrayLike, size: int) -> Floats:
    """The last `size` frames before and at each frame, one after the other `[T, size · d]`; at first, repeated.

    Args:
        frames: `[T, d]`.
        size: frames of a window, at least 1.

    Raises:
        ValueError: no frames, or no size.
    """
    seen = np.asarray(frames, np.float64)
    if seen.ndim != 2 or not len(seen) or size < 1:
        raise ValueError(f"got frames {seen.shape} and size={size}; expected [T, d], one at least, and at least 1")
    index = np.maximum(np.arange(len(seen))[:, None] + np.arange(1 - size, 1), 0)
    found: Floats = seen[index].reshape(len(seen), -1)
    return found


def rewound(frames: ArrayLike, progress: ArrayLike, turn: int, back: int) -> tuple[Floats, Floats]:
    """A demonstration up to frame `turn`, and from there `back` frames backwards; its progress goes back with it.

    Args:
        frames: `[T, d]`.
        progress: `[T]`.
        turn: the frame at which it turns, 0 to T − 1.
        back: how far, 0 to `turn`.

    Returns:
        Frames `[turn + 1 + back, d]`, and their progress.

    Raises:
        ValueError: frames that there are not.
    """
    seen, done = np.asarray(frames, np.float64), np.asarray(progress, np.float64)
    if len(seen) != len(done) or not 0 <= back <= turn < len(seen):
        raise ValueError(
            f"got {len(seen)} frames, {len(done)} of progress, turn={turn} and back={back}; expected as many of both, "
            "and 0 <= back <= turn < T"
        )
    index = np.concatenate([np.arange(turn + 1), np.arange(turn - 1, turn - 1 - back, -1)])
    return seen[index], done[index]
