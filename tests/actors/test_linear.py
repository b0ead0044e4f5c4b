"""Linear layers by oneDNN: the numbers and gradients of PyTorch's own, and PyTorch's own wherever they do not suit."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from actors import linear as linears
from actors.linear import Linear, linear, quicker, round_rows, summed_products, whole_rows, with_quick_linears

onednn = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this build of PyTorch has no oneDNN"
)


@pytest.fixture
def by_onednn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Everywhere as on a machine where it is quicker; gives how many rows each of its products had."""
    rows: list[int] = []
    made = linears._by_onednn

    def counted(inputs: Tensor, *rest: Any) -> Tensor:
        rows.append(len(inputs))
        return made(inputs, *rest)

    monkeypatch.setattr(linears, "quicker", lambda: True)
    monkeypatch.setattr(linears, "_by_onednn", counted)
    yield rows


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@onednn
@pytest.mark.parametrize("shape", [(256, 96), (1100, 96), (3, 7, 61, 96)], ids=str)
@pytest.mark.parametrize("biased", [True, False])
def test_results_and_gradients_are_those_of_double_precision(
    shape: tuple[int, ...], biased: bool, by_onednn: list[int]
) -> None:
    given_to = [drawn(*shape), drawn(160, 96), *([drawn(160)] if biased else [])]
    ours, exact = (
        [one.to(kind, copy=True).requires_grad_() for one in given_to] for kind in (torch.float32, torch.float64)
    )
    found, expected = linear(*ours), functional.linear(*exact)
    assert found.shape == expected.shape and len(by_onednn) == 1
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)
    towards = drawn(*found.shape)
    found.backward(towards)
    expected.backward(towards.double())
    for one, other in zip(ours, exact, strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-4, atol=1e-3)
    assert len(by_onednn) == 3


@onednn
def test_inputs_that_lie_otherwise_in_memory_and_weights_that_do_not_learn(by_onednn: list[int]) -> None:
    columns, weight = drawn(96, 500).requires_grad_(), drawn(96, 160).t()
    linear(columns.t(), weight).sum().backward()
    assert columns.grad is not None and len(by_onednn) == 2
    torch.testing.assert_close(columns.grad.t(), weight.sum(0).expand(500, 96), rtol=1e-4, atol=1e-4)


@onednn
def test_twice_the_same_is_the_same_bit_for_bit_with_and_without_gradient(by_onednn: list[int]) -> None:
    inputs, weight, bias = drawn(1100, 96), drawn(160, 96).requires_grad_(), drawn(160)
    first = linear(inputs, weight, bias)
    with torch.no_grad():
        assert torch.equal(linear(inputs, weight, bias), first) and torch.equal(linear(inputs, weight, bias), first)
    assert by_onednn == [round_rows(1100)] * 3


@onednn
def test_the_gradient_of_a_weight_by_itself(by_onednn: list[int]) -> None:
    gradient, inputs = drawn(1100, 160), drawn(1100, 96)
    found = summed_products(gradient, inputs)
    assert len(by_onednn) == 1
    torch.testing.assert_close(found.double(), gradient.double().t() @ inputs.double(), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    "inputs, weight",
    [
        (drawn(63, 512), drawn(512, 512)),  # few rows
        (drawn(200, 64), drawn(64, 64)),  # little to do
        (drawn(0, 64), drawn(64, 64)),  # nothing to do
        (drawn(40_000, 64), drawn(64)),  # a sum
        (drawn(256, 128).double(), drawn(128, 128).double()),
        (drawn(256, 128).to("meta"), drawn(128, 128).to("meta")),
    ],
    ids=["few rows", "small", "empty", "a vector", "float64", "another device"],
)
def test_what_does_not_suit_is_pytorchs_own(inputs: Tensor, weight: Tensor, by_onednn: list[int]) -> None:
    found, expected = linear(inputs, weight), functional.linear(inputs, weight)
    assert not by_onednn and found.shape == expected.shape
    assert found.is_meta or torch.equal(found, expected)


def test_autocast_keeps_its_way(by_onednn: list[int]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(drawn(256, 128), drawn(128, 128)).dtype == torch.bfloat16
    assert not by_onednn


@given(st.integers(0, 10**6))
def test_round_numbers_are_few_and_leave_little(rows: int) -> None:
    whole = round_rows(rows)
    assert 0 <= rows - whole < max(16, rows / 16) and whole % 16 == 0
    assert len({round_rows(n) for n in range(max(rows // 2, 1), rows + 1, max(rows // 2000, 1))}) <= 34 or rows < 32


@given(st.integers(64, 10**6))
def test_rows_are_filled_up_to_the_next_round_number_where_onednn_is_quicker(rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linears, "quicker", lambda: True)
        full = whole_rows(rows)
        assert rows <= full == round_rows(full) and full - rows < max(16, rows / 16) and whole_rows(full) == full
        assert whole_rows(63) == 63
        patch.setattr(linears, "quicker", lambda: False)
        assert whole_rows(rows) == rows


@onednn
def test_a_module_keeps_its_weights_names_and_ties(by_onednn: list[int]) -> None:
    model = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 128))
    tied = nn.Linear(128, 256)
    tied.weight = model[0].weight
    model.append(tied)
    before, inputs = copy.deepcopy(model), drawn(256, 128)
    assert with_quick_linears(model) is model
    assert [type(layer) for layer in model] == [Linear, nn.ReLU, Linear, Linear]
    assert model[3].weight is model[0].weight and model.state_dict().keys() == before.state_dict().keys()
    torch.testing.assert_close(model(inputs), before(inputs), rtol=1e-4, atol=1e-4)
    assert type(copy.deepcopy(model)[0]) is Linear and len(by_onednn) == 3


def test_other_kinds_of_linear_layers_are_left_alone() -> None:
    class Mine(nn.Linear):
        pass

    model = with_quick_linears(nn.ModuleList([Mine(2, 2), nn.Bilinear(2, 2, 2)]))
    assert [type(layer) for layer in model.children()] == [Mine, nn.Bilinear]


def test_only_on_amds_processors_with_wide_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = quicker.__wrapped__
    for vendor in ("AuthenticAMD", "GenuineIntel"):
        (tmp_path / vendor).write_text(f"processor : 0\nvendor_id : {vendor}\n")
    there = torch.backends.mkl.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert asked(tmp_path / "AuthenticAMD") == there
    assert not asked(tmp_path / "GenuineIntel") and not asked(tmp_path / "none")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not asked(tmp_path / "AuthenticAMD")
