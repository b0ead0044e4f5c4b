"""Predictors as rewards: how well a design suits a context, and which of its risks a predictor does not find.

    R(x, c) = w_0 A(x, c) + Σ_j w_j 1[no assay of predictor j is above 1/2 on x]

A generator that is conditioned on c learns from R by the policy gradient. What predictors say on designs that a
generator sought is not what they say on those they were taught with: hold R beside what is true wherever that is known.

Source: PaccMann^RL on SARS-CoV-2 (Born et al. 2020), A the predicted affinity of a molecule to a protein; the form and
the limit of 1/2 are those of its released code. That a risk which nobody predicted makes R NULL is chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray


def predicted_design(
    affinity: ArrayLike,
    risks: Mapping[str, ArrayLike],
    weights: Mapping[str, float],
    affinity_weight: float = 1.0,
    limit: float = 0.5,
) -> NDArray[np.float64]:
    """R of designs `[B]`; NaN where the affinity or an assay of a predictor that counts is NULL.

    Args:
        affinity: A, by a predictor that reads design and context `[B]`; NaN where NULL.
        risks: by predictor, the chance that each of its assays is positive `[B, assays]`; NaN where NULL.
        weights: w_j of each predictor, at least 0; one with 0 is not looked at.
        affinity_weight: w_0, at least 0.
        limit: above which an assay is positive.

    Raises:
        ValueError: shapes, or predictors and weights, that do not fit, or a chance that is none.
    """
    found = affinity_weight * np.asarray(affinity, np.float64)
    if found.ndim != 1:
        raise ValueError(f"got affinities of shape {found.shape}; expected [B]")
    if risks.keys() != weights.keys() or min([affinity_weight, *weights.values()]) < 0:
        raise ValueError(
            f"got predictors {sorted(risks)} and weights {dict(weights)}, affinity_weight={affinity_weight}; expected "
            "a weight of at least 0 for each"
        )
    for name, chances in risks.items():
        if not weights[name]:
            continue
        positive = np.asarray(chances, np.float64)
        if positive.ndim != 2 or len(positive) != len(found) or not positive.shape[1]:
            raise ValueError(f"got {found.shape} affinities and {name} {positive.shape}; expected [B] and [B, assays]")
        if ((positive < 0) | (positive > 1)).any():
            raise ValueError(f"got a chance outside [0, 1] of {name}; expected probabilities, NaN where NULL")
        harmless = (positive <= limit).all(1).astype(np.float64)
        found = found + weights[name] * np.where(np.isnan(positive).any(1), np.nan, harmless)
    return found
