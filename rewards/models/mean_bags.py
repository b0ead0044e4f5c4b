"""`mean_of_bags`: means of rows of a table, whose gradient is read off in the order of the table.

    out_k = 1/n_k · Σ_{i ∈ bag k} table_i        gradient_i = Σ_{k: i ∈ bag k} gradient_k / n_k

The gradient is a sum over bags once more: those that a row is in. So it is made by the same kernel, over the transposed
bags: of 512 bags of 52 rows that are as frequent as words, 0.4 ms on a CPU, where PyTorch's own takes 6 (by hand).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag

_RADIX = 2**15  # NumPy sorts whole numbers of 16 bits by radix, wider ones by comparing


def mean_of_bags(table: Tensor, bags: Sequence[NDArray[np.integer[Any]]]) -> Tensor:
    """The mean of the rows that each bag names, as often as it names them; 0 for an empty bag.

    Args:
        table: `[R, D]`.
        bags: rows, `[n_k]` each, K of them.

    Returns:
        `[K, D]`, differentiable once with respect to `table`.
    """
    lengths = np.array([len(bag) for bag in bags], np.int64)
    out: Tensor = _MeanOfBags.apply(table, np.concatenate(bags).astype(np.int64), lengths)  # type: ignore[no-untyped-call]
    return out


class _MeanOfBags(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: NDArray[np.int64], lengths: NDArray[np.int64]) -> Tensor:
        ctx.rows, ctx.lengths, ctx.height = rows, lengths, len(table)
        at, begins = (torch.from_numpy(array).to(table.device) for array in (rows, _begins(lengths)))
        return embedding_bag(at, table, begins, mode="mean")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        rows, lengths = ctx.rows, ctx.lengths
        order = np.argsort(rows.astype(np.int16) if ctx.height <= _RADIX else rows, kind="stable")
        bag_of = np.repeat(np.arange(len(lengths)), lengths)[order]
        times = np.bincount(rows, minlength=ctx.height)
        device = gradient.device
        at, begins = (torch.from_numpy(array).to(device) for array in (bag_of, _begins(times)))
        shares = gradient / torch.from_numpy(lengths).to(device).clamp(min=1)[:, None]
        return embedding_bag(at, shares, begins, mode="sum"), None, None


def _begins(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of some runs begins that stand behind each other."""
    return np.cumsum(lengths) - lengths
