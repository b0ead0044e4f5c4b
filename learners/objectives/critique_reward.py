"""A reward model that writes what is right and wrong first, and scores what it has written together with the answer.

One backbone has two heads. The first writes a critique c of an answer y to x, and learns from critiques of people; the
second reads (x, y, c) and gives r:

    L = −w mean log p(c | x, y) − log σ(r(x, y⁺, c⁺) − r(x, y⁻, c⁻))

While it is trained the score is of the critique that people wrote; afterwards it is of the model's own, and the mean
over several of them is less noisy.

Source: MM-RLHF, The Next Step Forward in Multimodal LLM Alignment (critique-based reward model). Nothing in it is of
pictures: the backbone reads whatever it reads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from learners.language.reward_losses import bradley_terry


def critique_reward_losses(
    log_probs: Tensor, mask: Tensor, chosen: Tensor, rejected: Tensor, weight: float = 1.0
) -> Tensor:
    """Loss of each pair, of writing and of scoring together `[P]`.

    Args:
        log_probs: of the tokens of the critiques of both answers, by the first head `[2, P, T]`.
        mask: which of them count, bool `[2, P, T]`; a pair without a critique is learnt from by its scores alone.
        chosen: scores of the preferred answers, read with the critiques of people `[P]`.
        rejected: of the others `[P]`.
        weight: w of the writing, at least 0; 0: the usual loss of pairs.

    Raises:
        ValueError: shapes that do not fit, or a weight below 0.
    """
    fits = log_probs.ndim == 3 and log_probs.shape == mask.shape and log_probs.shape[:2] == (2, *chosen.shape)
    if not fits or rejected.shape != chosen.shape or weight < 0:
        raise ValueError(
            f"got critiques {tuple(log_probs.shape)}, mask {tuple(mask.shape)}, scores {tuple(chosen.shape)} and "
            f"{tuple(rejected.shape)}, weight {weight}; expected [2, P, T] twice, [P] twice, and at least 0"
        )
    return weight * writing_losses(log_probs, mask) + bradley_terry(chosen, rejected)


def writing_losses(log_probs: Tensor, mask: Tensor) -> Tensor:
    """−mean log p of what was written about both answers of each pair `[P]`; 0 where nothing was.

    Args:
        log_probs: of each token `[2, P, T]`.
        mask: which of them count, bool `[2, P, T]`.
    """
    return -torch.where(mask, log_probs, 0.0).sum((0, 2)) / mask.sum((0, 2)).clamp(min=1)


def mean_score(scores: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over several critiques of each answer `[...]`, and whether there is one, bool `[...]`.

    A critique that could not be had or read does not count; an answer without any has no score.

    Args:
        scores: of each critique `[..., K]`.
        valid: which of them there are, bool `[..., K]`.

    Raises:
        ValueError: shapes that differ.
    """
    if scores.shape != valid.shape or not scores.ndim:
        raise ValueError(f"got scores {tuple(scores.shape)} and valid {tuple(valid.shape)}; expected equal [..., K]")
    count = valid.sum(-1)
    return torch.where(valid, scores, 0.0).sum(-1) / count.clamp(min=1), count > 0
