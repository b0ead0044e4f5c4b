"""Returns and advantages: what a step was worth, from rewards, discounts and values.

Everything is time-major: rewards and discounts `[T, B]`, values `[T+1, B]`, one more because the last valid step
bootstraps from the observation that follows it. Columns are rows of experience of different lengths, padded at the
end; `mask[t, b]` is True where row b has a step t. What stands in the padding, NaN too, changes nothing.

`discount` is gamma times the environment's discount: 0 at a termination, so that the value behind it vanishes, and
gamma at a truncation, so that the value of the last observation is kept.

All of these are one recursion, run backwards over T vectors `[B]`:

    x_t = delta_t + decay_t x_{t+1}
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class VTrace(NamedTuple):
    """What V-trace says of each step.

    Attributes:
        vs: targets of the value function, `[T, B]`.
        advantage: q_t - V(x_t), `[T, B]`, before any importance weight: the policy gradient of the paper multiplies it
            by `rho`, a surrogate on the probability ratio (PPO) brings its own.
        rho: truncated importance weights, `[T, B]`.
    """

    vs: Tensor
    advantage: Tensor
    rho: Tensor


@torch.no_grad()
def vtrace(
    behaviour_logprob: Tensor,
    target_logprob: Tensor,
    reward: Tensor,
    discount: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    lambda_: float = 1.0,
    rho_bar: float = 1.0,
    c_bar: float = 1.0,
) -> VTrace:
    r"""V-trace targets and advantages (Espeholt et al. 2018, IMPALA, equation 1 and section 4.2).

        rho_t   = min(rho_bar, pi(a_t|x_t) / mu(a_t|x_t))
        c_t     = lambda min(c_bar, pi(a_t|x_t) / mu(a_t|x_t))
        delta_t = rho_t (r_t + g_t V(x_{t+1}) - V(x_t))
        v_t     = V(x_t) + delta_t + g_t c_t (v_{t+1} - V(x_{t+1}))
        q_t     = r_t + g_t (lambda v_{t+1} + (1 - lambda) V(x_{t+1}))

    with v = V behind the last step of a row. On policy with lambda 1, v_t is the discounted n-step return up to the
    end of the row.

    Args:
        behaviour_logprob: log mu(a_t|x_t) of the policy that acted, `[T, B]`.
        target_logprob: log pi(a_t|x_t) of the policy that learns, `[T, B]`.
        reward: r_t, `[T, B]`.
        discount: g_t, `[T, B]`.
        value: V(x_t), `[T+1, B]`.
        mask: True where there is a step, `[T, B]`; None: everywhere.
        lambda_: trades bias (0: one step) for variance (1: until the row ends).
        rho_bar: bound of the weights that set the fixed point.
        c_bar: bound of the weights that set how far errors travel back.

    Returns:
        Targets, advantages and weights; 0 in the padding. No gradient flows through them.
    """
    _expect_shapes(reward, discount, value, mask)
    ratio = (target_logprob - behaviour_logprob).exp()
    rho = ratio.clamp(max=rho_bar)
    now, after = value[:-1], value[1:]
    delta = rho * (reward + discount * after - now)
    decay = discount * ratio.clamp(max=c_bar) * lambda_
    if mask is not None:
        delta, decay = _silence(delta, mask), _silence(decay, mask)
    error = _accumulate(delta, decay)
    # v_{t+1} - V(x_{t+1}), which is 0 behind the last step of every row.
    next_error = torch.cat([error[1:], torch.zeros_like(error[:1])])
    vs = now + error
    advantage = reward + discount * (after + lambda_ * next_error) - now
    if mask is not None:
        vs, advantage, rho = _silence(vs, mask), _silence(advantage, mask), _silence(rho, mask)
    return VTrace(vs, advantage, rho)


@torch.no_grad()
def gae(
    reward: Tensor, discount: Tensor, value: Tensor, mask: Tensor | None = None, *, lambda_: float = 0.95
) -> Tensor:
    """Generalised advantage estimates (Schulman et al. 2016, equation 16).

        delta_t = r_t + g_t V(x_{t+1}) - V(x_t)
        A_t     = delta_t + g_t lambda A_{t+1}

    Args:
        reward: r_t, `[T, B]`.
        discount: g_t, `[T, B]`.
        value: V(x_t), `[T+1, B]`.
        mask: True where there is a step, `[T, B]`; None: everywhere.
        lambda_: trades bias (0: one step) for variance (1: until the row ends).

    Returns:
        A_t, `[T, B]`, 0 in the padding. No gradient flows through it.
    """
    _expect_shapes(reward, discount, value, mask)
    delta = reward + discount * value[1:] - value[:-1]
    decay = discount * lambda_
    if mask is not None:
        delta, decay = _silence(delta, mask), _silence(decay, mask)
    return _accumulate(delta, decay)


@torch.no_grad()
def lambda_returns(
    reward: Tensor, discount: Tensor, value: Tensor, mask: Tensor | None = None, *, lambda_: float = 1.0
) -> Tensor:
    """TD(lambda) returns (Sutton and Barto 2018, equation 12.18).

        G_t = r_t + g_t ((1 - lambda) V(x_{t+1}) + lambda G_{t+1})

    with G = V behind the last step of a row: lambda 0 is the one-step target, lambda 1 the n-step return up to the
    end of the row.

    Args:
        reward: r_t, `[T, B]`.
        discount: g_t, `[T, B]`.
        value: V(x_t), `[T+1, B]`.
        mask: True where there is a step, `[T, B]`; None: everywhere.
        lambda_: trades bias (0: one step) for variance (1: until the row ends).

    Returns:
        G_t, `[T, B]`, 0 in the padding. No gradient flows through it.
    """
    returns = gae(reward, discount, value, mask, lambda_=lambda_) + value[:-1]
    return returns if mask is None else _silence(returns, mask)


def stop_at_unknown(reward: Tensor, discount: Tensor, value: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rewards and discounts with which no return looks through a step that does not count.

    The reward of such a step is not known; taken as 0 it would be told to all steps before it. What is known of the
    step is V(x), so a return ends there and bootstraps: with r = V(x) and g = 0 the step's own error is 0.

    Args:
        reward: r_t, of any shape.
        discount: g_t, same shape.
        value: V(x_t), same shape.
        weight: how much each step counts, same shape; None: all do.
    """
    if weight is None:
        return reward, discount
    counts = weight > 0
    return torch.where(counts, reward, value), torch.where(counts, discount, 0.0)


def _accumulate(delta: Tensor, decay: Tensor) -> Tensor:
    """x_t = delta_t + decay_t x_{t+1}, from x_T = 0; `[T, B]`."""
    total = torch.zeros_like(delta[0])
    backwards = []
    for step, keep in zip(reversed(delta.unbind(0)), reversed(decay.unbind(0)), strict=True):
        total = torch.addcmul(step, keep, total)
        backwards.append(total)
    return torch.stack(backwards[::-1])


def _silence(values: Tensor, mask: Tensor) -> Tensor:
    """0 in the padding. A selection and not a product: NaN times 0 is NaN."""
    return torch.where(mask, values, 0.0)


def _expect_shapes(reward: Tensor, discount: Tensor, value: Tensor, mask: Tensor | None) -> None:
    """Refuse shapes that would broadcast into something else.

    Raises:
        ValueError: a shape does not fit.
    """
    steps, rows = reward.shape
    fits = steps > 0 and discount.shape == reward.shape and value.shape == (steps + 1, rows)
    if not fits or (mask is not None and mask.shape != reward.shape):
        raise ValueError(
            f"got reward {tuple(reward.shape)}, discount {tuple(discount.shape)}, value {tuple(value.shape)}, "
            f"mask {None if mask is None else tuple(mask.shape)}; expected [T, B], [T, B], [T+1, B], [T, B] with T > 0"
        )
