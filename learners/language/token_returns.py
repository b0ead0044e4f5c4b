"""Returns and advantages of tokens: each of the policy's own tokens is a step, and an answer ends with its last one.

Tokens of the prompt and of the world (tool results) are no steps: the step after the last token of one turn is the
first own token of the next. The mathematics is that of `learners.returns`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from learners.batch import pad, unpad
from learners.language.divergences import Estimator, estimate
from learners.returns import gae, stop_at_unknown, vtrace


class Returns(BaseModel):
    """How rewards become advantages.

    Attributes:
        gamma: discount of one token.
        lambda_: trades bias (0) for variance (1).
        estimator: generalised advantages, or V-trace, which weighs what an older policy has sampled: the learner then
            needs `corrections` that weigh the policy gradient alike, or anchor `behaviour`.
        rho_bar: V-trace: bound of the weights that set the fixed point.
        c_bar: V-trace: bound of the weights that set how far errors travel back.
        normalise: whether advantages are brought to mean 0 and deviation 1 over the tokens of a batch; where all are
            equal they are 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gamma: float = Field(1.0, ge=0, le=1)
    lambda_: float = Field(1.0, ge=0, le=1)
    estimator: Literal["gae", "vtrace"] = "gae"
    rho_bar: float = Field(1.0, gt=0)
    c_bar: float = Field(1.0, gt=0)
    normalise: bool = True


class Estimate(NamedTuple):
    """Of each token `[N]`, 0 at tokens that are no steps: its advantage, and what its value should become."""

    advantages: Tensor
    targets: Tensor


@torch.no_grad()
def token_returns(
    rewards: Tensor,
    values: Tensor,
    loss_mask: Tensor,
    lengths: Tensor,
    weights: Tensor,
    config: Returns,
    log_probs: Tensor | None = None,
    behaviour_log_probs: Tensor | None = None,
) -> Estimate:
    """Advantages by GAE (Schulman et al. 2016, equation 16) or V-trace (Espeholt et al. 2018, equation 1).

    An answer is an episode: nothing is worth anything behind its last own token. A step whose reward is not known
    (weight 0) ends the return of those before it with its own value.

    Args:
        rewards: paid at each token, `[N]`.
        values: of the state in which each token was chosen, `[N]`; zeros without a critic: then with lambda 1 the
            advantage is the reward to go.
        loss_mask: True at the policy's own tokens, `[N]`.
        lengths: tokens of each sequence, `[B]`.
        weights: 0 where the reward is not known, `[N]`.
        config: how.
        log_probs: V-trace: of the policy that learns, `[N]`.
        behaviour_log_probs: V-trace: of the policy that sampled, `[N]`.

    Raises:
        ValueError: V-trace without log-probabilities.
    """
    if not bool(loss_mask.any()):
        return Estimate(torch.zeros_like(rewards), torch.zeros_like(rewards))
    sequence = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)
    own_lengths = torch.bincount(sequence[loss_mask], minlength=len(lengths))
    discount = torch.full_like(rewards, config.gamma)
    discount[_last_own(loss_mask, own_lengths)] = 0.0
    rewards, discount = stop_at_unknown(rewards, discount, values, weights)

    streams = [rewards, discount, values]
    if config.estimator == "vtrace":
        if log_probs is None or behaviour_log_probs is None:
            raise ValueError("got no log-probabilities of learner and engine; expected both, which V-trace compares")
        streams += [log_probs, behaviour_log_probs]
    padded, mask = pad(torch.stack(streams, -1)[loss_mask], own_lengths)
    reward, discount, value, *pair = padded.unbind(-1)
    value = torch.cat([value, torch.zeros_like(value[:1])])  # behind the last step the discount is 0
    if pair:
        bounds = {"rho_bar": config.rho_bar, "c_bar": config.c_bar}
        traced = vtrace(pair[1], pair[0], reward, discount, value, mask, lambda_=config.lambda_, **bounds)
        advantage, target = traced.advantage, traced.vs
    else:
        advantage = gae(reward, discount, value, mask, lambda_=config.lambda_)
        target = advantage + value[:-1]
    flat = unpad(torch.stack([advantage, target], -1), own_lengths)
    advantages, targets = torch.zeros_like(rewards), torch.zeros_like(rewards)
    advantages[loss_mask], targets[loss_mask] = flat.unbind(-1)
    return Estimate(advantages, targets)


@torch.no_grad()
def rewards_less_divergence(
    rewards: Tensor, log_probs: Tensor, reference: Tensor, loss_mask: Tensor, coefficient: float, estimator: Estimator
) -> Tensor:
    """r_t - coefficient · KL_t at the policy's own tokens (Ouyang et al. 2022, equation 2), `[N]`.

    Args:
        rewards: `[N]`.
        log_probs: of the learner before the update, `[N]`.
        reference: of the policy to stay near, `[N]`.
        loss_mask: `[N]`.
        coefficient: price of one nat.
        estimator: of the divergence.
    """
    divergence = torch.where(loss_mask, estimate(log_probs, reference, estimator), 0.0)
    return rewards - coefficient * divergence


def _last_own(loss_mask: Tensor, own_lengths: Tensor) -> Tensor:
    """Where the last own token of each sequence that has any lies."""
    own = loss_mask.nonzero().squeeze(-1)
    return own[own_lengths.cumsum(0)[own_lengths > 0] - 1]
