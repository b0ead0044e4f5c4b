"""What keeps the policy near the one that acted: four ways to turn ratio and advantage into a loss.

| kind       | loss of a token, r the ratio, A the advantage           | source |
|------------|---------------------------------------------------------|--------|
| `none`     | -r A                                                    | importance-weighted policy gradient |
| `clip`     | -min(r A, clip(r, 1 - low, 1 + high) A)                 | PPO (Schulman et al. 2017, equation 7) |
| … `dual`   | where A < 0: at most -dual A                            | dual-clip PPO (Ye et al. 2020, equation 5) |
| … `pre`    | r is held within [1 / pre, pre] before all else         | StableReinforce (Zhang et al. 2025) |
| `truncate` | -sg(clip(r, low, high)) A log pi                        | CISPO (MiniMax 2025, equation 4) |
| `soft`     | -(4 / tau) sigmoid(tau (r - 1)) A, tau by the sign of A | SAPO (Gao et al. 2025) |

DAPO's clip-higher is `clip` with `high` above `low`. On policy (r = 1) all have the gradient of -A log pi.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor


class Surrogate(NamedTuple):
    """Loss of each token, and where the bound was felt.

    Attributes:
        loss: `[N]`, with gradient.
        clipped: bool `[N]`: the gradient was cut off, or for `truncate` the weight bounded.
    """

    loss: Tensor
    clipped: Tensor


class _Kind(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Unbounded(_Kind):
    """Nothing: the importance-weighted policy gradient."""

    kind: Literal["none"] = "none"

    def surrogate(self, ratio: Tensor, advantage: Tensor, log_probs: Tensor) -> Surrogate:
        """-r A."""
        return Surrogate(-ratio * advantage, torch.zeros_like(ratio, dtype=torch.bool))


class Clip(_Kind):
    """PPO's clip.

    Attributes:
        low: how far the ratio may fall below 1.
        high: how far it may rise above 1.
        dual: where A < 0 the loss is at most -dual · A, so that one token that became far more likely cannot
            outweigh all others; None: no bound.
        pre: how many times as likely a token may have become, or as unlikely, and still have a gradient; as clamping
            the log-ratio to ±log pre before its exponential is taken. None: no bound.
    """

    kind: Literal["clip"] = "clip"
    low: float = Field(0.2, gt=0, le=1)
    high: float = Field(0.2, gt=0)
    dual: float | None = Field(None, gt=1)
    pre: float | None = Field(None, gt=1)

    def surrogate(self, ratio: Tensor, advantage: Tensor, log_probs: Tensor) -> Surrogate:
        """-min(r A, clip(r) A)."""
        held = ratio if self.pre is None else ratio.clamp(1 / self.pre, self.pre)
        plain, clipped = held * advantage, held.clamp(1 - self.low, 1 + self.high) * advantage
        gain = torch.minimum(plain, clipped)
        felt = ((ratio > 1 + self.high) & (advantage > 0)) | ((ratio < 1 - self.low) & (advantage < 0))
        if self.dual is not None:
            gain = torch.where(advantage < 0, torch.maximum(gain, self.dual * advantage), gain)
            felt = felt | ((ratio > self.dual) & (advantage < 0))
        if self.pre is not None:
            felt = felt | (((ratio > self.pre) | (ratio < 1 / self.pre)) & (advantage != 0))
        return Surrogate(-gain, felt)


class Truncate(_Kind):
    """CISPO: the weight is bounded, and every token keeps its gradient.

    Attributes:
        low: lower bound of the ratio itself; 0: none, as in the paper.
        high: upper bound of the ratio itself, not of its distance from 1.
    """

    kind: Literal["truncate"] = "truncate"
    low: float = Field(0.0, ge=0)
    high: float = Field(5.0, gt=0)

    def surrogate(self, ratio: Tensor, advantage: Tensor, log_probs: Tensor) -> Surrogate:
        """-sg(clip(r)) A log pi."""
        weight = ratio.detach().clamp(self.low, self.high)
        return Surrogate(-weight * advantage * log_probs, (ratio > self.high) | (ratio < self.low))


class Soft(_Kind):
    """SAPO: a sigmoid gate instead of a clip; the gradient fades instead of ending.

    Attributes:
        positive: temperature tau where A > 0.
        negative: temperature tau elsewhere; larger fades sooner.
    """

    kind: Literal["soft"] = "soft"
    positive: float = Field(1.0, gt=0)
    negative: float = Field(1.05, gt=0)

    def surrogate(self, ratio: Tensor, advantage: Tensor, log_probs: Tensor) -> Surrogate:
        """-(4 / tau) sigmoid(tau (r - 1)) A."""
        tau = torch.where(advantage > 0, self.positive, self.negative)
        gate = torch.sigmoid(tau * (ratio - 1)) * 4 / tau
        return Surrogate(-gate * advantage, torch.zeros_like(ratio, dtype=torch.bool))


Bound = Annotated[Unbounded | Clip | Truncate | Soft, Field(discriminator="kind")]
