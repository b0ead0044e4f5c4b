"""Which mixture of data sets to train on: a surrogate of what comes of training, fitted to a few runs.

    ŷ(w) = a + b · w + wᵀ C w        on the simplex, where Σ w = 1, the same as wᵀ A w with A symmetric

A mixture is scored by training with it and looking at held-out tasks. The off-diagonal numbers of A say which data sets
help each other and which are in each other's way; a linear surrogate knows of none of that, and its optimum is a
single data set. How far a surrogate is to be believed is told by predicting each run from the others.

Source: MoDoMoDo, Multi-Domain Data Mixtures for Multimodal LLM Reinforcement Learning (Liang et al. 2025): runs with
one data set, all but one, all alike, and random mixtures; the quadratic surrogate. The optimum by solving every face of
the simplex, and a ridge, are chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Kind = Literal["linear", "quadratic"]
MOST = 12
"""Data sets of which every face of the simplex is looked at, 2^D of them."""


@dataclass(frozen=True)
class Surrogate:
    """ŷ(w) = wᵀ A w.

    Attributes:
        form: A, symmetric `[D, D]`.
    """

    form: Floats

    def __call__(self, mixtures: ArrayLike) -> Floats:
        """Predicted scores of mixtures `[..., D]`, `[...]`."""
        w = np.asarray(mixtures, np.float64)
        found: Floats = np.einsum("...i,ij,...j->...", w, self.form, w)
        return found


def seed_mixtures(domains: int, number: int, random: np.random.Generator) -> Floats:
    """Mixtures to begin with `[2 D + 1 + number, D]`: each alone, each left out, all alike, and random ones.

    With two data sets to leave one out is to take the other alone, so that is not repeated.

    Args:
        domains: D, at least 2.
        number: of random ones, from a flat Dirichlet distribution.
        random: of those.

    Raises:
        ValueError: fewer than 2 data sets, or a negative number.
    """
    if domains < 2 or number < 0:
        raise ValueError(f"got {domains} data sets and {number} random mixtures; expected at least 2 and 0")
    alone = np.eye(domains)
    without = (1 - alone) / (domains - 1)
    known = [alone, without] if domains > 2 else [alone]
    return np.concatenate([*known, np.full((1, domains), 1 / domains), random.dirichlet(np.ones(domains), number)])


def fit_surrogate(mixtures: ArrayLike, scores: ArrayLike, kind: Kind = "quadratic", ridge: float = 0.0) -> Surrogate:
    """Least squares over runs.

    Args:
        mixtures: w of each run, on the simplex `[R, D]`.
        scores: what came of it `[R]`.
        kind: D coefficients, or D (D + 1) / 2.
        ridge: price of the squares of coefficients; above 0 fewer runs than coefficients are enough.

    Raises:
        ValueError: shapes that do not fit, mixtures off the simplex, scores that are not known, a kind that there is
            not, or fewer runs than coefficients without a ridge.
    """
    w, y = _runs(mixtures, scores)
    seen = _features(w, kind)
    if ridge < 0 or (ridge == 0 and len(seen) < seen.shape[1]):
        raise ValueError(
            f"got {len(seen)} runs for {seen.shape[1]} coefficients and ridge={ridge}; expected as many runs, or a "
            "ridge above 0"
        )
    # A ridge is as many runs more, each of one coefficient that is 0.
    more = ridge**0.5 * np.eye(seen.shape[1])
    found = np.linalg.lstsq(np.concatenate([seen, more]), np.append(y, np.zeros(len(more))), rcond=None)[0]
    if kind == "linear":
        return Surrogate((found[:, None] + found) / 2)
    form = np.zeros((w.shape[1], w.shape[1]))
    form[np.triu_indices(len(form))] = found
    return Surrogate((form + form.T) / 2)


def best_mixture(surrogate: Surrogate) -> Floats:
    """The mixture of the highest prediction `[D]`: of all stationary points of all faces of the simplex the best.

    Raises:
        ValueError: more than `MOST` data sets.
    """
    domains = len(surrogate.form)
    if domains > MOST:
        raise ValueError(f"got {domains} data sets; expected at most {MOST}: put the smallest of them together")
    points = list(np.eye(domains))
    for size in range(2, domains + 1):
        for face in combinations(range(domains), size):
            # 2 A w = λ and Σ w = 1; where that has no single solution, an edge of the face is as good.
            system = np.zeros((size + 1, size + 1))
            system[:size, :size] = 2 * surrogate.form[np.ix_(face, face)]
            system[:size, size], system[size, :size] = -1.0, 1.0
            if np.linalg.matrix_rank(system) <= size:
                continue
            inside = np.linalg.solve(system, np.append(np.zeros(size), 1.0))[:size]
            if (inside > 0).all():
                points.append(np.zeros(domains))
                points[-1][list(face)] = inside
    every = np.stack(points)
    found: Floats = every[surrogate(every).argmax()]
    return found


def left_out(mixtures: ArrayLike, scores: ArrayLike, kind: Kind = "quadratic", ridge: float = 0.0) -> Floats:
    """What is predicted of each run from the others `[R]`; beside the scores it says how far to believe.

    Args:
        mixtures: `[R, D]`.
        scores: `[R]`.
        kind: of the surrogate.
        ridge: its price.

    Raises:
        ValueError: as `fit_surrogate`, of one run less.
    """
    w, y = _runs(mixtures, scores)
    others = ~np.eye(len(y), dtype=np.bool_)
    return np.array([float(fit_surrogate(w[o], y[o], kind, ridge)(w[~o])[0]) for o in others])


def _runs(mixtures: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    w, y = np.asarray(mixtures, np.float64), np.asarray(scores, np.float64)
    if w.ndim != 2 or y.shape != w.shape[:1] or not np.isfinite(y).all():
        raise ValueError(f"got mixtures {w.shape} and scores {y.shape}; expected [R, D] and [R], all of them known")
    if (w < 0).any() or not np.allclose(w.sum(1), 1.0):
        raise ValueError("got a mixture off the simplex; expected shares of at least 0 that sum to 1")
    return w, y


def _features(w: Floats, kind: Kind) -> Floats:
    if kind not in get_args(Kind):
        raise ValueError(f"got kind {kind!r}; expected one of {get_args(Kind)}")
    if kind == "linear":
        return w
    first, second = np.triu_indices(w.shape[1])
    return w[:, first] * w[:, second]
