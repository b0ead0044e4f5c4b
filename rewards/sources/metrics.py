"""Metrics against references as rewards: mixed, behind a format, and from embeddings of tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.cosines import cosines

Floats = NDArray[np.float64]

MALFORMED = -3.0
"""What a completion without the format earns."""
ABOVE, BELOW = 2.0, -1.5
"""What the discrete variant pays for a metric."""


def mixed_metric(formatted: ArrayLike, *metrics: ArrayLike, threshold: float | None = None) -> Floats:
    """-3 where the format fails, else 1 + Σ metrics.

    One lexical metric is the paper's Lex, one learnt metric its Sem, both its Mix. With a threshold it is discrete:
    2 in place of the sum where the mean of the metrics reaches it, -1.5 where it does not.

    Source: "MT-R1-Zero: Advancing LLM-based Machine Translation via R1-Zero-like Reinforcement Learning"; the discrete
    variant's mean over several metrics is chosen here.

    Args:
        formatted: whether the completion has its format, of any shape.
        *metrics: between 0 and 1, of the same shape; NaN where a metric could not be had.
        threshold: of the discrete variant.

    Returns:
        Rewards of that shape; NaN where the format is there and a metric is not.

    Raises:
        ValueError: no metric, other shapes, or values outside of 0 to 1.
    """
    well = np.asarray(formatted, np.bool_)
    columns = [np.asarray(metric, np.float64) for metric in metrics]
    if not columns or any(column.shape != well.shape for column in columns):
        raise ValueError(f"got metrics of shapes {[c.shape for c in columns]}; expected at least one of {well.shape}")
    if any(((column < 0) | (column > 1)).any() for column in columns):
        raise ValueError("got a metric outside of 0 to 1; expected shares: divide scores of 0 to 100 by 100")
    total: Floats = np.sum(columns, axis=0)
    if threshold is not None:
        reached = np.where(total / len(columns) >= threshold, ABOVE, BELOW)
        total = np.where(np.isnan(total), np.nan, reached)
    return np.where(well, 1.0 + total, MALFORMED)


def bidirectional_similarity(response: ArrayLike, reference: ArrayLike) -> float:
    """½ (mean_i max_j S_ij + mean_j max_i S_ij), S the cosines of token embeddings: BMAS, between -1 and 1.

    The embeddings may come from a table: no forward pass is needed. It is symmetric, and 1 for a text with itself. A
    vector of zeros is like nothing, itself included.

    Source: "Mixed-R1: Unified Reward Perspective For Reasoning Capability in Multimodal Large Language Models".

    Args:
        response: `[n, D]`; without tokens it earns 0.
        reference: `[m, D]`.

    Raises:
        ValueError: the reference has no token, or the shapes do not fit.
    """
    one, other = np.asarray(response, np.float64), np.asarray(reference, np.float64)
    if other.ndim != 2 or not len(other) or one.ndim != 2 or one.shape[1] != other.shape[1]:
        raise ValueError(
            f"got embeddings of shapes {one.shape} and {other.shape}; expected [n, D] and [m, D], and a reference of "
            "at least one token"
        )
    if not len(one):
        return 0.0
    likeness = cosines(one, other)
    return float(likeness.max(axis=1).mean() + likeness.max(axis=0).mean()) / 2
