"""Bayesian optimisation: try next where a Gaussian process expects the most improvement over the best so far.

    EI(x) = E[max(f(x) − f*, 0)] = (μ − f*) Φ(z) + σ φ(z),    z = (μ − f*) / σ

μ and σ are those of a process with a squared-exponential kernel, fitted to values that are brought to mean 0 and
variance 1; its length is the likeliest of a few.

Source: expected improvement (Mockus 1975; Jones et al. 1998), as Agent K v1.0 (Grosnit et al. 2024) tunes with it. That
candidates are random points, and the lengths, are chosen here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.stats import norm

Floats = NDArray[np.float64]
LENGTHS = (0.1, 0.2, 0.4, 0.8)
"""Of the kernel, in shares of the box."""
NOISE = 1e-3
"""Variance of what is measured, in that of the values."""


class Tried(NamedTuple):
    """What was tried.

    Attributes:
        points: `[N, d]`.
        values: `[N]`.
    """

    points: Floats
    values: Floats

    @property
    def best(self) -> Floats:
        """The point of the highest value `[d]`."""
        found: Floats = self.points[self.values.argmax()]
        return found


def expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """EI of normal values, of any shape; without deviation the improvement of the mean."""
    safe = np.maximum(deviation, 1e-12)
    z = (mean - best) / safe
    found: Floats = np.maximum((mean - best) * norm.cdf(z) + safe * norm.pdf(z), 0.0)
    return found


def posterior(points: Floats, values: Floats, asked: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of a Gaussian process at asked points `[M]`, in the unit of the values.

    Args:
        points: where it was measured, in the unit box `[N, d]`.
        values: what was found `[N]`.
        asked: `[M, d]`.
    """
    centre, scale = values.mean(), values.std() or 1.0
    z = (values - centre) / scale

    def fitted(length: float) -> tuple[float, Floats, Floats]:
        factor = cholesky(_kernel(points, points, length) + NOISE * np.eye(len(points)), lower=True)
        weights = cho_solve((factor, True), z)
        return float(-0.5 * z @ weights - np.log(np.diag(factor)).sum()), factor, weights

    fits = [fitted(length) for length in LENGTHS]
    likeliest = int(np.argmax([likelihood for likelihood, _, _ in fits]))
    _, factor, weights = fits[likeliest]
    across = _kernel(asked, points, LENGTHS[likeliest])
    variance = 1 - (across * cho_solve((factor, True), across.T).T).sum(1)
    return centre + scale * (across @ weights), scale * np.sqrt(np.maximum(variance, 0.0))


def maximise(
    evaluate: Callable[[Floats], float],
    box: ArrayLike,
    evaluations: int,
    random: np.random.Generator,
    first: int = 4,
    candidates: int = 256,
) -> Tried:
    """Look for the highest value in a box.

    Args:
        evaluate: the value of a point `[d]`.
        box: low and high of each dimension `[d, 2]`.
        evaluations: in all.
        random: of the first points and of the candidates.
        first: points that are tried at random; as many as `evaluations`: random search.
        candidates: random points of which that of the largest EI is tried.

    Raises:
        ValueError: a box that is none, no evaluations or no first one, or a value that is not finite.
    """
    low, high = np.asarray(box, np.float64).reshape(-1, 2).T
    if not (low < high).all() or min(evaluations, first, candidates) < 1:
        raise ValueError(
            f"got box {box!r}, evaluations={evaluations}, first={first}, candidates={candidates}; "
            "expected low < high, and at least 1 of each"
        )
    points, values = np.empty((0, len(low))), np.empty(0)
    while len(points) < evaluations:
        if len(points) < first:
            point = random.random(len(low))
        else:
            asked = random.random((candidates, len(low)))
            point = asked[expected_improvement(*posterior(points, values, asked), values.max()).argmax()]
        value = evaluate(low + point * (high - low))
        if not np.isfinite(value):
            raise ValueError(f"got the value {value} at {low + point * (high - low)}; expected a finite number")
        points, values = np.concatenate([points, point[None]]), np.append(values, value)
    return Tried(low + points * (high - low), values)


def _kernel(one: Floats, other: Floats, length: float) -> Floats:
    found: Floats = np.exp(-0.5 * ((one[:, None] - other[None]) ** 2).sum(-1) / length**2)
    return found
