from __future__ import annotations

import math

import pytest
import torch

from learners.objectives.expert_routing import balance, squared_variation, task_contrast


def test_uniform_routing_has_no_variation():
    even = torch.full((3, 5, 4), 0.25)
    assert float(balance(even, even)) == 0.0
    assert float(squared_variation(torch.tensor([2.0]))) == 0.0


def test_variation_and_balance_by_hand():
    assert float(squared_variation(torch.tensor([1.0, 3.0]))) == pytest.approx(2 / 4)  # variance 2, mean 2
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert float(balance(one, torch.full((2, 2), 0.5))) == pytest.approx(2.0)  # sums 2 and 0: variance 2, mean 1
    assert float(squared_variation(torch.zeros(3))) == 0.0


def test_inputs_that_are_masked_count_for_nothing():
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    mask = torch.tensor([True, True, False])
    assert float(balance(weights, weights, mask)) == 0.0
    assert float(balance(weights, weights)) > 0


def test_routing_that_says_nothing_of_the_task_costs_log_n_and_one_that_says_all_costs_nothing():
    same = torch.ones(4, 4)
    assert float(task_contrast(same, same, torch.eye(4))) == pytest.approx(math.log(4))
    apart = 50 * torch.eye(4)
    assert float(task_contrast(apart, apart, torch.eye(4))) == pytest.approx(0.0, abs=1e-6)


def test_no_gradient_flows_through_keys():
    queries, keys, similarity = (torch.randn(3, 3, requires_grad=True) for _ in range(3))
    task_contrast(queries, keys, similarity).backward()
    assert queries.grad is not None and similarity.grad is not None and keys.grad is None


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="one of each expert"):
        squared_variation(torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"expected \[…, E\]"):
        balance(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match="at least two tasks"):
        task_contrast(torch.ones(1, 3), torch.ones(1, 3), torch.eye(3))
