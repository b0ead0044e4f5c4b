"""BARFI: a reward that is blended so that the policy that learns from it is good by the primary reward alone.

    r_φ = φ₁ + φ₂ r_p + φ₃ r_aux,  and a discount γ_φ of its own
    inner level   Δ(θ, φ) = 0: a policy update under r_φ and γ_φ has come to rest
    outer level   max_φ J_p(θ(φ)) − λ γ_φ
    dJ/dφ = ∂J/∂φ − ∂J/∂θ (∂Δ/∂θ)⁻¹ ∂Δ/∂φ

The inverse is never made: −H⁻¹ = η Σ_k (I + η H)^k is cut off after K terms, each a product of a vector with H = ∂Δ/∂θ.

Source: Behavior Alignment via Reward Function Optimization (Gupta, Chandak, Jordan, Thomas and da Silva 2023).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def alignment_reward(base: Tensor, weights: tuple[Tensor, Tensor], primary: Tensor, auxiliary: Tensor) -> Tensor:
    """r_φ, of the shape of the rewards.

    Args:
        base: φ₁, what is paid beside both.
        weights: φ₂ and φ₃, one number or one for each step.
        primary: r_p of each step; what is truly wanted.
        auxiliary: r_aux of each step; what a designer thinks will help.

    Raises:
        ValueError: rewards of different shapes.
    """
    if primary.shape != auxiliary.shape:
        raise ValueError(
            f"got rewards of shapes {tuple(primary.shape)} and {tuple(auxiliary.shape)}; expected both of each step"
        )
    return base + weights[0] * primary + weights[1] * auxiliary


def implicit_gradient(
    outer: Tensor, inner: Tensor, theta: Tensor, phi: Sequence[Tensor], rate: float, terms: int
) -> tuple[Tensor, ...]:
    """dJ/dφ, of each tensor of φ, through the policy where its updates have come to rest.

    Args:
        outer: J, a scalar that depends on θ, and perhaps on φ.
        inner: Δ, the direction of a policy update `[D]`, made with `create_graph`; near 0.
        theta: θ `[D]`.
        phi: what r_φ and γ_φ are made of.
        rate: η, above 0 and small enough that I + η H shrinks.
        terms: K, at least 1; 1 is one step of the inner level unrolled, many are all of them.

    Raises:
        ValueError: a Δ that is not of the shape of θ, a rate that is not above 0, or no term.
    """
    if inner.shape != theta.shape or not rate > 0 or terms < 1:
        raise ValueError(
            f"got Δ of shape {tuple(inner.shape)} for θ of {tuple(theta.shape)}, rate={rate} and terms={terms}; "
            "expected the same shape, a rate above 0 and one term at least"
        )
    (slope,) = torch.autograd.grad(outer, theta, retain_graph=True)
    summed = term = slope
    for _ in range(terms - 1):
        (turned,) = torch.autograd.grad(inner, theta, term, retain_graph=True)  # Hᵀ times the last term
        term = term + rate * turned
        summed = summed + term
    direct = torch.autograd.grad(outer, phi, retain_graph=True, allow_unused=True)
    through = torch.autograd.grad(inner, phi, rate * summed, retain_graph=True, allow_unused=True)
    found = []
    for parameter, *parts in zip(phi, direct, through, strict=True):
        found.append(sum((part for part in parts if part is not None), torch.zeros_like(parameter)))
    return tuple(found)
