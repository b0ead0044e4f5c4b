"""Rewards from what was observed, without what the circumstances did: confounders are estimated and taken off.

Outcomes Y = f(text) + g(C) + noise, with circumstances C (time, audience, fame) that also decided which text was
written. To learn from Y is to learn g through whatever in the text goes with C.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def confounder_effects(
    outcomes: ArrayLike, confounders: ArrayLike, features: ArrayLike, instruments: ArrayLike | None = None
) -> Floats:
    """Effects γ of confounders on outcomes, with what the text does held fixed.

    Partialling out: both Y and C are freed of what the features of the text explain, and γ is the regression of one
    rest on the other (Frisch, Waugh and Lovell), which is the coefficient of C in the regression on both. With
    instruments Z, which move C and nothing else, C is first replaced by what Z and the features tell of it (two-stage
    least squares): then C may hang together with what is not observed.

    Source: DeconfoundLM, Aligning Language Models with Observational Data from a Causal Perspective; linear, chosen
    here.

    Args:
        outcomes: Y `[N]`.
        confounders: C `[N, q]`.
        features: of the text `[N, d]`; [N, 0] for plain regression on C.
        instruments: Z `[N, z]`, z at least q.

    Returns:
        γ `[q]`; a `weighted_sum` of Y and the columns of C, with coefficients 1 and −γ, is the adjusted reward.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or too few observations.
    """
    y, c, x = (np.asarray(values, np.float64) for values in (outcomes, confounders, features))
    z = None if instruments is None else np.asarray(instruments, np.float64)
    arrays = [y[:, None] if y.ndim == 1 else y, c, x] + ([] if z is None else [z])
    if y.ndim != 1 or any(a.ndim != 2 or len(a) != len(y) or not np.isfinite(a).all() for a in arrays):
        raise ValueError(f"got shapes {[a.shape for a in arrays]}; expected [N] outcomes and [N, ·], all finite")
    if z is not None and z.shape[1] < c.shape[1]:
        raise ValueError(f"got {z.shape[1]} instruments for {c.shape[1]} confounders; expected at least as many")
    if len(y) <= c.shape[1] + x.shape[1] + 1:
        raise ValueError(
            f"got {len(y)} observations; expected more than {c.shape[1] + x.shape[1] + 1}, the coefficients"
        )
    base: Floats = np.column_stack([np.ones(len(y)), x])
    if z is not None:
        first = np.column_stack([base, z])
        c = np.asarray(first @ np.linalg.lstsq(first, c, rcond=None)[0], np.float64)
    return np.asarray(np.linalg.lstsq(_rest(c, base), _rest(y, base), rcond=None)[0], np.float64)


def deconfounded(outcomes: ArrayLike, confounders: ArrayLike, effects: ArrayLike) -> Floats:
    """Y − (C − mean C) γ `[N]`: outcomes as they would have been in equal circumstances.

    Raises:
        ValueError: shapes that do not fit.
    """
    y, c, gamma = (np.asarray(values, np.float64) for values in (outcomes, confounders, effects))
    if c.shape != (len(y), len(gamma)):
        raise ValueError(f"got confounders of shape {c.shape} for {len(y)} outcomes and {len(gamma)} effects")
    adjusted: Floats = y - (c - c.mean(axis=0)) @ gamma
    return adjusted


def cross_fitted(outcomes: ArrayLike, confounders: ArrayLike, features: ArrayLike, folds: int = 5) -> Floats:
    """Adjusted outcomes `[N]`, each with effects from the other folds: nobody's own noise is in what is taken off him.

    Raises:
        ValueError: fewer than two folds, or more than observations.
    """
    y, c, x = (np.asarray(values, np.float64) for values in (outcomes, confounders, features))
    if not 2 <= folds <= len(y):
        raise ValueError(f"got {folds} folds of {len(y)} observations; expected at least 2, and one each at least")
    fold, found = np.arange(len(y)) % folds, np.empty(len(y))
    for number in range(folds):
        inside = fold == number
        effects = confounder_effects(y[~inside], c[~inside], x[~inside])
        found[inside] = y[inside] - (c[inside] - c.mean(axis=0)) @ effects
    return found


def _rest(values: Floats, explained_by: Floats) -> Floats:
    rest: Floats = values - explained_by @ np.linalg.lstsq(explained_by, values, rcond=None)[0]
    return rest
