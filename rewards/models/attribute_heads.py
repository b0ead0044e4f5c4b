"""Linear heads that foretell attributes of an answer from its features, learnt from ratings of which some are missing.

    w_k = argmin_w Σ_{n: rated in k} (w · f_n − y_nk)² + ridge ‖w‖²

Data sets rate different attributes; an attribute is learnt from the answers that were rated in it, and from no others.

Source: ArmoRM, Interpretable Preferences via Multi-Objective Reward Modeling and Mixture-of-Experts (Wang, Xiong et al.
2024), stage 1: linear probes on the features of a frozen backbone. The closed form is chosen here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def fit_heads(features: ArrayLike, ratings: ArrayLike, ridge: float = 1.0) -> Floats:
    """Weights of each attribute `[K, d]`; an attribute is foretold by `features @ heads.T`, without an intercept.

    Args:
        features: of answers `[N, d]`; whoever wants an intercept brings a column of ones.
        ratings: of each attribute `[N, K]`; NaN where an answer was not rated in it.
        ridge: price of large weights.

    Raises:
        ValueError: shapes that do not fit, features that are not finite, no rating of an attribute, or a ridge that is
            not above 0.
    """
    given, rated = np.asarray(features, np.float64), np.asarray(ratings, np.float64)
    if given.ndim != 2 or rated.ndim != 2 or len(given) != len(rated):
        raise ValueError(f"got features {given.shape} and ratings {rated.shape}; expected [N, d] and [N, K]")
    if not np.isfinite(given).all() or ridge <= 0:
        raise ValueError(f"got ridge={ridge}, or features that are not finite; expected a ridge above 0 and numbers")
    known = ~np.isnan(rated)
    if not known.any(0).all():
        raise ValueError(f"got no rating of attributes {np.flatnonzero(~known.any(0)).tolist()}; leave them out")
    heads = np.empty((rated.shape[1], given.shape[1]))
    for k, rows in enumerate(known.T):  # one by one: all Gram matrices at once would be K · d² numbers
        own = given[rows]
        heads[k] = np.linalg.solve(own.T @ own + ridge * np.eye(own.shape[1]), own.T @ rated[rows, k])
    return heads
