"""Losses of actor-critic learning: means over the steps that count.

`weight` is a mask or a weight for each step, of the shape of the values; None counts all the same. A step of weight
0 changes neither a loss nor its gradient, whatever stands there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# exp(20) is 5e8: far beyond every clip, and the products of such ratios stay finite in float32.
_LOG_RATIO_BOUND = 20.0

ROUNDING = 1e-6
"""Deviation of float32 numbers, as a share of their mean, that is put down to rounding: they are equal."""


def weighted_mean(values: Tensor, weight: Tensor | None = None) -> Tensor:
    """sum(weight · values) / sum(weight), a scalar; 0 where no step counts.

    Args:
        values: of any shape.
        weight: not negative, of the shape of `values`; None: the plain mean.
    """
    if weight is None:
        return values.mean()
    weight = weight.to(values.dtype)
    counted = torch.where(weight > 0, values, 0.0) * weight
    return counted.sum() / weight.sum().clamp(min=torch.finfo(values.dtype).tiny)


def anything_counts(weight: Tensor | None, total: Callable[[Tensor], Tensor] = lambda own: own) -> bool:
    """Whether a step counts. Where none does, as while a judge is down, Adam's momentum must not go on alone.

    Args:
        weight: not negative; None: all count.
        total: adds up a scalar over all learners that share a batch.
    """
    return weight is None or bool(total(weight.float().sum()) > 0)


def normalised(
    advantage: Tensor,
    weight: Tensor | None = None,
    mean: Callable[[Tensor, Tensor | None], Tensor] = weighted_mean,
) -> Tensor:
    """Advantages of mean 0 and deviation 1 over the steps that count, same shape; where all are equal they are 0.

    Args:
        advantage: A, of any shape.
        weight: how much each step counts.
        mean: over these steps, or over those of other processes too.
    """
    middle = mean(advantage, weight)
    centred = advantage - middle
    deviation = mean(centred.square(), weight).sqrt()
    return torch.where(deviation <= ROUNDING * middle.abs(), 0.0, centred / (deviation + 1e-5))


def probability_ratio(target_logprob: Tensor, behaviour_logprob: Tensor) -> Tensor:
    """pi(a|x) / mu(a|x), bounded so that it never overflows; same shape."""
    return (target_logprob - behaviour_logprob).clamp(-_LOG_RATIO_BOUND, _LOG_RATIO_BOUND).exp()


def clipped_policy_loss(
    target_logprob: Tensor,
    behaviour_logprob: Tensor,
    advantage: Tensor,
    clip: float,
    weight: Tensor | None = None,
) -> Tensor:
    """The clipped surrogate (Schulman et al. 2017, PPO, equation 7), clipped evenly in the log-ratio.

        L = - mean min(ratio A, clip(ratio, 1 / (1 + clip), 1 + clip) A),   ratio = pi(a|x) / mu(a|x)

    The lower bound is 1 / (1 + clip), as in APPO (Petrenko et al. 2020), so that doubling and halving a
    probability are the same distance. The gradient is 0 where the ratio has already gone too far in the direction
    that the advantage asks for.

    Args:
        target_logprob: log pi(a|x), with gradient, `[N]` or `[T, B]`.
        behaviour_logprob: log mu(a|x) of the policy that acted, same shape.
        advantage: A, same shape; no gradient flows through it.
        clip: how far the ratio may go, above 0.
        weight: how much each step counts.
    """
    advantage = advantage.detach()
    ratio = probability_ratio(target_logprob, behaviour_logprob)
    clipped = ratio.clamp(1.0 / (1.0 + clip), 1.0 + clip)
    return -weighted_mean(torch.minimum(ratio * advantage, clipped * advantage), weight)


def importance_weighted_policy_loss(
    target_logprob: Tensor,
    behaviour_logprob: Tensor,
    advantage: Tensor,
    rho_bar: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """The policy gradient of V-trace (Espeholt et al. 2018, IMPALA, section 4.2).

        L = - mean rho A log pi(a|x),   rho = min(rho_bar, pi(a|x) / mu(a|x))

    Args:
        target_logprob: log pi(a|x), with gradient, `[N]` or `[T, B]`.
        behaviour_logprob: log mu(a|x) of the policy that acted, same shape.
        advantage: A, same shape; no gradient flows through it, nor through rho.
        rho_bar: bound of the importance weights.
        weight: how much each step counts.
    """
    rho = probability_ratio(target_logprob.detach(), behaviour_logprob).clamp(max=rho_bar)
    return -weighted_mean(rho * advantage.detach() * target_logprob, weight)


def clipped_value_loss(
    value: Tensor, anchor: Tensor, target: Tensor, clip: float | None = None, weight: Tensor | None = None
) -> Tensor:
    """Squared error of values that may not leave their anchor at one go (PPO, as in its reference code).

        L = mean max((V - target)^2, (anchor + clip(V - anchor, -clip, clip) - target)^2)

    Args:
        value: V(x), with gradient, `[N]` or `[T, B]`.
        anchor: V(x) before the update, same shape.
        target: what V(x) should become, same shape; no gradient flows through it.
        clip: how far V(x) may move; None: anywhere, the plain squared error.
        weight: how much each step counts.
    """
    target = target.detach()
    error = (value - target).square()
    if clip is not None:
        anchor = anchor.detach()
        error = torch.maximum(error, (anchor + (value - anchor).clamp(-clip, clip) - target).square())
    return weighted_mean(error, weight)


def entropy_loss(entropy: Tensor, weight: Tensor | None = None) -> Tensor:
    """Minus the mean entropy (Williams and Peng 1991; Mnih et al. 2016, A3C): lower is more random.

    Args:
        entropy: of the policy at each step, with gradient, `[N]` or `[T, B]`.
        weight: how much each step counts.
    """
    return -weighted_mean(entropy, weight)
