from __future__ import annotations

import pytest
import torch

from learners.flows.sampler import guided_velocity, path_log_probs, sample
from learners.flows.steps import flow_mean


def to_a_point(x, sigma):
    return (x - torch.tensor([2.0, 1.0])) / sigma


def seeded(**settings):
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    return sample(to_a_point, noise, 4, generator=torch.Generator().manual_seed(1), **settings)


def test_without_noise_a_straight_field_ends_at_its_data_and_has_no_density():
    path = seeded()
    assert torch.allclose(path.states[:, -1], torch.tensor([2.0, 1.0]), atol=1e-5)
    assert path.log_probs.shape == (5, 0) and not path.window
    with pytest.raises(ValueError, match="no density"):
        path_log_probs(to_a_point, path)
    with pytest.raises(ValueError, match="at least 1"):
        sample(to_a_point, torch.zeros(1, 2), 0)


def test_noise_is_in_the_window_alone_and_a_window_of_all_steps_is_none():
    path = seeded(eta=0.5, window=[1, 2])
    euler = [
        flow_mean(path.states[:, k], to_a_point(path.states[:, k], s), s, s - 0.25, 0.0)
        for k, s in ((0, 1.0), (3, 0.25))
    ]
    assert torch.allclose(path.states[:, 1], euler[0]) and torch.allclose(path.states[:, 4], euler[1])
    assert path.log_probs.shape == (5, 2)
    assert torch.equal(seeded(eta=0.5).states, seeded(eta=0.5, window=range(4)).states)


def test_the_field_that_sampled_gives_the_same_densities_again_guided_or_not():
    for settings in ({}, {"guide": lambda x, sigma: x + 1, "strength": 0.1}):
        path = seeded(eta=0.5, window=[0, 2], **settings)
        assert torch.allclose(path_log_probs(to_a_point, path), path.log_probs, atol=1e-5)


def test_a_window_in_any_order_is_that_of_its_steps_and_one_of_no_steps_is_refused():
    path = seeded(eta=0.5, window=[2, 0])
    assert path.window == (0, 2)
    assert torch.allclose(path_log_probs(to_a_point, path), path.log_probs, atol=1e-5)
    with pytest.raises(ValueError, match=r"got a window with \[-1, 4\] of 4 steps; expected numbers from 0 to 3"):
        seeded(eta=0.5, window=[-1, 2, 4])


def test_guidance_of_no_strength_changes_nothing_and_the_guided_velocity_takes_the_guided_step():
    def guide(x, sigma):
        return torch.stack([x[:, 1], -x[:, 0]], 1)

    assert torch.equal(seeded(eta=0.5, guide=guide).states, seeded(eta=0.5).states)
    path = seeded(guide=guide, strength=0.1)
    x = path.states[:, 1]
    led = guided_velocity(to_a_point(x, 0.75), guide(x, 0.75), 0.1, 4)
    assert torch.allclose(flow_mean(x, led, 0.75, 0.5, 0.0), path.states[:, 2], atol=1e-5)
