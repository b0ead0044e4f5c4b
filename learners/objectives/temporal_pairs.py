"""Temporal self-rewarding: rejected answers of the past, chosen ones of the present or of the future.

Where a policy judges its own answers and learns from the best and the worst of them by DPO, both get better together,
until there is no difference to learn from. Here the rejected answers stay what they were:

    1  anchored rejection     chosen: the best of the policy π_t       rejected: the worst of the first policy π_0
                              DPO from π_t gives π_f, which stands for the future
    2  future-guided choice   an answer of π_f takes the place of the chosen one where it is judged better
                              DPO from π_t on these pairs gives π_{t+1}

Source: Temporal Self-Rewarding Language Models (Wang et al. 2025). Chosen here: of equals the first is taken, a pair
whose chosen answer is judged no better than its rejected one is left out, and the future takes places in pairs that
there are.
"""

from __future__ import annotations

import torch
from torch import Tensor


def anchored_pairs(present: Tensor, past: Tensor, least: float = 0.0) -> tuple[Tensor, Tensor]:
    """Numbers of the chosen answer among the present and the rejected one among the past `[P]`; −1 where there is none.

    With the same answers for both it is `learners.objectives.self_critic.critic_pairs`: ordinary self-rewarding.

    Args:
        present: how the answers of π_t are judged `[P, G]`; NaN where one is not known.
        past: how those of π_0 to the same prompts are `[P, K]`.
        least: by how much the chosen one must be better at least; always by more than 0.

    Raises:
        ValueError: shapes that do not fit, or a bound below 0.
    """
    _check(present, past)
    if least < 0:
        raise ValueError(f"got least={least}; expected at least 0")
    high, low = present.masked_fill(present.isnan(), -torch.inf), past.masked_fill(past.isnan(), torch.inf)
    gap = high.amax(1) - low.amin(1)  # −∞ where one side is not known
    apart = (gap > 0) & (gap >= least)
    return torch.where(apart, high.argmax(1), -1), torch.where(apart, low.argmin(1), -1)


def future_guided(present: Tensor, chosen: Tensor, future: Tensor) -> Tensor:
    """Number of the answer of the future that takes the place of the chosen one `[P]`; −1 where that stays.

    Args:
        present: how the answers of π_t are judged `[P, G]`.
        chosen: numbers of the chosen ones, −1 where there is no pair `[P]`.
        future: how the answers of π_f to the same prompts are judged `[P, F]`; NaN where one is not known.

    Raises:
        ValueError: shapes that do not fit.
    """
    _check(present, future)
    if chosen.shape != present.shape[:1]:
        raise ValueError(f"got {tuple(chosen.shape)} chosen answers of {len(present)} prompts; expected one for each")
    held = present.gather(1, chosen.clamp(min=0)[:, None])[:, 0]
    high = future.masked_fill(future.isnan(), -torch.inf)
    better = (chosen >= 0) & (high.amax(1) > held)
    return torch.where(better, high.argmax(1), -1)


def _check(present: Tensor, others: Tensor) -> None:
    fits = present.ndim == others.ndim == 2 and len(present) == len(others)
    if not fits or not present.shape[1] or not others.shape[1]:
        raise ValueError(
            f"got judgements of shapes {tuple(present.shape)} and {tuple(others.shape)}; expected [P, G] and [P, K] of "
            "the same prompts, with at least one answer each"
        )
