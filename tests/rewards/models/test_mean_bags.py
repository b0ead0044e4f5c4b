from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import embedding_bag

from rewards.models.mean_bags import mean_of_bags

BAGS = st.lists(st.lists(st.integers(0, 6), max_size=9), min_size=1, max_size=6)


def arrays(bags: list[list[int]]) -> list[np.ndarray]:
    return [np.array(bag, np.int64) for bag in bags]


def test_means_and_gradients_by_hand() -> None:
    table = torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 8.0]], requires_grad=True)
    out = mean_of_bags(table, arrays([[0, 1], [1, 1, 2, 2], []]))
    assert out.tolist() == [[2.0, 1.0], [4.0, 5.0], [0.0, 0.0]]
    out.backward(torch.tensor([[1.0, 2.0], [4.0, 8.0], [9.0, 9.0]]))
    assert table.grad is not None and table.grad.tolist() == [[0.5, 1.0], [2.5, 5.0], [2.0, 4.0]]


@pytest.mark.parametrize("height", [7, 2**15, 2**15 + 1, 2**16 + 7])
@settings(max_examples=30, deadline=None)
@given(bags=BAGS, seed=st.integers(0, 99))
def test_it_is_pytorchs_bag_of_embeddings(height: int, bags: list[list[int]], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    spread = [[row * (height // 7) for row in bag] for bag in bags]
    table = torch.randn(height, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(len(bags), 3, generator=generator, dtype=torch.float64)
    rows = torch.tensor([row for bag in spread for row in bag], dtype=torch.int64)
    begins = torch.tensor(np.cumsum([0, *map(len, spread[:-1])]))
    expected = embedding_bag(rows, table, begins, mode="mean")
    found = mean_of_bags(table, arrays(spread))
    torch.testing.assert_close(found, expected)
    (right,) = torch.autograd.grad((expected * weights).sum(), table)
    (gradient,) = torch.autograd.grad((found * weights).sum(), table)
    torch.testing.assert_close(gradient, right)


def test_without_gradients_none_is_made() -> None:
    with torch.no_grad():
        assert not mean_of_bags(torch.ones(2, 2, requires_grad=True), arrays([[0]])).requires_grad
