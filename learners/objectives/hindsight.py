"""HeRL: answers that failed are rewritten by what they did not meet, and pay for how much better they become.

Where no answer of a group earns all that there is, the best ones are put into the prompt with the items that they do
not meet, and the policy rewrites them. What comes of it is used twice. An answer is paid for its potential,

    r ← r + α (r' − r),

r' the reward of its rewrite; and rewrites that are better than all of the group take places in it, under the prompt
without any help. Their tokens are learnt from through f(ρ) = ρ / (ρ + γ), ρ the ratio to the policy that read the
failure: `adaptive_guidance.mixed_policy_losses` with `by_ratio`.

Source: HeRL, Experience is the Best Teacher (Zhang et al. 2026), and its released code for α, for who is rewritten and
for places at random. That a rewrite must be better than the best, not only as good, is chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor


def to_rewrite(rewards: Tensor, full: float = 1.0, most: int = 16) -> Tensor:
    """Which answers are rewritten, bool `[P, G]`: the best of each group that has none worth `full`.

    Args:
        rewards: of the answers `[P, G]`; NaN where not known, and those are not rewritten.
        full: what an answer that misses nothing earns.
        most: how many of equals are rewritten, the first ones.

    Raises:
        ValueError: rewards of another shape, or a negative `most`.
    """
    if rewards.ndim != 2 or most < 0:
        raise ValueError(f"got rewards of shape {tuple(rewards.shape)}, most={most}; expected [P, G], and at least 0")
    best = rewards.nan_to_num(-torch.inf).amax(1, keepdim=True)
    tied = (rewards == best) & (best < full)
    return tied & (tied.cumsum(1) <= most)


def with_potential(rewards: Tensor, after: Tensor, alpha: float = 0.05) -> Tensor:
    """Rewards with their bonus, r + α (r' − r), of the same shape; r alone where there was no rewrite.

    Args:
        rewards: r, of the answers; NaN where not known.
        after: r', of their rewrites; NaN where there is none, or its reward is not known.
        alpha: α; 0: no bonus.

    Raises:
        ValueError: shapes that do not fit, or an α outside of 0 to 1.
    """
    if rewards.shape != after.shape or not 0 <= alpha <= 1:
        raise ValueError(
            f"got rewards of shape {tuple(rewards.shape)}, rewrites of {tuple(after.shape)} and alpha={alpha}; "
            "expected the same shape twice, and alpha of 0 to 1"
        )
    return torch.where(after.isnan(), rewards, rewards + alpha * (after - rewards))


def replacements(rewards: Tensor, after: Tensor, top: int = 1, generator: torch.Generator | None = None) -> Tensor:
    """Which rewrite takes the place of each answer, `[P, G]`: the number of the answer it rewrites, or −1.

    Args:
        rewards: of the answers, without a bonus `[P, G]`; NaN where not known.
        after: of the rewrites of each answer `[P, G]`; NaN where there is none, or its reward is not known.
        top: how many are taken into a group at most, the best ones; 0: GRPO.
        generator: of the places, which are drawn from the whole group; None: torch's global one.

    Raises:
        ValueError: shapes that do not fit, or `top` outside of the group.
    """
    if rewards.ndim != 2 or rewards.shape != after.shape or not 0 <= top <= rewards.shape[1]:
        raise ValueError(
            f"got rewards of shape {tuple(rewards.shape)}, rewrites of {tuple(after.shape)} and top={top}; "
            "expected [P, G] twice, and top of 0 to G"
        )
    bar = rewards.nan_to_num(-torch.inf).amax(1, keepdim=True)
    better = torch.where(after > bar, after, -torch.inf)  # what is not known is not above the bar
    worth, order = better.sort(dim=1, descending=True, stable=True)
    places = torch.rand(rewards.shape, generator=generator).argsort(1)
    found = torch.full(rewards.shape, -1, dtype=torch.long)
    taken = torch.where(worth > -torch.inf, order, -1)[:, :top]
    return found.scatter(1, places[:, :top], taken)
