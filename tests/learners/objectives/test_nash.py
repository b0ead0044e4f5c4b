from __future__ import annotations

import pytest
import torch

from learners.language.preferences import dpo
from learners.objectives.nash import clear_pairs, nash_regression, soft_labels, win_rates


def test_with_certain_labels_it_is_dpo():
    margin = torch.tensor([0.3, -2.0])
    found = nash_regression(margin, torch.tensor([1.0, 0.0]), 0.5)
    assert torch.allclose(found, torch.stack([dpo(margin[0], 0.5), dpo(-margin[1], 0.5)]))


def test_the_loss_is_least_where_the_margin_is_the_difference_of_rewards():
    margin = torch.tensor([0.4 / 0.1], requires_grad=True)
    nash_regression(margin, soft_labels(torch.tensor([0.7]), torch.tensor([0.3])), 0.1).sum().backward()
    assert margin.grad.abs().max() < 1e-7


def test_win_rates_are_means_over_those_that_were_judged():
    nan = torch.nan
    preferred = torch.tensor([[[nan, 1.0, 0.5], [0.0, nan, nan], [0.5, nan, nan]]])
    assert win_rates(preferred).tolist() == [[0.75, 0.0, 0.5]]
    assert win_rates(torch.full((1, 2, 2), nan)).isnan().all()


def test_pairs_are_kept_whose_margin_is_large():
    found = clear_pairs(torch.tensor([[0.9, 0.2, 0.8, torch.nan]]), 0.5)
    assert [t.tolist() for t in found] == [[0, 0], [0, 2], [1, 1]]
    with pytest.raises(ValueError, match="positive margin"):
        clear_pairs(torch.zeros(1, 2), 0.0)


def test_a_label_must_be_a_probability():
    with pytest.raises(ValueError, match="expected probabilities"):
        nash_regression(torch.zeros(1), torch.tensor([torch.nan]), 1.0)
