"""A reward model whose reward is a word: how likely "yes" is where it is asked whether one answer beats another.

    r(x₁ | x₂, c) = p("yes" | task, criteria c, answer x₁, reference x₂)        L = −log p(the word of the label)

The reward lives in the head that writes words, and not in a head of its own as of Bradley-Terry; so the model may also
be told criteria, or write a critique before that word (`writing_losses` of `learners.objectives.critique_reward`). Each
pair is learnt in both orders, else the model may like whatever stands first.

While a policy is trained the reference is one of its own best answers: the one that wins most comparisons with the
others (`learners.objectives.nash.win_rates`).

Source: RewardDance: Reward Scaling in Visual Generation (Wu et al. 2025). Nothing in it is of pictures: the model reads
whatever it reads. Choosing the reference by win rates is chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def yes_probability(logits: Tensor, yes: int, no: int | None = None) -> Tensor:
    """p("yes") `[...]`, between 0 and 1.

    Args:
        logits: of the next word `[..., V]`.
        yes: number of the word "yes".
        no: number of the word "no", where only these two are kept: σ(yes − no). None: among all words.

    Raises:
        ValueError: words that are not in the vocabulary, or the same word twice.
    """
    _check(logits, yes, yes if no is None else no, same=no is None)
    if no is None:
        return logits.softmax(-1)[..., yes]
    return torch.sigmoid(logits[..., yes] - logits[..., no])


def comparison_losses(logits: Tensor, first: Tensor, yes: int, no: int) -> Tensor:
    """−log p("yes") where the first answer is the better one, −log p("no") elsewhere, among all words `[B]`.

    Args:
        logits: of the next word, after pairs in one order or the other `[B, V]`.
        first: whether the answer that is asked about is the better one, bool `[B]`.
        yes: number of the word "yes".
        no: number of the word "no".

    Raises:
        ValueError: shapes that do not fit, words that are not in the vocabulary, or the same word twice.
    """
    _check(logits, yes, no)
    if logits.ndim != 2 or first.shape != logits.shape[:1] or first.dtype != torch.bool:
        raise ValueError(
            f"got logits {tuple(logits.shape)} and labels {tuple(first.shape)} of {first.dtype}; expected [B, V] and "
            "bool [B]"
        )
    words = torch.full_like(first, no, dtype=torch.long).masked_fill(first, yes)
    return cross_entropy(logits, words, reduction="none")


def _check(logits: Tensor, yes: int, no: int, same: bool = False) -> None:
    """See that both words are there, and are two unless they may be the same."""
    if not (0 <= yes < logits.shape[-1] and 0 <= no < logits.shape[-1]) or (yes == no and not same):
        raise ValueError(f"got yes={yes}, no={no} of {logits.shape[-1]} words; expected two different ones of them")
