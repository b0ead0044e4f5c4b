"""RGR-GRPO: where no answer of a group meets its whole rubric, the best one is refined by what it does not meet.

The reward of an answer is the weighted share of the items that it meets, Σ_m w_m s_m / Σ_m w_m. If none of a group
meets all of them, the policy reads the best answer with its unmet items, and writes a refinement. Where that earns more
than the best did, it takes the place of the worst. To the prompt without any help it is off policy: its tokens are
learnt from through `adaptive_guidance.mixed_policy_losses`, with advantages over the group as it then is.

Source: RGR-GRPO, Reward and Guidance through Rubrics (Bi et al. 2025); that the worst gives way, and that a refinement
must be better than what it refines, is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Guidance(NamedTuple):
    """Which groups are helped, and with what.

    Attributes:
        needed: whether no answer is known to meet all items, and one is known to refine, bool `[P]`.
        best: number of the answer to be refined `[P]`; the first of equals.
        unmet: items that it does not meet, bool `[P, M]`.
        bar: reward that a refinement must exceed `[P]`: that of the best; infinite where none is needed.
    """

    needed: Tensor
    best: Tensor
    unmet: Tensor
    bar: Tensor


def rubric_rewards(met: Tensor, weights: Tensor) -> Tensor:
    """Weighted share of the items that are met, `[P, G]`; NaN where one of an answer's items is not known.

    Args:
        met: 1 where an item is met, 0 where it is not, NaN where it is not known `[P, G, M]`.
        weights: of the items `[M]` or, for rubrics of each prompt, `[P, M]`; 0 for places that a rubric does not have.

    Raises:
        ValueError: shapes that do not fit, or weights that are negative or sum to nothing.
    """
    given = weights.expand(len(met), -1) if weights.ndim == 1 and met.ndim == 3 else weights
    if met.ndim != 3 or given.shape != (met.shape[0], met.shape[2]):
        raise ValueError(
            f"got items of shape {tuple(met.shape)} and weights of {tuple(weights.shape)}; "
            "expected [P, G, M], and [M] or [P, M]"
        )
    if bool((given < 0).any()) or bool((given.sum(1) <= 0).any()):
        raise ValueError(f"got weights {weights.tolist()}; expected none below 0, and a sum above 0")
    share = (given / given.sum(1, keepdim=True))[:, None]
    return torch.where(share > 0, met * share, 0.0).sum(-1)


def guidance(met: Tensor, weights: Tensor) -> Guidance:
    """Which groups need help: those in which no answer meets every item that counts.

    Args:
        met: `[P, G, M]`; see `rubric_rewards`.
        weights: `[M]` or `[P, M]`.

    Raises:
        ValueError: what `rubric_rewards` refuses.
    """
    rewards = rubric_rewards(met, weights)
    known = ~rewards.isnan()
    counts = (weights > 0).expand(len(met), -1)[:, None]
    passed = ((met == 1) | ~counts).all(-1).any(1)
    needed = known.any(1) & ~passed
    best = torch.where(known, rewards, -torch.inf).argmax(1)
    rows = torch.arange(len(met))
    return Guidance(
        needed,
        best,
        (met[rows, best] == 0) & counts[:, 0],
        torch.where(needed, rewards[rows, best], torch.inf),
    )


def exchanged(rewards: Tensor, refined: Tensor, bar: Tensor) -> Tensor:
    """Which answer of each group gives way to the refinement, bool `[P, G]`: the worst, or none.

    Answers whose reward is not known give way to none; so does a group without a known reward.

    Args:
        rewards: of the answers `[P, G]`; NaN where not known.
        refined: of the refinements `[P]`; NaN where there is none, or its reward is not known.
        bar: what it must exceed `[P]`; see `Guidance`.

    Raises:
        ValueError: shapes that do not fit.
    """
    if rewards.ndim != 2 or not refined.shape == bar.shape == rewards.shape[:1]:
        raise ValueError(
            f"got rewards of shape {tuple(rewards.shape)}, refinements of {tuple(refined.shape)} and bars of "
            f"{tuple(bar.shape)}; expected [P, G], [P] and [P]"
        )
    known = ~rewards.isnan()
    worst = torch.where(known, rewards, torch.inf).argmin(1)
    found = torch.zeros_like(known)
    found[torch.arange(len(rewards)), worst] = known.any(1) & (refined > bar)
    return found
