"""ArCHer: a critic of whole utterances says what each was worth, and a policy gradient takes that to their tokens.

High level, off-policy, over rows (s, a, r, s') of utterances from a replay, with K heads and slow targets Q̄, V̄:

    L_Q = Σ_k mean (r + γ V̄_k(s') − Q_k(s, a))²          V̄ is 0 behind the last utterance
    L_V = Σ_k mean 2 |τ − 1[u < 0]| u²                   u = Q̄_k(s, a') − V_k(s),  a' by the policy as it is now

Low level, on-policy, over the tokens of utterances that the policy writes now, from any stored state:

    A(s, a) = min_k Q_k(s, a) − min_k V_k(s)
    L_π = − mean_a Σ_h (A(s, a) − Ṽ(s, a_<h)) log π(a_h | s, a_<h)  +  mean (A(s, a) − Ṽ(s, a_<h))²

Ṽ is a baseline of tokens, and may be left out. τ = ½ is the mean; above it V leans to the best of what is done, and
then a' may come from the replay too (implicit Q-learning). The critic is updated several times for each update of the
policy, and alone at first.

Source: ArCHer, Training Language Model Agents via Hierarchical Multi-Turn RL (Zhou et al. 2024). γ = 0.9, the rate
0.1 of the targets, three critic updates and 20 rounds of warming up stand in its released code; there each V follows
the Q of its own number, as here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from learners.losses import weighted_mean
from learners.offline.iql import expectile_loss


class UtteranceCritic(BaseModel):
    """How utterances are valued, and how their tokens learn from it.

    Attributes:
        gamma: γ, discount of an utterance.
        expectile: τ of V.
        target_rate: how far the targets move in each update, for `learners.weights.follow`.
        critic_steps: updates of the critic for one round.
        warm_up: rounds before the policy moves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"archer": {}, "archer_iql": {"expectile": 0.9}}

    gamma: float = Field(0.9, ge=0, le=1)
    expectile: float = Field(0.5, gt=0, lt=1)
    target_rate: float = Field(0.1, gt=0, le=1)
    critic_steps: int = Field(3, ge=1)
    warm_up: int = Field(20, ge=0)

    def acts(self, completed: int) -> bool:
        """Whether the policy moves in the round after that many."""
        return completed >= self.warm_up

    def critic_loss(
        self,
        q: Tensor,
        value: Tensor,
        reward: Tensor,
        next_value: Tensor,
        ended: Tensor,
        q_now: Tensor,
        weight: Tensor | None = None,
    ) -> Tensor:
        """L_Q + L_V, a scalar.

        Args:
            q: Q_k(s, a) of what was said, `[K, N]`.
            value: V_k(s), `[K, N]`.
            reward: r of the utterance, `[N]`.
            next_value: V̄_k(s') of the target, `[K, N]`; whatever stands there does not count where it ended.
            ended: whether nothing follows, bool `[N]`.
            q_now: Q̄_k(s, a') of the target, `[K, N]`, a' of the policy as it is now.
            weight: how much each row counts, `[N]`; 0 where the reward is not known.

        Raises:
            ValueError: shapes that do not fit.
        """
        if not (
            q.shape == value.shape == next_value.shape == q_now.shape and reward.shape == ended.shape == q[0].shape
        ):
            raise ValueError(
                f"got Q {tuple(q.shape)}, V {tuple(value.shape)}, V̄ {tuple(next_value.shape)}, Q̄ {tuple(q_now.shape)}, "
                f"rewards {tuple(reward.shape)} and ends {tuple(ended.shape)}; expected [K, N] four times and [N] twice"
            )
        after = torch.where(ended, 0.0, next_value.detach())
        known = reward if weight is None else torch.where(weight > 0, reward, 0.0)  # 0 · NaN would be a gradient of NaN
        errors = (known + self.gamma * after - q).square()
        errors = errors + 2 * expectile_loss(q_now.detach() - value, self.expectile)
        return torch.stack([weighted_mean(one, weight) for one in errors]).sum()

    @staticmethod
    def advantage(q: Tensor, value: Tensor) -> Tensor:
        """min_k Q_k − min_k V_k, without a gradient, `[N]`; both `[K, N]`."""
        return (q.min(0).values - value.min(0).values).detach()

    @staticmethod
    def token_loss(log_probs: Tensor, mask: Tensor, advantage: Tensor, baseline: Tensor | None = None) -> Tensor:
        """L_π, a scalar.

        Args:
            log_probs: of the tokens of each utterance, with gradient, `[N, T]`.
            mask: which of them count, bool `[N, T]`.
            advantage: A of each utterance, `[N]`; no gradient flows through it.
            baseline: Ṽ before each token, with gradient, `[N, T]`; None: 0, and nothing of it is learnt.

        Raises:
            ValueError: shapes that do not fit.
        """
        fits = log_probs.shape == mask.shape and log_probs.shape[:1] == advantage.shape
        if not fits or (baseline is not None and baseline.shape != mask.shape):
            raise ValueError(
                f"got log-probabilities {tuple(log_probs.shape)}, mask {tuple(mask.shape)}, advantages "
                f"{tuple(advantage.shape)} and baseline {None if baseline is None else tuple(baseline.shape)}; "
                "expected [N, T] twice, [N], and [N, T] or none"
            )
        gain = advantage.detach()[:, None].expand_as(log_probs)
        if baseline is None:
            return -(torch.where(mask, log_probs, 0.0) * gain).sum(-1).mean()
        left = torch.where(mask, gain - baseline, 0.0)
        policy = -(torch.where(mask, log_probs, 0.0) * left.detach()).sum(-1).mean()
        return policy + weighted_mean(left.square(), mask)
