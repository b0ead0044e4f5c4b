"""What is made, scored part by part and as a whole: whether all that was asked for is there, and what it means."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def decomposition_alignment(
    present: ArrayLike,
    meaning: ArrayLike,
    whole: ArrayLike = 0.0,
    beauty: ArrayLike = 0.0,
    weights: tuple[float, float, float, float] = (0.5, 0.5, 0.0, 0.0),
) -> NDArray[np.float64]:
    """Σ_k w_k s_k `[...]` of the share of parts that are there, the meaning, the likeness to the prompt, and beauty.

    A prompt for a metaphor is taken apart into what is spoken of, what it is likened to, and what is meant. Whole
    likeness can be had by much of one part; the mean over parts cannot.

    Source: The Mind's Eye: A Multi-Faceted Reward Framework for Guiding Visual Metaphor Generation; the weights are
    chosen here.

    Args:
        present: whether, or how surely, each part is there `[..., P]`, 0 to 1.
        meaning: likeness of what was made to what is meant `[...]`, 0 to 1.
        whole: likeness to the whole prompt `[...]`, 0 to 1.
        beauty: whatever else is wished for `[...]`, 0 to 1.
        weights: of parts, meaning, whole and beauty.

    Raises:
        ValueError: no parts, scores beyond 0 and 1, or weights below 0.
    """
    parts = np.asarray(present, np.float64)
    if not parts.ndim or not parts.shape[-1]:
        raise ValueError(f"got parts of shape {parts.shape}; expected [..., P], and one part at least")
    scores = [parts.mean(-1), *(np.asarray(score, np.float64) for score in (meaning, whole, beauty))]
    if any(((score < 0) | (score > 1)).any() for score in (parts, *scores)) or min(weights) < 0:
        raise ValueError(f"got scores beyond 0 and 1, or weights {weights}; expected 0 to 1, and weights of at least 0")
    shape = np.broadcast_shapes(*(score.shape for score in scores))
    found = np.zeros(shape)
    for weight, score in zip(weights, scores, strict=True):
        found = found + weight * score
    return found
