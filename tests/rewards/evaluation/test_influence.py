from __future__ import annotations

import pytest
import torch
from torch import nn

from rewards.evaluation.influence import Layer, curvature, influences, recorded


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_one_layer_with_one_output_and_squared_loss_is_gauss_newton_to_the_digit():
    read, asked = seeded(20, 1, 3), seeded(4, 1, 3, seed=1)
    errors = seeded(20, seed=2)
    made = curvature(Layer(read, torch.ones(20, 1, 1, dtype=torch.float64)))  # labels at a distance of 1: G = E[a aᵀ]
    training = Layer(read, errors[:, None, None]).weight_gradients
    found = influences({"": asked}, {"": training}, {"": made}, damping=0.3)
    exact = read[:, 0].T @ read[:, 0] / 20
    damped = exact + 0.3 * torch.trace(exact) / 3 * torch.eye(3, dtype=torch.float64)
    assert torch.allclose(found, -asked[:, 0] @ torch.linalg.solve(damped, (errors[:, None] * read[:, 0]).T))


def test_by_hand():
    read = torch.tensor([[[1.0]], [[2.0]]])
    made = curvature(Layer(read, torch.ones(2, 1, 1)))
    assert made.values.item() == pytest.approx(2.5)
    found = influences({"": torch.tensor([[[3.0]]])}, {"": torch.tensor([[[1.0]], [[-2.0]]])}, {"": made})
    assert found.tolist() == [pytest.approx([-3 / 2.75, 6 / 2.75])]


def test_with_much_damping_it_is_in_proportion_to_the_dot_product_of_gradients():
    made = curvature(Layer(seeded(30, 2, 4), seeded(30, 2, 3, seed=1)))
    queries, training = seeded(5, 3, 4, seed=2), seeded(7, 3, 4, seed=3)
    found = influences({"": queries}, {"": training}, {"": made}, damping=1e9)
    dot = torch.einsum("qoi,noi->qn", queries, training)
    assert torch.allclose(found * 1e9 * made.values.mean(), -dot, rtol=1e-6)
    near = influences({"": queries}, {"": training}, {"": made}, damping=0.1)
    assert not torch.allclose(near / near.norm(), -dot / dot.norm(), atol=1e-2)


def test_gradients_are_those_of_autograd_also_where_the_model_is_called_twice():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1, bias=False)).double()
    one, other = seeded(5, 3), seeded(5, 3, seed=1)

    def losses():
        return nn.functional.softplus(model(other) - model(one))[:, 0]

    found = recorded(model, losses)
    assert list(found) == ["0", "2"] and all(parameter.grad is None for parameter in model.parameters())
    assert found["0"].inputs.shape == (5, 2, 4) and found["2"].inputs.shape == (5, 2, 4)
    for n in range(5):
        weight, bias, last = torch.autograd.grad(losses()[n], list(model.parameters()))
        assert torch.allclose(found["0"].weight_gradients[n], torch.cat([weight, bias[:, None]], 1))
        assert torch.allclose(found["2"].weight_gradients[n], last)
    assert not model[0]._forward_hooks


def test_what_does_not_fit_is_refused():
    made = curvature(Layer(seeded(3, 1, 2), seeded(3, 1, 1)))
    with pytest.raises(ValueError, match="expected the same layers"):
        influences({"a": seeded(1, 1, 2)}, {"b": seeded(1, 1, 2)}, {"a": made})
    with pytest.raises(ValueError, match="a damping above 0"):
        influences({"a": seeded(1, 1, 2)}, {"a": seeded(1, 1, 2)}, {"a": made}, damping=0)
    with pytest.raises(ValueError, match=r"expected \[N, T, I\]"):
        curvature(Layer(seeded(3, 2), seeded(3, 1)))
    with pytest.raises(ValueError, match="none of which was called"):
        recorded(nn.Linear(2, 1), lambda: torch.zeros(2, requires_grad=True))
