"""`HopModel`: foretells the hop from one frame to another, given where the task starts and where it ends.

    h = tanh MLP(start, goal, before, after),    L = (h − label)²

Labels are `hops.hop` of the progress of demonstrations, on pairs drawn by `hops.balanced_weights`. The reward is the
difference of the progress that it reads along a trajectory (the part `potential`): paid as it is, progress would be
best where one stays with much of it and never ends.

Source: Robo-Dopamine (its General Reward Model is a language model that sees both frames from several cameras and
writes the hop as a number); the small network and the squared error are chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rewards.models.progress.hops import Perspectives, perspectives


class HopModel(nn.Module):
    """A small network that compares two frames."""

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
            self.net = nn.Sequential(
                nn.Linear(4 * frame, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
            )

    def forward(self, start: Tensor, goal: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Hops, −1 to 1 `[...]`.

        Args:
            start: frames in which tasks begin `[..., d]`; one for all is spread over the others.
            goal: frames in which they end, likewise.
            before: `[..., d]`.
            after: `[..., d]`.
        """
        found: Tensor = self.net(torch.cat(torch.broadcast_tensors(start, goal, before, after), -1))
        return found[..., 0].tanh()

    @torch.no_grad()
    def read(self, frames: Tensor, goal: Tensor) -> Perspectives:
        """Progress of the frames of a trajectory `[T + 1, d]` that set out from the first, from three perspectives."""
        start = frames[0]
        return perspectives(
            self(start, goal, frames[:-1], frames[1:]).cpu().numpy(),
            self(start, goal, start, frames).cpu().numpy(),
            self(start, goal, goal, frames).cpu().numpy(),
        )
