"""Losses of reward models: from pairs, one of which was preferred, and from scores."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry(chosen: Tensor, rejected: Tensor, margins: Tensor | None = None, centring: float = 0.0) -> Tensor:
    """-log sigmoid(r_c - r_r - m) + centring (r_c + r_r)^2, `[P]`.

    Args:
        chosen: rewards of the preferred answers, `[P]`.
        rejected: of the others, `[P]`.
        margins: m, how much better each was found (Llama 2: Touvron et al. 2023, equation 2); None: 0.
        centring: keeps rewards around 0, which pairs alone say nothing about (Eisenstein et al. 2023).
    """
    apart = chosen - rejected
    if margins is not None:
        apart = apart - margins
    return -logsigmoid(apart) + centring * (chosen + rejected).square()


def regression(predicted: Tensor, scores: Tensor) -> Tensor:
    """(r - score)^2, `[B]` (HelpSteer2: Wang et al. 2024).

    Args:
        predicted: rewards, `[B]`.
        scores: what judges said, `[B]`.
    """
    return (predicted - scores).square()


def agreement(chosen: Tensor, rejected: Tensor) -> Tensor:
    """1 where the preferred answer has the higher reward, 0 where the lower, half at a tie, `[P]`."""
    return (torch.sign(chosen - rejected) + 1) / 2
