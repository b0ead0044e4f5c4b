"""Q-Evolve: a critic of stored episodes says what each step was worth, and the policy learns from the same steps.

One iteration, over the demonstrations and all that the agent has done so far:

    w_t  = 1 + boost · R · decay^(T − 1 − t)             R the success of the episode, T its length
    critic  implicit Q-learning, each row counting w_t  (`UtteranceCritic.critic_loss`; V leans to the best of the data)
    A_t  = Σ_l (γ λ)^l δ_{t+l},  δ_t = r_t + γ V(s_{t+1}) − V(s_t)          the process reward of a step
    L_π  = −mean min(ρ_t A_t, clip(ρ_t) A_t),  ρ_t = π(a_t | s_t) / π_before(a_t | s_t)

Where a reward comes at the end alone, the few rows that hold it are outweighed by all others; the weights bring it to
the early steps sooner. No action is ever asked about that is not in the data, and nothing is rolled back or out while
the policy learns: it is held near the one that it was before the iteration, and then gathers anew.

Source: Q-Evolve, Self-evolving LLM Agents with In-distribution Optimization (Zhang et al. 2026). That successful steps
near the end count more is the paper's; the form of the weights, and all numbers, are chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from learners.losses import clipped_policy_loss, normalised
from learners.objectives.utterance_critic import UtteranceCritic
from learners.returns import gae


class InDistribution(BaseModel):
    """How stored steps are weighted, valued and learnt from.

    Attributes:
        gamma: γ, discount of a step.
        expectile: τ of V; ½ is the mean of what was done.
        lambda_: λ of the process rewards.
        clip: how far the policy may go in an iteration, as of `clipped_policy_loss`.
        boost: how much more than 1 the last step of a success counts; 0 weighs all alike.
        decay: what is left of that one step earlier.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"q_evolve": {}, "unweighted": {"boost": 0.0}}

    gamma: float = Field(0.97, ge=0, le=1)
    expectile: float = Field(0.8, gt=0, lt=1)
    lambda_: float = Field(0.95, ge=0, le=1)
    clip: float = Field(0.2, gt=0)
    boost: float = Field(4.0, ge=0)
    decay: float = Field(0.9, ge=0, le=1)

    @property
    def critic(self) -> UtteranceCritic:
        """The losses of Q and V; its weight is `weights` of the rows."""
        return UtteranceCritic(gamma=self.gamma, expectile=self.expectile)

    def weights(self, success: Tensor, mask: Tensor) -> Tensor:
        """How much each step counts, `[T, B]`; 0 where there is none, and where success is not known.

        Args:
            success: R of each episode, 0 to 1, NaN where it is not known, `[B]`.
            mask: True where an episode has a step, `[T, B]`; none behind the first False.

        Raises:
            ValueError: shapes that do not fit, or success beyond 0 and 1.
        """
        if mask.dim() != 2 or success.shape != mask.shape[1:]:
            raise ValueError(f"got success {tuple(success.shape)} for steps {tuple(mask.shape)}; expected [B], [T, B]")
        known = ~success.isnan()
        if ((success < 0) | (success > 1)).any():
            raise ValueError(f"got success from {success[known].min():g} to {success[known].max():g}; expected 0 to 1")
        left = mask.sum(0) - 1 - torch.arange(len(mask), device=mask.device)[:, None]
        near = torch.where(mask, torch.as_tensor(self.decay, device=mask.device) ** left.clamp(min=0), 0.0)
        return torch.where(mask & known, 1 + self.boost * success * near, 0.0)

    def process_rewards(self, reward: Tensor, ended: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """A of each stored step, `[T, B]`; no gradient flows through it.

        Args:
            reward: r, `[T, B]`.
            ended: whether nothing follows a step, bool `[T, B]`; an episode that was cut goes on behind its last.
            value: V of each state and of the one behind the last, `[T + 1, B]`.
            mask: True where there is a step, `[T, B]`.
        """
        return gae(reward, self.gamma * (~ended).to(reward.dtype), value, mask, lambda_=self.lambda_)

    def policy_loss(self, log_probs: Tensor, before: Tensor, process_rewards: Tensor, mask: Tensor) -> Tensor:
        """L_π, a scalar, of process rewards brought to mean 0 and deviation 1.

        Args:
            log_probs: of the stored actions, with gradient, of any shape.
            before: the same by the policy as it was when the iteration began.
            process_rewards: A of each step.
            mask: which of them count.
        """
        return clipped_policy_loss(log_probs, before, normalised(process_rewards, mask), self.clip, mask)
