from __future__ import annotations

import pytest
import torch
from torch import nn

from actors.expert_layers import Experts, NoisyTopK, TokenAndTask


def test_one_expert_in_both_branches_is_a_dense_network_of_the_concatenated_width():
    torch.manual_seed(0)
    layer = TokenAndTask(4, 3, token=1, task=1, heard=1)
    parts = (layer.token_experts, layer.task_experts)
    inner, outer = nn.Linear(4, 6), nn.Linear(6, 4)
    with torch.no_grad():
        inner.weight.copy_(torch.cat([part.inner[0] for part in parts], 1).T)
        inner.bias.copy_(torch.cat([part.inner_bias[0, 0] for part in parts]))
        outer.weight.copy_(torch.block_diag(*(part.outer[0] for part in parts)).T)
        outer.bias.copy_(torch.cat([part.outer_bias[0, 0] for part in parts]))
    inputs = torch.randn(2, 5, 4)
    dense = outer(nn.functional.leaky_relu(inner(inputs)))
    assert torch.allclose(layer(inputs).outputs, dense, atol=1e-6)


def test_the_best_are_heard_and_weighed_by_their_softmax():
    router = NoisyTopK(3, 3, heard=2).eval()
    with torch.no_grad():
        router.gate.weight.copy_(torch.eye(3))
    found = router(torch.tensor([[1.0, 3.0, 2.0]]))
    chance = torch.tensor([3.0, 2.0]).softmax(0)
    assert torch.allclose(found.weights, torch.tensor([[0.0, float(chance[0]), float(chance[1])]]))
    assert found.load.tolist() == [[0, 1, 1]] and found.logits.tolist() == [[1, 3, 2]]


def test_the_load_is_how_often_an_expert_is_heard_when_the_noise_is_drawn_again():
    torch.manual_seed(0)
    router, inputs = NoisyTopK(2, 4, heard=2), torch.randn(1, 2).expand(20000, 2)
    found = router(inputs)
    assert torch.allclose(found.load.mean(0), (found.weights > 0).float().mean(0), atol=0.02)
    assert torch.allclose(found.weights.sum(-1), torch.ones(20000))
    assert ((found.weights > 0).sum(-1) == 2).all()


def test_a_mixture_is_the_weighted_sum_of_its_experts():
    torch.manual_seed(0)
    experts, inputs = Experts(3, 5, 2, 4), torch.randn(6, 3)
    alone = [experts(inputs, torch.eye(4)[e].expand(6, 4)) for e in range(4)]
    weights = torch.rand(6, 4)
    mixed = sum(weights[:, e, None] * alone[e] for e in range(4))
    assert torch.allclose(experts(inputs, weights), mixed, atol=1e-6)


def test_a_task_is_routed_by_what_was_seen_so_far_and_not_by_what_follows():
    torch.manual_seed(0)
    layer, inputs = TokenAndTask(4, 3).eval(), torch.randn(2, 5, 4)
    later = inputs.clone()
    later[:, 3:] += 1
    before, after = layer(inputs), layer(later)
    assert torch.equal(before.outputs[:, :3], after.outputs[:, :3])
    assert torch.allclose(before.task.logits[:, 2], layer.task_router.gate(inputs[:, :3].mean(1)), atol=1e-6)
    assert torch.equal(before.key, before.task.logits) and not before.key.requires_grad


def test_bad_shapes_are_named():
    with pytest.raises(ValueError, match="at most all"):
        NoisyTopK(3, 2, heard=3)
    with pytest.raises(ValueError, match="even one"):
        TokenAndTask(3, 2)
