"""Over-optimisation: what is left of the gold reward when a policy goes far after a reward model.

The policy that gains most by a model r at a price β of leaving where it began is known, and estimated from answers
that were drawn there:

    π_β(y) ∝ π(y) exp(r(y) / β)      KL(π_β ‖ π) = Σ_y w(y) log(K w(y)), w the weights of K answers, which sum to 1

Of policies that were trained, by whatever objective, what they gain over where they began follows a law:

    gain(D) = D (a − b log D)      D = √KL(π ‖ π_0)      the most at D* = exp(a / b − 1), where b > 0

Source: gold and proxy over KL as in Gao et al. 2022, "Scaling laws for reward model overoptimization", where policies
are trained; as what a benchmark of reward models has to foretell, Kim et al. 2024, "Evaluating Robustness of Reward
Models for Mathematical Reasoning" (RewardMATH). That the policy is the best one, and not a trained one, is chosen here.
The law for objectives without a reward model (DPO, IPO, SLiC) is of Rafailov et al. 2024, "Scaling Laws for Reward
Model Overoptimization in Direct Alignment Algorithms"; that it is fitted by least squares is chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """Policies that go after a reward model, from near to far.

    Attributes:
        kl: how far each is from where it began, in nats `[B]`; at most log K.
        gold: what its answers are truly worth `[B]`.
    """

    kl: Floats
    gold: Floats

    @property
    def drop(self) -> float:
        """How much of the highest gold reward is lost again at the end: 0 without over-optimisation."""
        return float(self.gold.max() - self.gold[-1])

    def at(self, kl: float) -> float:
        """Gold at a KL, between the policies next to it."""
        return float(np.interp(kl, self.kl, self.gold))


def optimised(scores: ArrayLike, gold: ArrayLike, sharpness: ArrayLike) -> Path:
    """The best policies by a reward model, at several prices.

    Args:
        scores: of K answers to each of N problems, drawn from where the policy begins `[N, K]`.
        gold: what each answer is worth `[N, K]`.
        sharpness: 1/β, in rising order `[B]`; 0 is where it begins.

    Raises:
        ValueError: shapes that do not fit, a score or worth that is not known, or a sharpness that is negative or
            falls.
    """
    r, worth, slopes = (np.asarray(one, np.float64) for one in (scores, gold, sharpness))
    if r.ndim != 2 or r.shape != worth.shape or not r.size or not np.isfinite(r + worth).all():
        raise ValueError(f"got scores {r.shape} and gold {worth.shape}; expected the same [N, K], all of them known")
    if slopes.ndim != 1 or not slopes.size or slopes[0] < 0 or (np.diff(slopes) < 0).any():
        raise ValueError(f"got sharpness {slopes.tolist()}; expected rising numbers from 0")
    kl, value = [], []
    for slope in slopes:
        logits = slope * (r - r.max(axis=1, keepdims=True))
        weights = np.exp(logits)
        weights = weights / weights.sum(axis=1, keepdims=True)
        apart = np.where(weights > 0, weights * np.log(np.maximum(weights, 1e-300) * r.shape[1]), 0.0)
        kl.append(apart.sum(axis=1).mean())
        value.append((weights * worth).sum(axis=1).mean())
    return Path(np.array(kl), np.array(value))


@dataclass(frozen=True)
class Law:
    """gain(D) = D (a − b log D).

    Attributes:
        a: how fast the gain begins.
        b: how fast it is lost again.
        r2: share of the variance of the gains that the law explains; None where they are all the same.
    """

    a: float
    b: float
    r2: float | None

    @property
    def peak(self) -> float | None:
        """√KL of the highest gain; None where it never falls."""
        return float(np.exp(self.a / self.b - 1)) if self.b > 0 else None

    def at(self, kl: ArrayLike) -> Floats:
        """The gain at each KL, of any shape; 0 at 0."""
        distance = np.sqrt(np.asarray(kl, np.float64))
        found: Floats = distance * (self.a - self.b * np.log(np.where(distance > 0, distance, 1.0)))
        return found


def fit_law(kl: ArrayLike, gain: ArrayLike) -> Law:
    """The law that fits policies best, by least squares; those that are where they began say nothing.

    Args:
        kl: how far each policy is from where it began, in nats `[N]`.
        gain: gold reward over that of where it began `[N]`.

    Raises:
        ValueError: shapes that do not fit, a number that is not known, a KL below 0, or fewer than two different ones
            above it.
    """
    distances, gained = np.asarray(kl, np.float64), np.asarray(gain, np.float64)
    if distances.ndim != 1 or distances.shape != gained.shape or not np.isfinite(distances + gained).all():
        raise ValueError(f"got KL {distances.shape} and gains {gained.shape}; expected the same [N], all of them known")
    if (distances < 0).any() or len(np.unique(distances[distances > 0])) < 2:
        raise ValueError("got a KL below 0, or fewer than two different ones above it; expected two or more: train on")
    away = distances > 0
    d, y = np.sqrt(distances[away]), gained[away]
    columns = np.stack([d, -d * np.log(d)], axis=1)
    coefficients = np.linalg.lstsq(columns, y, rcond=None)[0]
    rest, spread = (float((apart**2).sum()) for apart in (y - columns @ coefficients, y - y.mean()))
    return Law(float(coefficients[0]), float(coefficients[1]), 1 - rest / spread if spread > 0 else None)
