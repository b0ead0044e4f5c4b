"""`LocalisedDefect`: whether a trajectory breaks, how, and from when to when; so that what breaks is what pays for it.

    L = −log p(kind) + λ · mean_t BCE(z_t, 1[onset ≤ t ≤ offset])        kind 0 is a sound trajectory
    R = P(sound)        r_t = −P(defective) · 1[t ∈ span] / |span|        span = argmax over stretches of Σ_t z_t

That stretch is the likeliest one of steps that are labelled independently, with log-odds z_t. One that is surely sound
pays nothing at any step, any other in all what it is short of R = 1: also one that is only rather called sound, or
defects that are seldom seen would be free.

Source: DeeptraceReward, Learning Human-Perceived Fakeness in AI-Generated Videos (Fu et al. 2025): categories, regions,
onset and offset of what gives a video away, told by a language model that reads videos. Labels of the steps of any
trajectory by a small convolutional network, and both rewards, are chosen here; there are no regions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FAR = 1e4
"""Log-odds that are as good as certain; so that sums over steps that are not there stay numbers."""


class Findings(NamedTuple):
    """What is found in trajectories.

    Attributes:
        kinds: logits of being sound and of each kind of defect `[B, 1 + K]`.
        steps: log-odds of each step to be defective `[B, T]`; −inf where there is no step.
    """

    kinds: Tensor
    steps: Tensor

    def score(self) -> Tensor:
        """R, the probability to be sound `[B]`."""
        return self.kinds.softmax(-1)[:, 0]

    def kind(self) -> Tensor:
        """The likeliest kind of defect, from 1 `[B]`; 0 where the trajectory is called sound, as R is at least ½."""
        return torch.where(self.score() < 0.5, 1 + self.kinds[:, 1:].argmax(-1), 0)

    def spans(self) -> Tensor:
        """First and last defective step `[B, 2]`; −1 and −1 where the trajectory is called sound."""
        return torch.where((self.kind() > 0)[:, None], best_stretch(self.steps), -1)

    def step_rewards(self) -> Tensor:
        """r_t `[B, T]`: R − 1, spread over the likeliest span, whatever the trajectory is called; 0 outside of it."""
        share = _inside(best_stretch(self.steps), self.steps.shape[1]).to(self.kinds.dtype)
        return share / share.sum(1, keepdim=True) * (self.score() - 1)[:, None]

    def loss(self, kind: Tensor, spans: Tensor, when: float = 1.0) -> Tensor:
        """The loss of each trajectory `[B]`.

        Args:
            kind: 0 for a sound one, else the kind of its defect, 1 to K `[B]`.
            spans: first and last defective step `[B, 2]`; −1 and −1 for a sound trajectory, and for a defective one
                of which nobody knows when: it teaches its kind alone.
            when: λ, weight of the labels of steps; 0 makes this a classifier of whole trajectories.

        Raises:
            ValueError: shapes that do not fit, a span that ends before it begins or behind the last step, or a sound
                trajectory with a span.
        """
        count, length = self.steps.shape
        if kind.shape != (count,) or spans.shape != (count, 2):
            got = f"got kinds {tuple(kind.shape)} and spans {tuple(spans.shape)} of {count} trajectories"
            raise ValueError(f"{got}; expected [{count}] and [{count}, 2]")
        onset, offset = spans.unbind(-1)
        some = onset >= 0
        if (some & ((offset < onset) | (offset >= length) | (kind == 0))).any() or (~some & (offset >= 0)).any():
            raise ValueError(
                f"got spans that do not fit {length} steps; expected 0 <= onset <= offset < {length}, and -1 and -1 "
                "for a sound trajectory or where the span is not known"
            )
        there, labels = self.steps.isfinite(), _inside(spans, length).to(self.steps.dtype)
        each = F.binary_cross_entropy_with_logits(self.steps.clamp(min=-FAR), labels, reduction="none") * there
        timing = each.sum(1) / there.sum(1).clamp(min=1)
        return F.cross_entropy(self.kinds, kind, reduction="none") + when * timing * (some | (kind == 0))


class LocalisedDefect(nn.Module):
    """Two convolutions along time; what is seen most clearly anywhere tells the kind."""

    def __init__(self, features: int, kinds: int, hidden: int = 32, width: int = 5, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            features: numbers of a step, d.
            kinds: K, of defects.
            hidden: channels.
            width: steps of a convolution, odd; the second one takes every other step.
            seed: of the weights.

        Raises:
            ValueError: a size below 1, or an even width.
        """
        super().__init__()
        if min(features, kinds, hidden, width) < 1 or width % 2 == 0:
            raise ValueError(
                f"got {features} features, {kinds} kinds, {hidden} channels and width {width}; expected each to be at "
                "least 1, and an odd width"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.near = nn.Conv1d(features, hidden, width, padding=width // 2)
            self.far = nn.Conv1d(hidden, hidden, width, padding=2 * (width // 2), dilation=2)
            self.kind = nn.Linear(hidden, 1 + kinds)
            self.step = nn.Linear(hidden, 1)

    def forward(self, states: Tensor, there: Tensor | None = None) -> Findings:
        """What is found in trajectories.

        Args:
            states: `[B, T, d]`.
            there: which steps there are `[B, T]`, bool; None: all.

        Raises:
            ValueError: a state that is not finite.
        """
        kept = torch.ones_like(states[..., 0], dtype=torch.bool) if there is None else there
        along = states.masked_fill(~kept[..., None], 0.0).transpose(1, 2)
        if not along.isfinite().all():
            raise ValueError("got states that are not finite; expected numbers: leave such steps out with `there`")
        for layer in (self.near, self.far):
            along = layer(along).relu() * kept[:, None]  # or the end would be seen as a state of its own
        steps = self.step(along.transpose(1, 2))[..., 0].masked_fill(~kept, -torch.inf)
        return Findings(self.kind(along.amax(-1)), steps)


def best_stretch(scores: Tensor) -> Tensor:
    """First and last place of the stretch with the largest sum, of one place at least `[B, 2]`.

    Args:
        scores: `[B, T]`; −inf where there is no place.
    """
    total = F.pad(scores.clamp(min=-FAR, max=FAR).double().cumsum(1), (1, 0))
    lowest, first = total[:, :-1].cummin(1)
    last = (total[:, 1:] - lowest).argmax(1, keepdim=True)
    return torch.cat([first.gather(1, last), last], 1)


def _inside(spans: Tensor, length: int) -> Tensor:
    """Which steps lie in the span `[B, T]`, bool."""
    at = torch.arange(length, device=spans.device)
    return (spans[:, :1] <= at) & (at <= spans[:, 1:])
