"""EPO: entropy of an agent's turns is paid for, and kept within a band around what it used to be.

    L = L_PG − λ (mean H − β_k mean penalty(H))        penalty = 0 inside [κ_l H̄, κ_r H̄], H̄ the running mean of a turn

Source: EPO, Entropy-regularized Policy Optimization for LLM Agents. In the released code the penalty outside the band
is a constant, which has no gradient and only shifts the loss; the hinge, α times the distance, has one.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor


class EntropyBand(BaseModel):
    """What entropy is worth, and where.

    Attributes:
        coefficient: λ; 0 leaves the policy gradient alone.
        low: κ_l.
        high: κ_r.
        alpha: α, of the penalty.
        penalty: `constant` as in the code, or `hinge`.
        start: β_k at the first update.
        middle: β_k in the middle of the run; a straight line before, and after it the same factor again, exponentially.
            Below `start` it is the decay of the code, above it the strengthening of the text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coefficient: float = Field(1e-3, ge=0, allow_inf_nan=False)
    low: float = Field(0.8, ge=0, allow_inf_nan=False)
    high: float = Field(1.2, gt=0, allow_inf_nan=False)
    alpha: float = Field(0.1, ge=0, allow_inf_nan=False)
    penalty: Literal["constant", "hinge"] = "constant"
    start: float = Field(1.0, gt=0, allow_inf_nan=False)
    middle: float = Field(0.8, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _a_band(self) -> EntropyBand:
        if not self.low < self.high:
            raise ValueError(f"got a band from {self.low} to {self.high} times the mean; expected low < high")
        return self

    def phase(self, progress: float) -> float:
        """β_k, at that share of the run.

        Raises:
            ValueError: a share outside [0, 1].
        """
        if not 0 <= progress <= 1:
            raise ValueError(f"got progress={progress}; expected a share of the run between 0 and 1")
        if progress <= 0.5:
            return self.start + (self.middle - self.start) * 2 * progress
        return self.middle * math.exp(math.log(self.middle / self.start) * (2 * progress - 1))

    def penalties(self, entropy: Tensor, history: Tensor) -> Tensor:
        """Penalty of each turn, of the shape of `entropy`; 0 where there is no history.

        Args:
            entropy: mean entropy of a turn's tokens, with gradient.
            history: H̄ of the same turn; NaN where none was seen.
        """
        mean = history.detach()
        outside = torch.relu(self.low * mean - entropy) + torch.relu(entropy - self.high * mean)
        outside = torch.where(mean.isfinite(), outside, 0.0)
        return self.alpha * (outside if self.penalty == "hinge" else (outside > 0).to(entropy.dtype))

    def loss(self, entropy: Tensor, mask: Tensor, history: Tensor, progress: float) -> Tensor:
        """−λ (mean H − β_k mean penalty), a scalar to be added to the policy's loss.

        Args:
            entropy: of each turn, `[B, turns]`.
            mask: which turns there are, bool, `[B, turns]`.
            history: H̄ of each turn, NaN where none, `[turns]`.
            progress: share of the run that is done.
        """
        number = mask.sum().clamp(min=1)
        kept = entropy.masked_fill(~mask, 0.0)
        penalty = self.penalties(kept, history.expand_as(kept)).masked_fill(~mask, 0.0)
        return -self.coefficient * (kept.sum() - self.phase(progress) * penalty.sum()) / number


class EntropyHistory(BaseModel):
    """Mean entropy of each turn over all updates so far.

    Attributes:
        means: of each turn; None where it was never reached.
        updates: how many each mean is over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    means: tuple[float | None, ...] = ()
    updates: tuple[int, ...] = ()

    def seen(self, entropy: Tensor, mask: Tensor) -> EntropyHistory:
        """The history with one update more, `[B, turns]`."""
        turns = max(entropy.shape[1], len(self.means))
        means = [*self.means, *[None] * (turns - len(self.means))]
        updates = [*self.updates, *[0] * (turns - len(self.updates))]
        counts = mask.sum(0).tolist()
        sums = entropy.detach().masked_fill(~mask, 0.0).sum(0).tolist()
        for turn, (count, total) in enumerate(zip(counts, sums, strict=True)):
            if count:
                before = means[turn] or 0.0
                updates[turn] += 1
                means[turn] = before + (total / count - before) / updates[turn]
        return EntropyHistory(means=tuple(means), updates=tuple(updates))

    def tensor(self, turns: int) -> Tensor:
        """Means of the first `turns`, NaN where there is none, `[turns]`."""
        known = [math.nan if mean is None else mean for mean in self.means[:turns]]
        return torch.tensor([*known, *[math.nan] * (turns - len(known))])
