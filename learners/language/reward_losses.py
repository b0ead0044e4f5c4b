"""Losses of reward models: from pairs, one of which was preferred, from scores, and from yes or no."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry(
    chosen: Tensor,
    rejected: Tensor,
    margins: Tensor | None = None,
    centring: float = 0.0,
    soft_labels: Tensor | None = None,
) -> Tensor:
    """-p log sigmoid(d) - (1 - p) log sigmoid(-d) + centring (r_c + r_r)^2 with d = r_c - r_r - m, `[P]`.

    Args:
        chosen: rewards of the preferred answers, `[P]`.
        rejected: of the others, `[P]`.
        margins: m, how much better each was found (Llama 2: Touvron et al. 2023, equation 2); None: 0.
        centring: keeps rewards around 0, which pairs alone say nothing about (Eisenstein et al. 2023).
        soft_labels: p, the chance that the preferred answer is the better one; at 0 the pair is turned round, and its
            margin with it (Wang et al. 2024, equation 5); None: 1.

    Raises:
        ValueError: a label that is not a probability.
    """
    apart = chosen - rejected
    if margins is not None:
        apart = apart - margins
    losses = -logsigmoid(apart)
    if soft_labels is not None:
        if not bool(((soft_labels >= 0) & (soft_labels <= 1)).all()):
            raise ValueError("got a label outside [0, 1]; expected probabilities: leave out pairs that nobody judged")
        losses = soft_labels * losses - (1 - soft_labels) * logsigmoid(-apart)
    return losses + centring * (chosen + rejected).square()


def scaled_bradley_terry(chosen: Tensor, rejected: Tensor, strengths: Tensor) -> Tensor:
    """-s log sigmoid(r_c - r_r), `[P]` (HelpSteer2-Preference: Wang et al. 2024).

    A pair of strength s counts as s pairs. Unlike a margin it asks for no certain distance.

    Args:
        chosen: rewards of the preferred answers, `[P]`.
        rejected: of the others, `[P]`.
        strengths: s, by how much each was preferred: 1 slightly, 2, 3 much better, `[P]`.

    Raises:
        ValueError: a strength below 0, or NaN.
    """
    if not bool((strengths >= 0).all()):
        raise ValueError("got a strength below 0 or NaN; expected at least 0: leave out pairs that nobody graded")
    return strengths * bradley_terry(chosen, rejected)


def margin_ranking(chosen: Tensor, rejected: Tensor, margin: float = 0.3) -> Tensor:
    """max(0, m - (r_c - r_r)), `[P]`; 0 from a gap of m on.

    With r = -|prompt - item|^2 of embeddings it is the triplet loss (Social Reward: Isajanyan et al. 2024, margin 0.3).

    Args:
        chosen: rewards of the preferred answers, `[P]`.
        rejected: of the others, `[P]`.
        margin: m, at least 0.

    Raises:
        ValueError: a margin below 0.
    """
    if not margin >= 0:
        raise ValueError(f"got margin={margin}; expected at least 0")
    return torch.relu(margin - (chosen - rejected))


def regression(predicted: Tensor, scores: Tensor) -> Tensor:
    """(r - score)^2, `[B]` (HelpSteer2: Wang et al. 2024).

    Args:
        predicted: rewards, `[B]`.
        scores: what judges said, `[B]`.
    """
    return (predicted - scores).square()


def entailment(logits: Tensor, fulfilled: Tensor) -> Tensor:
    """-y log sigmoid(l) - (1 - y) log sigmoid(-l) of every label that is known, `[M]` (RLBFF: Wang et al. 2025).

    Single answers teach it, no pairs: whether an answer fulfils a principle.

    Args:
        logits: l, log P(yes) - log P(no) of each answer and principle, of any shape.
        fulfilled: y, 1 or 0, or between them where people differ; NaN where nobody said: it teaches nothing.

    Raises:
        ValueError: shapes that differ, or a label outside [0, 1].
    """
    known = ~fulfilled.isnan()
    if logits.shape != fulfilled.shape or not bool(((fulfilled >= 0) & (fulfilled <= 1) | ~known).all()):
        raise ValueError(
            f"got logits {tuple(logits.shape)} and labels {tuple(fulfilled.shape)}; expected the same shape, and "
            "labels from 0 to 1, NaN where nobody said"
        )
    told, label = logits[known], fulfilled[known]
    return -label * logsigmoid(told) - (1 - label) * logsigmoid(-told)


def agreement(chosen: Tensor, rejected: Tensor) -> Tensor:
    """1 where the preferred answer has the higher reward, 0 where the lower, half at a tie, `[P]`."""
    return (torch.sign(chosen - rejected) + 1) / 2
