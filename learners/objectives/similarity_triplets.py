"""SIRL: an embedding of behaviours, learnt from which two of three are the more alike.

    L = [‖φ_a − φ_p‖² − ‖φ_a − φ_n‖² + m]₊ + [‖φ_p − φ_a‖² − ‖φ_p − φ_n‖² + m]₊

a and p are the two that a person found alike, in either order, and n is the third. What the person did not look at
makes no two behaviours more alike, so it does not enter φ. Rewards are learnt on φ afterwards, which stays as it is:
one φ for all people and tasks.

Source: SIRL, Similarity-based Implicit Representation Learning (Bobu, Liu, Shah, Brown and Dragan 2023); a margin of 1
by default is chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor

PAIRS = ((0, 1, 2), (0, 2, 1), (1, 2, 0))
"""Of three behaviours, two that may be the most alike, and the third."""


def similarity_triplets(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0) -> Tensor:
    """L of each question, `[N]`; 2 m where all three are embedded alike.

    Args:
        anchor: φ of one of the two that are alike `[N, k]`.
        positive: φ of the other `[N, k]`.
        negative: φ of the third `[N, k]`.
        margin: m, above 0: by how much the third has to be further off.

    Raises:
        ValueError: shapes that differ, or a margin that is not above 0.
    """
    if not anchor.shape == positive.shape == negative.shape or anchor.ndim != 2 or not margin > 0:
        raise ValueError(
            f"got shapes {tuple(anchor.shape)}, {tuple(positive.shape)} and {tuple(negative.shape)}, and "
            f"margin={margin}; expected the same [N, k], and more than 0"
        )
    alike = (anchor - positive).square().sum(-1)
    apart = torch.stack([(one - negative).square().sum(-1) for one in (anchor, positive)])
    return torch.relu(alike - apart + margin).sum(0)


def most_alike(features: Tensor) -> Tensor:
    """What somebody answers who compares by features: places of anchor, positive and negative in each question.

    Args:
        features: of three behaviours `[N, 3, K]`.

    Returns:
        0, 1 and 2 in an order `[N, 3]`; of pairs that are as near, the first of `PAIRS`.

    Raises:
        ValueError: not three behaviours a question, or a feature that is not known.
    """
    if features.ndim != 3 or features.shape[1] != 3 or not bool(features.isfinite().all()):
        raise ValueError(
            f"got features of shape {tuple(features.shape)}; expected [N, 3, K], all of them known: leave out "
            "questions with a behaviour that nobody saw"
        )
    orders = torch.tensor(PAIRS, device=features.device)
    distances = (features[:, orders[:, 0]] - features[:, orders[:, 1]]).square().sum(-1)
    return orders[distances.argmin(-1)]
