"""Sources of training data drawn by what each does for a target: influence as a reward of the sampler.

A round trains a proxy from the same θ on each source alone, for some steps, and asks what that did for a development
set. The sampler P = softmax(ψ) takes it for its reward, and θ goes on to where the proxies are, by the shares of P, so
that none of their steps is lost:

    I_i = J(θ) − J(θ'_i)      ψ += η Σ_i (I_i − b) ∇_ψ log P(i; ψ)      θ += ε Σ_i P(i) (θ'_i − θ)

With b the mean of I the step is ψ_i += η (I_i − b): the shares are those of `learners.objectives.influence.reweighted`,
and equal influences change nothing. Without b it is ψ_i += η (I_i − P(i) Σ_k I_k).

Source: Inf-DDS, Influence Guided Sampling for Domain Adaptation of Text Retrievers (2026): REINFORCE with influences,
and a weighted Reptile step. The mean as b is chosen here. Losses may be of preferences, to mix data of a reward model.
"""

from __future__ import annotations

import torch
from torch import Tensor


def source_influences(before: Tensor, after: Tensor) -> Tensor:
    """I of each source, the mean over development sets `[M]`; above 0 where a source helps.

    Args:
        before: J of θ on each development set `[N]`: a loss, or what is better when it is lower.
        after: J of each proxy `[M, N]`.

    Raises:
        ValueError: shapes that do not fit, or a loss that is not finite.
    """
    if before.ndim != 1 or after.ndim != 2 or after.shape[1:] != before.shape:
        raise ValueError(f"got before {tuple(before.shape)} and after {tuple(after.shape)}; expected [N] and [M, N]")
    if not bool(before.isfinite().all() and after.isfinite().all()):
        raise ValueError("got a loss that is not finite; expected numbers: a proxy that went astray takes fewer steps")
    return (before - after).mean(1)


def next_scores(scores: Tensor, influences: Tensor, rate: float, baseline: bool = True) -> Tensor:
    """ψ of the next round `[M]`; the shares are its softmax.

    Args:
        scores: ψ of this round; 0 for all draws every source alike `[M]`.
        influences: I `[M]`.
        rate: η, at least 0.
        baseline: whether the mean influence is taken off.

    Raises:
        ValueError: shapes that differ, an influence that is not finite, or a rate below 0.
    """
    if scores.shape != influences.shape or not bool(influences.isfinite().all()) or not rate >= 0:
        raise ValueError(
            f"got scores {tuple(scores.shape)}, influences {influences.tolist()} and rate={rate}; expected as many "
            "finite influences as scores, and a rate of at least 0"
        )
    expected = influences.mean() if baseline else scores.softmax(0) * influences.sum()
    return scores + rate * (influences - expected)


def reptile_step(start: Tensor, proxies: Tensor, shares: Tensor, rate: float = 1.0) -> Tensor:
    """θ + ε Σ_i P(i) (θ'_i − θ) `[D]`; with one source and ε = 1 it is that proxy: plain training.

    Args:
        start: θ `[D]`.
        proxies: θ' of each source `[M, D]`.
        shares: P `[M]`, sum 1.
        rate: ε.

    Raises:
        ValueError: shapes that do not fit, or shares that do not sum to 1.
    """
    if proxies.ndim != 2 or proxies.shape[1:] != start.shape or shares.shape != proxies.shape[:1]:
        raise ValueError(
            f"got θ {tuple(start.shape)}, proxies {tuple(proxies.shape)} and shares {tuple(shares.shape)}; expected "
            "[D], [M, D] and [M]"
        )
    if not torch.isclose(shares.sum(), shares.new_tensor(1.0), atol=1e-4):
        raise ValueError(f"got shares with sum {float(shares.sum()):g}; expected 1")
    return start + rate * (shares[:, None] * (proxies - start)).sum(0)
