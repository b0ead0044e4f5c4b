from __future__ import annotations

import math

import pytest
import torch

from actors.search.noise import ascend_noise, norm_log_density


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def first(samples):
    return samples[:, 0]


def test_the_density_of_the_norm_has_its_gradient_and_is_largest_at_the_root_of_d_less_one():
    here = noise(3, 5).requires_grad_()
    (slope,) = torch.autograd.grad(norm_log_density(here).sum(), here)
    assert torch.allclose(slope, (4 / here.square().sum(1, keepdim=True) - 1) * here, atol=1e-5)
    best = (2 * here / here.norm(dim=1, keepdim=True)).detach().requires_grad_()
    (slope,) = torch.autograd.grad(norm_log_density(best).sum(), best)
    assert torch.allclose(slope, torch.zeros_like(best), atol=1e-5)


def test_by_hand_one_clipped_step_and_the_momentum_of_the_next():
    # The gradient is (2, 0), clipped to (0.5, 0): a step of 0.1 · 0.5 · 1.9, then of 0.1 (0.5 + 0.9 · 0.95).
    start = torch.tensor([[0.0, 1.0]])
    found = ascend_noise(start, lambda x: x, [(2.0, first)], steps=3, rate=0.1, clip=0.5, regulariser=0.0)
    assert found.rewards[0].tolist() == pytest.approx([0.0, 2 * 0.095, 2 * (0.095 + 0.1355)])
    assert found.noise[0].tolist() == pytest.approx([0.2305, 1.0])


@pytest.mark.slow  # the first optimiser of torch takes seconds to import
def test_it_is_the_optimiser_of_torch_where_nothing_is_clipped():
    start, target = noise(1, 4), noise(2, 4)[1]
    found = ascend_noise(
        start, torch.tanh, [(1.0, lambda x: -(x - target).square().sum(1))], 6, 0.05, clip=1e9, regulariser=0.1
    )
    here = start.clone().requires_grad_()
    optimiser = torch.optim.SGD([here], lr=0.05, momentum=0.9, nesterov=True)
    for _ in range(5):
        optimiser.zero_grad()
        loss = (here.tanh() - target).square().sum() - 0.1 * norm_log_density(here).sum()
        loss.backward()
        optimiser.step()
    assert found.rewards.argmax() == 5, "the last is the best, so that it is what is kept"
    assert torch.allclose(found.noise, here.detach(), atol=1e-5)


def test_the_best_iterate_is_kept_and_rows_do_not_know_of_each_other():
    def peak(samples):  # steps of 1 along the axis overshoot 0
        return -samples[:, 0].abs()

    start = torch.tensor([[-2.5, 0.0], [-7.5, 0.0]])
    settings = {"steps": 7, "rate": 1.0, "clip": 1.0, "regulariser": 0.0, "momentum": 0.0}
    found = ascend_noise(start, lambda x: x, [(1.0, peak)], **settings)
    assert found.noise[:, 0].tolist() == [-0.5, -1.5] and found.rewards[0].tolist()[:4] == [-2.5, -1.5, -0.5, -0.5]
    assert torch.equal(found.rewards.amax(1), peak(found.samples))
    alone = ascend_noise(start[1:], lambda x: x, [(1.0, peak)], **settings)
    assert torch.equal(alone.noise, found.noise[1:])


def test_an_infinite_regulariser_keeps_the_norm_and_one_step_keeps_the_noise():
    start = noise(4, 3, 2)

    def reward(samples):
        return samples.flatten(1).sum(1)

    found = ascend_noise(start, lambda x: x, [(1.0, reward)], steps=20, rate=0.5, clip=1.0, regulariser=math.inf)
    assert torch.allclose(found.noise.flatten(1).norm(dim=1), start.flatten(1).norm(dim=1), rtol=1e-5)
    assert (reward(found.noise) > reward(start)).all()
    assert torch.equal(ascend_noise(start, lambda x: x, [(1.0, reward)], steps=1).noise, start)


def test_weights_add_rewards_up_and_the_noise_that_was_given_is_not_changed():
    start = noise(2, 3)
    before = start.clone()
    both = ascend_noise(start, lambda x: x, [(2.0, first), (-1.0, lambda x: x[:, 1])], steps=4)
    one = ascend_noise(start, lambda x: x, [(1.0, lambda x: 2 * x[:, 0] - x[:, 1])], steps=4)
    assert torch.allclose(both.noise, one.noise) and torch.equal(start, before)
    assert not both.noise.requires_grad and not both.samples.requires_grad


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 0}, "steps=0"),
        ({"rewards": []}, "0 rewards"),
        ({"regulariser": -1.0}, "regulariser=-1.0"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"rewards": [(1.0, lambda x: x[:, 0] / 0.0)]}, "not finite"),
        ({"rewards": [(1.0, lambda x: x)]}, r"got rewards of shape \(2, 3\)"),
    ],
)
def test_what_cannot_be_searched_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ascend_noise(noise(2, 3), lambda x: x, **{"rewards": [(1.0, first)], **settings})
