"""CUT: unlearn the tokens that a judgement finds fault with, and only those.

A bad answer is likely once the judgement is in the context. Tokens that it makes much likelier are the ones it is
about: they are made unlikely where nobody has judged, all others are learnt.

Source: CUT, Reasons to Reject? Aligning Language Models with Judgments; λ = 1.1 and α = 1 are its own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def inappropriate(judged: Tensor, plain: Tensor, threshold: float = 1.1) -> Tensor:
    """Where p(y_t | x, j) / p(y_t | x) > λ, bool, of the shape of both; no gradient flows.

    Args:
        judged: log-probabilities of the tokens with the judgement in the context, `[B, T]`.
        plain: without it, `[B, T]`.
        threshold: λ, positive; infinite: no token is.

    Raises:
        ValueError: λ that is not positive.
    """
    if not threshold > 0:
        raise ValueError(f"got threshold={threshold}; expected a positive ratio")
    return (judged - plain).detach() > math.log(threshold)


def unlikelihood(plain: Tensor, faulty: Tensor, alpha: float = 1.0) -> Tensor:
    """−log p of each token, and −α log(1 − p) of the faulty ones, of the shape of `plain`.

    Args:
        plain: log-probabilities, at most 0.
        faulty: which tokens are unlearnt, bool.
        alpha: α; 0: faulty tokens are left alone.
    """
    # log(1 − p) loses all digits as p nears 1; expm1 keeps them.
    rest = torch.log(-torch.expm1(plain.clamp(max=-1e-6)))
    return -torch.where(faulty, alpha * rest, plain)


def contrastive_unlikelihood(
    judged: Tensor, plain: Tensor, mask: Tensor, faulted: Tensor, threshold: float = 1.1, alpha: float = 1.0
) -> Tensor:
    """½ (mean −log p(y_t | x, j) + mean of `unlikelihood`), `[B]`; of an answer without fault, mean −log p(y_t | x).

    Args:
        judged: log-probabilities with the judgement in the context, aligned with `plain`, `[B, T]`; not looked at where
            there is no fault.
        plain: without it, `[B, T]`.
        mask: which tokens there are, bool, `[B, T]`.
        faulted: whether the judgement finds fault with the answer, bool, `[B]`.
        threshold: λ.
        alpha: α.

    Raises:
        ValueError: shapes that do not fit, or an answer without tokens.
    """
    if not judged.shape == plain.shape == mask.shape or faulted.shape != plain.shape[:1]:
        raise ValueError(
            f"got judged {tuple(judged.shape)}, plain {tuple(plain.shape)}, mask {tuple(mask.shape)} and faulted "
            f"{tuple(faulted.shape)}; expected [B, T] three times, and [B]"
        )
    tokens = mask.sum(-1)
    if (tokens == 0).any():
        raise ValueError("got an answer without tokens; expected at least one: leave it out")

    def mean(values: Tensor) -> Tensor:
        return values.masked_fill(~mask, 0.0).sum(-1) / tokens

    faulty = inappropriate(judged, plain, threshold) & faulted[:, None]
    learnt = mean(unlikelihood(plain, faulty, alpha))
    return torch.where(faulted, (mean(-judged) + learnt) / 2, learnt)
