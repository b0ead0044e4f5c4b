"""`Kl`: what staying near another policy is worth, and where it is paid: in the loss or in the reward."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Kl(BaseModel):
    """A price on divergence.

    Attributes:
        coefficient: price of one nat a token.
        to: the policy to stay near: a frozen reference, or the one that sampled, which needs no second model.
        estimator: see `learners.language.divergences`; `forward`, `reverse` and `js` look at the whole vocabulary.
            In the loss `k1` has to be weighted: its own gradient, grad log pi, is 0 on average.
        where: `loss` differentiates it (GRPO), `reward` makes it part of what is earned (PPO of InstructGPT,
            REINFORCE++).
        weighted: in the loss, whether it is multiplied by the ratio, which makes its gradient that of the KL when the
            sampler is older than the learner (DeepSeek-V3.2, equation 7).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coefficient: float = Field(0.001, gt=0)
    to: Literal["reference", "behaviour"] = "reference"
    estimator: Literal["k1", "k2", "k3", "forward", "reverse", "js"] = "k3"
    where: Literal["loss", "reward"] = "loss"
    weighted: bool = False

    @model_validator(mode="after")
    def _can_be_had(self) -> Kl:
        if self.exact and (self.where == "reward" or self.to == "behaviour"):
            raise ValueError(
                f"got estimator={self.estimator!r} with where={self.where!r} and to={self.to!r}; expected "
                "where='loss' and to='reference': a whole distribution needs the model itself, in the loss"
            )
        if self.estimator == "k1" and self.where == "loss" and not self.weighted:
            raise ValueError(
                "got estimator='k1' with where='loss' and weighted=False; expected weighted=True, or estimator='k2' or "
                "'k3': the gradient of k1 is that of log pi, which is 0 on average, so nothing would keep the policy "
                "near"
            )
        return self

    @property
    def exact(self) -> bool:
        """Whether it looks at the whole vocabulary."""
        return self.estimator in ("forward", "reverse", "js")
