"""The GRU over packed rows: what PyTorch's own gives, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from actors.recurrence import pack_index, remember


def by_torch(core, features, lengths, first):
    packing = pack_index(lengths)
    packed = PackedSequence(features[packing.order], packing.batch_sizes)
    out, _ = core(packed, first[packing.rows].unsqueeze(0))
    return torch.empty_like(out.data).index_copy(0, packing.order, out.data)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(0, 3))
def test_memory_and_all_gradients_are_those_of_torch(lengths, seed):
    torch.manual_seed(seed)
    core, lengths = nn.GRU(5, 4).double(), torch.tensor(lengths)
    features = torch.randn(int(lengths.sum()), 5, dtype=torch.float64, requires_grad=True)
    first = torch.randn(len(lengths), 4, dtype=torch.float64, requires_grad=True)
    wanted = torch.randn(len(features), 4, dtype=torch.float64)
    found = []
    for way in (remember, by_torch):
        out = way(core, features, lengths, first).to(torch.float64)
        inputs = [features, first, *core.parameters()]
        found.append([out, *torch.autograd.grad((out * wanted).sum(), inputs)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-5)


def test_rows_do_not_hear_of_each_other():
    torch.manual_seed(0)
    core, x, first = nn.GRU(3, 4), torch.randn(9, 3), torch.randn(3, 4)
    together = remember(core, x, torch.tensor([2, 4, 3]), first)
    alone = [
        remember(core, x[a:b], torch.tensor([b - a]), first[i : i + 1])
        for i, (a, b) in enumerate([(0, 2), (2, 6), (6, 9)])
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def test_products_in_bfloat16_are_close_and_memory_is_float32():
    torch.manual_seed(0)
    core, x, first = nn.GRU(16, 16), torch.randn(12, 16), torch.zeros(2, 16)
    exact = remember(core, x, torch.tensor([5, 7]), first)
    with torch.autocast("cpu", torch.bfloat16):
        rough = remember(core, x, torch.tensor([5, 7]), first)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.05
    rough.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in core.parameters())


@pytest.mark.parametrize("lengths", [[1], [3, 1, 2]])
def test_nothing_is_recorded_where_no_gradient_is_wanted(lengths):
    core, n = nn.GRU(2, 3), sum(lengths)
    with torch.no_grad():
        assert not remember(core, torch.ones(n, 2), torch.tensor(lengths), torch.zeros(len(lengths), 3)).requires_grad
