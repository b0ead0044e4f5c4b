"""`Correction`: what to do where two policies that should be one are not: a weight for each token, without gradient.

The engine that sampled an answer and the learner that scores it compute with other kernels and numbers, or the answer
is older than the learner's weights. With r = pi_learner / mu_engine of a token (or of its sequence):

    truncate    w = min(r, high)                      truncated importance sampling (Yao et al. 2025)
    mask        w = r within [low, high], else 0      IcePop (Ling team 2025)
    reject      w = 1 within [low, high], else 0      masking by sequence: `geometric` level, or by token

    token       r of the token
    sequence    r of the whole answer, the product over its tokens
    geometric   the mean of log r over the answer: does not depend on length

Weights multiply the loss and not its denominator: what is masked is not replaced. Without bounds, `truncate` by token
is the weight of decoupled PPO (Hilton et al. 2022; AReaL: Fu et al. 2025, equation 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from learners.language.ratios import Level, log_ratios

_LEVELS: dict[str, Level] = {"token": "token", "sequence": "product", "geometric": "sequence"}


class Correction(BaseModel):
    """One correction.

    Attributes:
        level: over what the ratio is measured.
        how: what is done with it.
        low: lower bound of the ratio, `mask` and `reject` only.
        high: upper bound of the ratio; None: none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["token", "sequence", "geometric"] = "token"
    how: Literal["truncate", "mask", "reject"] = "truncate"
    low: float = Field(0.0, ge=0)
    high: float | None = Field(2.0, gt=0)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Correction:
        if self.high is not None and self.low >= self.high:
            raise ValueError(f"got low={self.low} and high={self.high}; expected low below high")
        if self.how == "truncate" and self.low:
            raise ValueError(
                f"got low={self.low} with `truncate`, which bounds from above; expected `mask` or `reject`"
            )
        return self


@torch.no_grad()
def correction_weights(
    learner: Tensor, engine: Tensor, weights: Tensor, sequence: Tensor, corrections: Sequence[Correction]
) -> Tensor:
    """The product of the weights that the corrections give each token, `[N]`; 1 without any.

    Args:
        learner: log-probability of each token by the learner before the update, `[N]`.
        engine: log-probability with which it was sampled, `[N]`.
        weights: a token of weight 0 does not count, `[N]`.
        sequence: which sequence each token belongs to, `[N]`.
        corrections: all that are to be made.
    """
    product = torch.ones_like(learner)
    for one in corrections:
        ratio = log_ratios(learner, engine, weights, sequence, _LEVELS[one.level]).exp()
        high = torch.inf if one.high is None else one.high
        if one.how == "truncate":
            product = product * ratio.clamp(max=high)
        else:
            within = (ratio >= one.low) & (ratio <= high)
            product = product * torch.where(within, ratio if one.how == "mask" else 1.0, 0.0)
    return product
