"""The best of N candidates, by several estimates of what each is worth.

    argmax_n mean_k V(candidate n, imagined outcome k)

With one candidate it is the policy as it is. Candidates that are worth the same are chosen evenly, so that a value that
knows nothing leaves the policy's choice as it was.

Source: Cosmos Policy (Kim et al. 2026): N chunks of actions, each with several imagined states and values. The plain
mean of all estimates is chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor


def best_of_candidates(values: Tensor, generator: torch.Generator) -> Tensor:
    """Number of the best candidate of each row `[B]`.

    Args:
        values: estimates of each candidate `[B, N, K]`; NaN where there is none, and a candidate without any is not
            chosen.
        generator: draws among equals.

    Raises:
        ValueError: another shape, or a row without any estimate.
    """
    if values.ndim != 3 or not values.numel():
        raise ValueError(f"got values {tuple(values.shape)}; expected [B, N, K], and some")
    mean = values.nanmean(-1)
    if (unknown := mean.isnan().all(-1)).any():
        raise ValueError(
            f"got {int(unknown.sum())} rows of {len(mean)} without any estimate; expected one of some candidate"
        )
    mean = mean.nan_to_num(nan=-torch.inf)
    best = mean == mean.max(-1, keepdim=True).values
    return torch.multinomial(best.double(), 1, generator=generator)[:, 0]
