"""How near a trajectory is to a demonstration as a whole, shared out among its steps, by optimal transport."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def transport_plan(costs: ArrayLike, regularisation: float = 0.05, sweeps: int = 200) -> Floats:
    """How much of each step goes to each step of the other `[T, T']`, cheaply; rows sum to 1/T, columns to 1/T'.

    Source: Cuturi (2013), "Sinkhorn distances"; in the log domain.

    Args:
        costs: of bringing one to the other `[T, T']`.
        regularisation: ε over the mean cost; the smaller, the nearer to the cheapest plan and the slower.
        sweeps: over rows and columns.

    Raises:
        ValueError: costs that are no finite matrix, or numbers that are not above 0.
    """
    found = np.asarray(costs, np.float64)
    if found.ndim != 2 or not found.size or not np.isfinite(found).all() or regularisation <= 0 or sweeps < 1:
        raise ValueError(
            f"got costs of shape {found.shape}, regularisation {regularisation} and {sweeps} sweeps; expected a finite "
            "matrix, and numbers above 0"
        )
    scaled = -found / (regularisation * max(float(found.mean()), 1e-12))
    rows, columns = (-np.log(size) for size in found.shape)
    g = np.zeros(found.shape[1])
    for _ in range(sweeps):
        f = rows - np.logaddexp.reduce(scaled + g, axis=1)
        g = columns - np.logaddexp.reduce(scaled + f[:, None], axis=0)
    plan: Floats = np.exp(scaled + f[:, None] + g)
    return plan


def transport_rewards(costs: ArrayLike, regularisation: float = 0.05) -> Floats:
    """r_t = −Σ_j C_tj μ_tj `[T]`: what step t contributes to the cost of the transport.

    Source: ADS, and the optimal-transport imitation that it builds on.

    Args:
        costs: distance of each step to each step of a demonstration `[T, T']`.
        regularisation: as in `transport_plan`.
    """
    found: Floats = -(np.asarray(costs, np.float64) * transport_plan(costs, regularisation)).sum(1)
    return found
