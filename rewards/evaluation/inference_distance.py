"""How sure a set of comparisons makes a reward model of the difference of two answers: a distance over the graph.

Answers are nodes, comparisons are edges. With noise of variance σ² in each comparison, the least-squares estimate of
r_a − r_b has the variance σ² R_ab, where R_ab is the effective resistance between a and b when each comparison is a
wire of resistance 1: wires in a row add up, wires side by side help each other. A reward model that knows answers by
their features has, with X the differences of features that were compared and λ the precision of what it believes
beforehand,

    Var(θ · x) = σ² xᵀ (XᵀX + λ I)⁻¹ x

which is the resistance again where each answer is a feature of its own and λ goes to 0.

Source: the inference distance of induced Bayesian networks in Reward Generalization in RLHF, A Topological Perspective
(Qiu et al. 2024). That it is measured as effective resistance is chosen here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
ROUNDING = 1e-8


def effective_resistance(pairs: ArrayLike, answers: int, conductance: ArrayLike | None = None) -> Floats:
    """R of all pairs of answers `[A, A]`; infinite between answers that no comparisons connect.

    Args:
        pairs: answers that were compared, in any order, also more than once `[n, 2]`.
        answers: A.
        conductance: weight of each comparison, such as 1/σ² of its own, above 0 `[n]`; None: 1.

    Raises:
        ValueError: shapes that do not fit, a pair of no two answers, or a conductance that is not above 0.
    """
    both = np.asarray(pairs, np.int64).reshape(-1, 2)
    weight = np.ones(len(both)) if conductance is None else np.asarray(conductance, np.float64)
    if ((both < 0) | (both >= answers)).any() or (both[:, 0] == both[:, 1]).any():
        raise ValueError(f"got a pair that is none; expected two different numbers from 0 to below {answers}")
    if weight.shape != both.shape[:1] or not (weight > 0).all():
        raise ValueError(f"got conductance {weight.shape} of {len(both)} pairs; expected one above 0 for each")
    laplacian = np.zeros((answers, answers))
    first, second = both.T
    np.add.at(laplacian, (first, first), weight)
    np.add.at(laplacian, (second, second), weight)
    np.add.at(laplacian, (first, second), -weight)
    np.add.at(laplacian, (second, first), -weight)
    inverse = np.linalg.pinv(laplacian, hermitian=True)
    own = np.diag(inverse)
    joined = np.abs(inverse @ laplacian) > ROUNDING  # −1/s between two of a part of s answers, 0 between parts
    found: Floats = np.where(joined, own[:, None] + own - 2 * inverse, np.inf)
    np.fill_diagonal(found, 0.0)
    return found


def difference_variance(compared: ArrayLike, asked: ArrayLike, noise: float = 1.0, precision: float = 0.0) -> Floats:
    """Variance of the estimated θ · x for each x that is asked about `[q]`; infinite where nothing is known of it.

    Args:
        compared: X, differences of features of the answers in each comparison `[n, F]`.
        asked: x, differences of features of the answers in question `[q, F]`.
        noise: σ of a comparison, above 0.
        precision: λ, at least 0, in units of 1/σ².

    Raises:
        ValueError: shapes that do not fit, no noise, or a precision below 0.
    """
    design, queries = np.asarray(compared, np.float64), np.asarray(asked, np.float64)
    if design.ndim != 2 or queries.ndim != 2 or design.shape[1] != queries.shape[1]:
        raise ValueError(f"got compared {design.shape} and asked {queries.shape}; expected [n, F] and [q, F]")
    if not noise > 0 or not precision >= 0:
        raise ValueError(f"got noise={noise} and precision={precision}; expected above 0, and at least 0")
    information = design.T @ design + precision * np.eye(design.shape[1])
    inverse = np.linalg.pinv(information, hermitian=True)
    known = np.isclose(queries @ inverse @ information, queries, atol=ROUNDING).all(1)
    found: Floats = np.where(known, noise**2 * np.einsum("qi,ij,qj->q", queries, inverse, queries), np.inf)
    return found
