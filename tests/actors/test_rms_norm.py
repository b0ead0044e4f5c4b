"""Norms with the gradient written out: those of transformers in value and gradient, and nothing else in their place."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from actors.rms_norm import rms_norm, with_quick_norms


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def norm_of(kind: type[nn.Module], size: int) -> nn.Module:
    layer = kind(size, eps=1e-3)
    with torch.no_grad():
        layer.weight.copy_(drawn(size))
    return layer


def is_quick(layer: nn.Module) -> bool:
    return any(kind.__name__ == "_Quick" for kind in type(layer).__mro__)


def test_a_vector_worked_by_hand():
    found = rms_norm(torch.tensor([[3.0, 4.0]]), torch.tensor([1.0, 2.0]), 0.0)
    root = 12.5**0.5  # of (9 + 16) / 2
    assert torch.allclose(found, torch.tensor([[3 / root, 8 / root]]))


def test_the_gradient_is_that_of_differences():
    given = drawn(2, 3, 5).double().requires_grad_(), drawn(5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: rms_norm(x, w, 0.1), given)


@pytest.mark.parametrize("kind", [LlamaRMSNorm, Qwen3RMSNorm], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("shape", [(1, 40, 16), (2, 5, 3, 16), (7, 16), (0, 16)], ids=str)
def test_values_and_gradients_are_those_of_transformers(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    theirs = norm_of(kind, 16)
    ours = with_quick_norms(copy.deepcopy(theirs))
    assert is_quick(ours) and type(ours).__name__ == kind.__name__ and isinstance(ours, kind)
    towards, inputs = drawn(*shape), [drawn(*shape).requires_grad_() for _ in range(2)]
    found, expected = ours(inputs[0]), theirs(inputs[1])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    found.backward(towards)
    expected.backward(towards)
    for one, other in ((inputs[0], inputs[1]), (ours.weight, theirs.weight)):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)


def test_what_is_not_this_norm_is_left_alone():
    class OtherRMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.variance_epsilon = nn.Parameter(torch.ones(4)), 1e-6

        def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
            return hidden + residual

    halved = Qwen3RMSNorm(4).bfloat16()
    layers = nn.ModuleList([norm_of(GemmaRMSNorm, 4), OtherRMSNorm(), halved, nn.RMSNorm(4), nn.LayerNorm(4)])
    assert not any(map(is_quick, with_quick_norms(layers)))


def test_other_numbers_go_the_old_way():
    layer = with_quick_norms(norm_of(Qwen3RMSNorm, 8))
    plain = norm_of(Qwen3RMSNorm, 8)
    assert is_quick(layer)
    for inputs in (drawn(3, 8).bfloat16(), drawn(3, 8).double()):
        assert torch.equal(layer(inputs), plain(inputs))
    assert torch.equal(layer.bfloat16()(drawn(3, 8).bfloat16()), plain.bfloat16()(drawn(3, 8).bfloat16()))


def test_a_model_keeps_its_weights_and_says_the_same():
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
    )
    torch.manual_seed(0)
    theirs = Qwen3ForCausalLM(config).eval()
    ours = with_quick_norms(copy.deepcopy(theirs))
    assert sum(map(is_quick, ours.modules())) == 9 and ours.state_dict().keys() == theirs.state_dict().keys()
    ids = torch.arange(12)[None] % 50
    for model in (ours, theirs):
        model(input_ids=ids, labels=ids).loss.backward()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-5, msg=name)
    assert is_quick(copy.deepcopy(ours).model.norm)
