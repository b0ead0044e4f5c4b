"""How often a policy is where the base policy is, by a discriminator, and what that says of a proxy reward.

d(s, a) = log μ_π / μ_0 is what a classifier learns that tells steps of one policy from steps of the other.

Source: Laidlaw, Singhal and Dragan, Correlated Proxies: A New Definition and Improved Mitigation for Reward Hacking.
The penalty itself is a part of a view, `rewards.shaping.occupancy_penalty`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def discriminator(current: Tensor, base: Tensor) -> Tensor:
    """Logistic loss, a scalar: least where the logits are log μ_π / μ_0.

    Args:
        current: logits d of steps of the policy, `[N]`.
        base: logits d of steps of the base policy, `[M]`.
    """
    return softplus(-current).mean() + softplus(base).mean()


def chi_squared(log_ratio: Tensor) -> Tensor:
    """χ²(μ_π ‖ μ_0) = E_π[e^d] − 1 from steps of the policy, a scalar; not below 0."""
    return torch.expm1(log_ratio.clamp(-20.0, 20.0)).mean().clamp(min=0.0)


def improvement_bound(proxy_gain: float, correlation: float, chi2: float) -> float:
    """The least that the true return has gained over the base policy, in deviations of the true reward.

    (1 / c) (gain of the proxy − √((1 − c²) χ²)), with c the correlation of proxy and true reward over μ_0 and both
    gains divided by the deviation of their reward there.

    Args:
        proxy_gain: what the proxy's return has gained, in deviations of the proxy.
        correlation: c, in (0, 1].
        chi2: χ²(μ_π ‖ μ_0).

    Raises:
        ValueError: a correlation that is not positive: then the proxy says nothing.
    """
    if not 0 < correlation <= 1:
        raise ValueError(f"got a correlation of {correlation}; expected one in (0, 1]")
    return (proxy_gain - math.sqrt((1 - correlation**2) * chi2)) / correlation
