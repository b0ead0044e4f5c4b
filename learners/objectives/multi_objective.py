"""MODPO: preferences of one objective, with the other objectives' reward margins taken off before the comparison.

    L = −log σ( (β / w_k) h − (1 / w_k) Σ_{i≠k} w_i (r_i(x, c) − r_i(x, r)) )

h is the log-ratio of the chosen answer less that of the rejected one. Where answers of objective k were compared by a
Bradley-Terry judge, the best policy is π ∝ π_ref exp(Σ_i w_i r_i / β): what multi-objective RLHF would reach, without
sampling, one run for each weighting.

Source: MODPO, Beyond One-Preference-Fits-All (Zhou et al. 2023), equation 9 as recalled; β = 0.1 is usual.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from learners.language.preferences import dpo


def modpo(margin: Tensor, reward_margins: Tensor, weights: Sequence[float], beta: float = 0.1) -> Tensor:
    """The loss of each pair `[P]`.

    Args:
        margin: h of each pair, `[P]`.
        reward_margins: r_i(chosen) − r_i(rejected) of the other objectives, `[P, K − 1]`; no gradient flows through.
        weights: w of the compared objective first, then of the others, K numbers; they sum to 1. [1]: DPO.
        beta: price of leaving the reference.

    Raises:
        ValueError: weights that are negative, do not sum to 1 or do not fit, nothing on the compared objective, or a β
            that is not positive.
    """
    shares = torch.as_tensor(weights, dtype=margin.dtype)
    if len(shares) != reward_margins.shape[-1] + 1 or reward_margins.shape[:-1] != margin.shape:
        raise ValueError(
            f"got {len(shares)} weights, margins of shape {tuple(margin.shape)} and reward margins of "
            f"{tuple(reward_margins.shape)}; expected K weights, [P] and [P, K − 1]"
        )
    if not bool((shares >= 0).all()) or abs(float(shares.sum()) - 1) > 1e-4 or float(shares[0]) <= 0 or beta <= 0:
        raise ValueError(
            f"got weights {list(weights)} and beta={beta}; expected weights that sum to 1, the first above 0 and none "
            "below, and beta > 0: the objective whose pairs are learnt from must count"
        )
    others = reward_margins.detach() @ shares[1:]
    return dpo((beta * margin - others) / shares[0], 1.0)
