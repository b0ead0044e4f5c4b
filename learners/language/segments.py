"""Sums and means over the tokens of each sequence, in flat streams."""

from __future__ import annotations

import torch
from torch import Tensor


def sums(values: Tensor, weights: Tensor, sequence: Tensor) -> Tensor:
    """The weighted sum of each sequence, told to all its tokens, `[N]`.

    Args:
        values: `[N]`; where the weight is 0 whatever stands there changes nothing.
        weights: `[N]`.
        sequence: which sequence each token belongs to, `[N]`, rising from 0.
    """
    counted = torch.where(weights > 0, values, 0.0) * weights
    total = values.new_zeros(int(sequence[-1]) + 1).index_add(0, sequence, counted.to(values.dtype))
    return total[sequence]


def means(values: Tensor, weights: Tensor, sequence: Tensor) -> Tensor:
    """The weighted mean of each sequence, told to all its tokens, `[N]`; 0 where no token of it counts."""
    weight = sums(torch.ones_like(values), weights, sequence)
    return sums(values, weights, sequence) / weight.clamp(min=torch.finfo(values.dtype).tiny)
