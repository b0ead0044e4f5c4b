from __future__ import annotations

import numpy as np
import pytest
import torch

from learners.objectives.occupancy import chi_squared, discriminator, improvement_bound


def test_the_loss_is_least_at_the_log_ratio_and_gives_chi_squared():
    current, base = torch.tensor([0.5, 0.5]), torch.tensor([0.8, 0.2])
    ratio = (current / base).log().requires_grad_()
    loss = (current * torch.nn.functional.softplus(-ratio)).sum() + (base * torch.nn.functional.softplus(ratio)).sum()
    loss.backward()
    assert ratio.grad.abs().max() < 1e-7
    states = torch.tensor([0, 1])  # as often as under `current`
    exact = ((current - base).square() / base).sum()
    assert torch.allclose(chi_squared(ratio.detach()[states]), exact)
    steps = torch.tensor([0, 0, 0, 0, 1])
    assert torch.allclose(discriminator(ratio.detach()[states], ratio.detach()[steps]), loss.detach())


def test_no_policy_gains_less_than_the_bound():
    random = np.random.default_rng(0)
    checked = 0
    for _ in range(1000):
        base, other = random.dirichlet(np.ones(6), 2)
        true = random.normal(size=6)
        proxy = true + random.normal(size=6)
        centred = [r - base @ r for r in (proxy, true)]
        deviation = [np.sqrt(base @ r**2) for r in centred]
        correlation = float(base @ (centred[0] * centred[1]) / (deviation[0] * deviation[1]))
        if correlation <= 0:
            continue
        chi2 = float(((other - base) ** 2 / base).sum())
        gains = [float((other - base) @ r / d) for r, d in zip(centred, deviation, strict=True)]
        assert gains[1] >= improvement_bound(gains[0], correlation, chi2) - 1e-9
        checked += 1
    assert checked > 500


def test_a_proxy_that_says_nothing_has_no_bound():
    with pytest.raises(ValueError, match="got a correlation of 0"):
        improvement_bound(1.0, 0.0, 1.0)
