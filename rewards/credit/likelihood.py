"""How likely what is still to come is after each step, from log-probabilities that a scorer has given."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def support(mean_log_probs: ArrayLike, weights: ArrayLike) -> Floats:
    """Support of an outcome after each turn: p_t = Σ_ref α_ref exp(mean log P(ref | what was seen up to t)).

    Source: SIOP, with up to three references of the outcome.

    Args:
        mean_log_probs: of each reference's tokens, after each turn `[..., references]`; NaN where there is none.
        weights: α of the references `[..., references]`; those that are there are made to sum to 1.

    Returns:
        `[...]`, between 0 and 1; NaN where there is no reference.

    Raises:
        ValueError: a log-probability above 0, or a weight below 0.
    """
    logs, alpha = np.broadcast_arrays(np.asarray(mean_log_probs, np.float64), np.asarray(weights, np.float64))
    if (logs > 0).any() or (alpha < 0).any():
        raise ValueError(
            f"got log-probabilities up to {np.nanmax(logs):g} and weights from {alpha.min():g}; "
            "expected none above 0, and none below 0"
        )
    there = ~np.isnan(logs)
    total = np.where(there, alpha, 0.0).sum(-1)
    found = np.where(there, alpha * np.exp(np.where(there, logs, 0.0)), 0.0).sum(-1)
    result: Floats = np.where(total > 0, found / np.where(total > 0, total, 1.0), np.nan)
    return result


def path_faithfulness(suffix_log_probs: ArrayLike, aligned: bool = False) -> Floats:
    """How likely what is left of a right chain of thought is after each step.

    PFR_i = exp(mean log π(c*_j … c*_m, y* | q, s_1 … s_i)). The rest begins at the step j from which on it is most
    likely, or at the one after as many steps as were taken; the answer alone is the shortest rest. Which of the two,
    and that the mean is over tokens and squashed by exp, is chosen here. Source: P2S: Probabilistic Process Supervision
    for General-Domain Reasoning QA.

    Args:
        suffix_log_probs: after step i, the mean log-probability of what is right from its step j on
            `[..., steps, m + 1]`, the answer alone last; NaN where there is no such step.
        aligned: whether j = i; else the best is taken.

    Returns:
        `[..., steps]`, between 0 and 1; NaN behind the last step.

    Raises:
        ValueError: a log-probability above 0.
    """
    logs = np.asarray(suffix_log_probs, np.float64)
    if (logs > 0).any():
        raise ValueError(f"got a log-probability of {np.nanmax(logs):g}; expected none above 0")
    if aligned:
        steps = np.arange(logs.shape[-2])
        chosen = np.minimum(steps + 1, logs.shape[-1] - 1)  # step 0 done, the rest begins at 1
        return np.exp(logs[..., steps, chosen])
    best: Floats = np.exp(np.max(np.where(np.isnan(logs), -np.inf, logs), axis=-1))
    return np.where(np.isnan(logs).all(-1), np.nan, best)
