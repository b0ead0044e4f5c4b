from __future__ import annotations

import math

import pytest
import torch

from learners.flows.steps import dual_advantage, flow_log_prob, flow_mean, noise_window

X, V = torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([[0.5, 0.0], [-1.0, 1.0]])


def test_without_noise_it_is_the_euler_step_and_straight_paths_end_at_the_data():
    assert torch.allclose(flow_mean(X, V, 0.5, 0.4, 0.0), X - 0.1 * V)
    clean, noise = torch.tensor([[2.0, 1.0]]), torch.tensor([[-1.0, 3.0]])
    x = noise
    for k in range(4):
        x = flow_mean(x, noise - clean, 1 - k / 4, 1 - (k + 1) / 4, 0.0)
    assert torch.allclose(x, clean)


def test_a_noisy_step_by_hand():
    # x = 1, v = 0.5, σ 0.5 to 0.4: x̂₀ = 0.75, score = −(1 − 0.375)/0.25 = −2.5, and − ½ 0.25² (−2.5)(−0.1)
    found = flow_mean(torch.tensor([[1.0]]), torch.tensor([[0.5]]), 0.5, 0.4, 0.25)
    assert float(found) == pytest.approx(1 - 0.05 - 0.5 * 0.0625 * 0.25)
    guided = flow_mean(torch.tensor([[1.0]]), torch.tensor([[0.5]]), 0.5, 0.4, 0.25, torch.tensor([[7.0]]), 0.01)
    assert float(guided - found) == pytest.approx(0.01, abs=1e-6)
    assert torch.equal(flow_mean(X, V, 0.5, 0.4, 0.3, torch.ones(2, 2), 0.0), flow_mean(X, V, 0.5, 0.4, 0.3))


def test_noise_is_forgotten_in_the_mean_where_the_state_is_gaussian():
    # data at 0: x_σ is N(0, σ²), and a whole noisy step must leave N(0, σ'²) up to the size of the step squared
    sigma, after, eta = 0.5, 0.499, 0.8
    x = torch.tensor([[1.0]])
    slope = float(flow_mean(x, x / sigma, sigma, after, eta))
    variance = slope**2 * sigma**2 + eta**2 * (sigma - after)
    assert variance == pytest.approx(after**2, abs=1e-5)


def test_densities_are_torchs_and_a_step_without_noise_has_none():
    mean, made = X, X + torch.tensor([[0.1, 0.0], [0.0, -0.2]])
    scale = 0.3 * math.sqrt(0.1)
    wanted = torch.distributions.Normal(mean, scale).log_prob(made).sum(1)
    assert torch.allclose(flow_log_prob(made, mean, 0.5, 0.4, 0.3), wanted, rtol=1e-4)
    with pytest.raises(ValueError, match="has no density"):
        flow_log_prob(made, mean, 0.5, 0.4, 0.0)
    with pytest.raises(ValueError, match="expected 0 <= after < sigma"):
        flow_mean(X, V, 0.4, 0.5, 0.1)


def test_a_window_has_its_width_and_falls_everywhere():
    generator = torch.Generator().manual_seed(0)
    found = [noise_window(5, 2, generator) for _ in range(200)]
    assert {len(window) for window in found} == {2} and {window.start for window in found} == {0, 1, 2, 3}
    assert noise_window(5, 5, generator) == range(5)
    with pytest.raises(ValueError, match="from 1 to 5"):
        noise_window(5, 6, generator)


def test_both_advantages_are_normal_within_groups_and_add_up():
    groups = torch.tensor([0, 0, 1, 1])
    process = torch.tensor([[1.0, 5.0], [3.0, 5.0], [0.0, 1.0], [0.0, 3.0]])
    outcome = torch.tensor([0.0, 1.0, 2.0, 4.0])
    found = dual_advantage(process, outcome, groups, (1.0, 2.0))
    wanted = torch.tensor([[-3.0, -2.0], [3.0, 2.0], [-2.0, -3.0], [2.0, 3.0]])
    assert torch.allclose(found, wanted, atol=1e-4)
    with pytest.raises(ValueError, match=r"expected \[N, T\]"):
        dual_advantage(outcome, outcome, groups)


def test_equals_of_a_group_have_no_advantage_whatever_rounding_makes_of_their_mean():
    scores = torch.tensor([100.1] * 7 + [1.0, 3.0])
    found = dual_advantage(scores[:, None], scores, torch.tensor([0] * 7 + [1, 1]))
    assert found[:7].tolist() == [[0.0]] * 7 and found[7:, 0].tolist() == pytest.approx([-2, 2], abs=1e-4)
