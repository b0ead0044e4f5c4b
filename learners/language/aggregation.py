"""`Aggregation`: how losses of tokens become the loss of a batch: one coefficient a token, loss = sum c_t l_t.

    token       c = w / sum of all w                    every token counts alike (DAPO: Yu et al. 2025, equation 8)
    sequence    c = w / (B · sum of the sequence's w)   every sequence does (GRPO: Shao et al. 2024, equation 3)
    constant    c = w / (B · length)                    neither: no bias for length (Dr. GRPO: Liu et al. 2025)

Coefficients are computed over the whole batch. So micro-batches only add up, and gradients accumulated over any
number of them are those of one big batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor


class Aggregation(BaseModel):
    """How a batch is averaged.

    Attributes:
        by: what counts alike.
        length: tokens that a sequence is divided by, `constant` only: the longest that may be generated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["token", "sequence", "constant"] = "token"
    length: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _length_where_it_is_used(self) -> Aggregation:
        if (self.by == "constant") != (self.length is not None):
            raise ValueError(
                f"got by={self.by!r} and length={self.length}; expected a length with `constant`, and only there"
            )
        return self


def coefficients(
    weights: Tensor, sequence: Tensor, config: Aggregation, total: Callable[[Tensor], Tensor] = lambda x: x
) -> Tensor:
    """How much the loss of each token counts in the loss of the batch, `[N]`.

    Args:
        weights: how much each token counts, 0 for those that are not learnt, `[N]`.
        sequence: which sequence each token belongs to, `[N]`.
        config: how to average.
        total: sums a number over all processes that share the batch.
    """
    tiny = torch.finfo(weights.dtype).tiny
    if config.by == "token":
        return weights / total(weights.sum()).clamp(min=tiny)
    tokens = weights.new_zeros(int(sequence[-1]) + 1).index_add(0, sequence, weights)
    sequences = total((tokens > 0).sum().to(weights.dtype)).clamp(min=1)
    if config.by == "sequence":
        return weights / (tokens[sequence].clamp(min=tiny) * sequences)
    assert config.length is not None
    return weights / (config.length * sequences)


def aggregate(losses: Tensor, coefficient: Tensor) -> Tensor:
    """Sum c_t l_t; a token of coefficient 0 changes neither it nor its gradient."""
    return (torch.where(coefficient > 0, losses, 0.0) * coefficient).sum()
