"""Imagined observations brought home: which of its own observations an agent finds most like what was imagined.

What a generative model shows of a behaviour may look otherwise than the agent's world, and may show what cannot be.
The nearest of the agent's own observations are states that there are, and policies can be asked to go there.

Source: RL Zero: Zero-Shot Language to Behaviors without any Supervision (Sikchi, Agarwal et al. 2025), "project".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.cosines import cosines


def projected(imagined: ArrayLike, seen: ArrayLike) -> NDArray[np.int64]:
    """The number of the observation that is nearest to each imagined one, by cosine; the first of equals `[k]`.

    Args:
        imagined: embeddings `[k, d]`.
        seen: of the agent's own observations, by the same encoder `[N, d]`.

    Raises:
        ValueError: shapes that do not fit, nothing seen, or an embedding that is not known.
    """
    shown, own = np.asarray(imagined, np.float64), np.asarray(seen, np.float64)
    if shown.ndim != 2 or own.ndim != 2 or shown.shape[1] != own.shape[1] or not len(own):
        raise ValueError(f"got embeddings {shown.shape} and {own.shape}; expected [k, d] and [N, d], one seen at least")
    if not np.isfinite(shown).all() or not np.isfinite(own).all():
        raise ValueError("got an embedding that is not known; expected numbers: leave such frames out")
    nearest: NDArray[np.int64] = cosines(shown, own).argmax(1)
    return nearest
