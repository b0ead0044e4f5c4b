from __future__ import annotations

import pytest
import torch

from learners.objectives.reward_maximisation import blended_gradient, renoise, weight_distance


def test_with_one_reward_it_is_its_own_gradient():
    gradient = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert torch.allclose(blended_gradient({"r": gradient}, {"r": 1.0}), gradient)


def test_no_reward_is_loud_by_its_units():
    one, two = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    for unit in (1.0, 1000.0):
        found = blended_gradient({"a": one, "b": unit * two}, {"a": 1.0, "b": 1.0})
        assert torch.allclose(found[0, 0], found[0, 1])
    silent = blended_gradient({"a": one, "b": 0 * two}, {"a": 1.0, "b": 1.0})
    assert silent.isfinite().all() and silent[0, 1] == 0
    with pytest.raises(ValueError, match="expected the same"):
        blended_gradient({"a": one}, {"b": 1.0})


def test_an_infinite_price_on_distance_leaves_the_weights_where_they_were():
    weight = torch.tensor([1.0, -2.0], requires_grad=True)
    first = weight.detach().clone()
    optimiser = torch.optim.SGD([weight], 1e-9)
    for _ in range(20):  # λ = 1e9: a step of gradient descent on λ |θ − θ₀|² − reward
        loss = 1e9 * weight_distance([weight], [first]) / 2 - weight.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert torch.allclose(weight, first, atol=1e-6)


def test_noise_is_kept_or_drawn_anew():
    kept, new, clean = torch.ones(3, 2), torch.full((3, 2), 5.0), torch.zeros(3, 2)
    found = renoise(kept, 0.5, torch.tensor([0.0, 1.0, 0.6]), new, clean)
    assert found[:, 0].tolist() == pytest.approx([0.5, 2.5, 0.5 * (0.8 + 3.0)])
    assert torch.equal(renoise(kept, 0.0, torch.ones(3), new, clean), clean)
