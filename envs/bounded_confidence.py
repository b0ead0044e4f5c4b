"""`Population`: annotators who hold values and drift under the influence of friends who are like them already.

    x_i ← x_i + μ Σ_j w_ij 1[|x_j − x_i| < ε] (x_j − x_i)        in each dimension by itself, all at once

w are ties to friends, μ how fast one is persuaded, ε how far apart two may be to be heard at all. What an annotator
prefers follows from what he values: P(i prefers a to b) = σ(β x_i · (a − b)). So labels of one day are not those of
another, which is what reward models and aggregations are put to the test with.

Source: Predicting Users' Value Changes by the Friends' Influence from Social Media Usage (bounded confidence of
Deffuant et al. 2000 over ego networks); that ties sum to 1 over one's friends, and preferences, are chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def tie_weights(strengths: ArrayLike) -> Floats:
    """Shares w `[n, n]` of each user's own ties; a user without friends has none.

    Args:
        strengths: how strong each tie is, at least 0, and 0 to oneself `[n, n]`.

    Raises:
        ValueError: no square of such numbers.
    """
    found = np.asarray(strengths, np.float64)
    _require_ties(found)
    total = found.sum(1, keepdims=True)
    shares: Floats = found / np.where(total > 0, total, 1.0)
    return shares


def influenced(values: ArrayLike, ties: ArrayLike, rate: float, bound: float) -> Floats:
    """Values after one step `[n, D]`; all listen before anybody changes.

    Args:
        values: x of n users, 0 to 1 `[n, D]`.
        ties: w `[n, n]`, each row of which sums to 1 at most.
        rate: μ, 0 to 1.
        bound: ε, at least 0; at 0 nobody is heard.

    Raises:
        ValueError: shapes that do not fit, ties that are none, or numbers out of range.
    """
    x, w = np.asarray(values, np.float64), np.asarray(ties, np.float64)
    _require_ties(w)
    if x.ndim != 2 or len(x) != len(w) or w.sum(1).max(initial=0.0) > 1 + 1e-9:
        raise ValueError(
            f"got values {x.shape} and ties {w.shape} of up to {w.sum(1).max(initial=0.0):.3g} a user; expected "
            "[n, D], [n, n], and 1 at most: see tie_weights"
        )
    if not 0 <= rate <= 1 or not bound >= 0:
        raise ValueError(f"got rate={rate} and bound={bound}; expected one in [0, 1], and one of at least 0")
    apart = x[None] - x[:, None]
    heard = np.where(np.abs(apart) < bound, apart, 0.0)
    moved: Floats = x + rate * np.einsum("ij,ijd->id", w, heard)
    return moved


def trajectory(values: ArrayLike, ties: ArrayLike, rate: float, bound: float, steps: int) -> Floats:
    """Values now and after each step `[steps + 1, n, D]`; arguments as of `influenced`."""
    found = [np.asarray(values, np.float64)]
    for _ in range(steps):
        found.append(influenced(found[-1], ties, rate, bound))
    return np.stack(found)


@dataclass(frozen=True)
class Population:
    """Annotators as they are today.

    Attributes:
        values: x `[n, D]`.
        ties: w `[n, n]`.
        rate: μ.
        bound: ε.
        sharpness: β, how surely a pair is judged by what it is worth to the annotator.
    """

    values: Floats
    ties: Floats
    rate: float
    bound: float
    sharpness: float = 10.0

    def later(self, steps: int) -> Population:
        """The same annotators after some steps."""
        return replace(self, values=trajectory(self.values, self.ties, self.rate, self.bound, steps)[-1])

    def prefers(self, one: ArrayLike, other: ArrayLike, random: np.random.Generator) -> NDArray[np.bool_]:
        """Whether each annotator prefers the first of each pair `[n, P]`.

        Args:
            one: what the first has of each value `[P, D]`.
            other: of the second `[P, D]`.
            random: of judgements that are not sure.
        """
        margin = self.sharpness * self.values @ (np.asarray(one, np.float64) - np.asarray(other, np.float64)).T
        chosen: NDArray[np.bool_] = random.random(margin.shape) < 1 / (1 + np.exp(-margin))
        return chosen


def _require_ties(ties: Floats) -> None:
    if ties.ndim != 2 or ties.shape[0] != ties.shape[1] or not (ties >= 0).all() or np.diagonal(ties).any():
        raise ValueError(f"got ties {ties.shape}; expected a square of numbers of at least 0, and 0 to oneself")
